//! Owns `olivine generate`: from a prompt to streamed text and the numbers at its end.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::{
    ChatTemplate, FinishReason, GenerationStats, Generator, LanguageModel, Message, ModelDraft,
    ModelFolder, NgramDraft, OutputFormat, OutputParser, PromptCache, Role, StopRules,
    StreamingDetokenizer, TextStream, Tokenizer, models, peak_memory,
};
use serde_json::Value;

use crate::error::{CliError, Exit, say};
use crate::interrupt::Interrupt;
use crate::kv::KvArgs;
use crate::model::{self, ComputeArgs};
use crate::output::Output;
use crate::sampling::SamplingArgs;

const EXAMPLES: &str = "\
Examples:
  olivine generate --prompt \"Once upon a time\"
      A story by the model that ships inside this program.
  olivine generate --model mlx-community/Qwen3-4B-4bit --prompt \"Why is the sky blue?\"
      A model of the Hugging Face hub, or a folder in its layout.
  echo \"Name three rivers.\" | olivine generate --prompt - --temp 0.7 --seed 1
      The prompt from a pipe, sampled, the same every time.
  olivine generate --prompt \"A cat:\" --json-schema '{\"type\": \"object\"}'
      JSON that fits a schema, whatever the model would rather write.
  olivine generate --model big --draft-model small --prompt \"Hi\"
      The text of the big model, sooner: the small one guesses, the big one checks.
  olivine generate --prompt \"Hi\" --json | jq -r .text
      One JSON object with the text and the statistics.";

/// Prompts of more tokens show a progress bar.
const LONG: usize = 1024;

const PROMPT: &str = "Prompt";
const SPEED: &str = "Speed";

/// Write text that continues or answers a prompt.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Generate {
    /// The model: a folder, a GGUF file, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// What to continue or answer; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", default_value = "Once upon a time")]
    #[arg(allow_hyphen_values = true)]
    prompt: String,

    /// Stop after this many tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,

    /// Print one JSON object at the end instead of streaming
    #[arg(long)]
    json: bool,

    /// Take the prompt from a file
    #[arg(long, value_name = "FILE", conflicts_with = "prompt", help_heading = PROMPT)]
    prompt_file: Option<PathBuf>,

    /// Send the prompt as it is, to be continued instead of answered
    #[arg(long, help_heading = PROMPT)]
    ignore_chat_template: bool,

    /// What the model is told before the prompt
    #[arg(long, value_name = "TEXT", help_heading = PROMPT)]
    #[arg(conflicts_with = "ignore_chat_template")]
    system: Option<String>,

    /// How the answer begins; the model goes on from there
    #[arg(long, value_name = "TEXT", help_heading = PROMPT)]
    prefill_response: Option<String>,

    /// Give the chat template a variable, such as enable_thinking=false; repeatable
    #[arg(long, value_name = "NAME=JSON", help_heading = PROMPT)]
    template_arg: Vec<String>,

    /// Tell the model of tools it may call: a JSON list in the chat template's form, mostly OpenAI's
    #[arg(long, value_name = "FILE", help_heading = PROMPT)]
    #[arg(conflicts_with = "ignore_chat_template")]
    tools: Option<PathBuf>,

    /// Tell reasoning and tool calls from the text, as --tools does
    #[arg(long, help_heading = PROMPT)]
    parse: bool,

    /// Go on after a prompt that `olivine cache` has read
    #[arg(long, value_name = "FILE", help_heading = PROMPT)]
    prompt_cache: Option<PathBuf>,

    #[command(flatten)]
    sampling: SamplingArgs,

    /// A small model of the same vocabulary that guesses what comes: the text stays the same
    #[arg(long, value_name = "MODEL", help_heading = SPEED)]
    draft_model: Option<PathBuf>,

    /// Guess that a text goes on as it did before: the text stays the same
    #[arg(long, conflicts_with = "draft_model", help_heading = SPEED)]
    ngram_draft: bool,

    /// Tokens that are guessed at a time
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = SPEED)]
    num_draft_tokens: usize,

    #[command(flatten)]
    kv: KvArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Generate {
    /// Runs the subcommand.
    ///
    /// The time to the first token is the model's and not the disk's: loading is not part of it.
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let folder = self.compute.open(self.model.as_deref(), &interrupt)?;
        let config = folder.config()?;
        let recommended = folder.generation_config()?;
        let options = self.sampling.options(&recommended)?;
        let tokenizer = Tokenizer::load(&folder, &config, &recommended)?;
        let prompt = self.prompt(std::io::stdin().lock())?;
        let stops = self.sampling.stop().iter().cloned();
        let rules = StopRules::new(tokenizer.eos_ids().iter().copied(), stops)?;
        let sampler = self.sampling.sampler(options, &tokenizer)?;
        let template = self.template(&folder)?;
        let (network, cache) = match &self.prompt_cache {
            Some(path) => {
                let network = models::load(&folder)?;
                let name = config.fingerprint();
                let cache = PromptCache::load(path, &name, network.caches())?;
                (Some(network), Some(cache))
            }
            None => (None, None),
        };
        let tokens = self.prompt_tokens(&prompt, template.as_ref(), &tokenizer, cache.as_ref())?;
        let network = match network {
            Some(network) => network,
            None => models::load(&folder)?,
        };
        let options = self.kv.options(Some(&config))?;
        let mut generator = Generator::with_options(&*network, &tokens, sampler, options)?;
        if let Some(cache) = cache {
            generator = generator.after(cache);
        }
        let guesses = self.num_draft_tokens;
        if let Some(path) = &self.draft_model {
            let small = draft(&model::open(Some(path), &interrupt)?, &*network)?;
            generator = generator.guessing(ModelDraft::new(small, guesses));
        } else if self.ngram_draft {
            generator = generator.guessing(NgramDraft {
                guesses,
                ..NgramDraft::default()
            });
        }

        let mut clock = Clock::start(tokens.len());
        // A long prompt takes its time; a short one is read with the first token.
        let bar = ProgressBar::new(tokens.len() as u64).with_style(reading());
        if tokens.len() > LONG {
            generator.prefill(&mut |read, _all| {
                bar.set_position(read as u64);
                !interrupt.pressed()
            })?;
        }
        bar.finish_and_clear();
        let mut output = Output::new(std::io::stdout().lock(), self.json);
        let mut detokenizer = StreamingDetokenizer::new(&tokenizer);
        if self.parse || self.tools.is_some() {
            let source = template.as_ref().map(ChatTemplate::source);
            let format = OutputFormat::detect(&config.model_type, source);
            detokenizer = detokenizer.showing(&format.markers());
            let start = tokenizer.decode(&tokens[tokens.len().saturating_sub(16)..])?;
            let parser = OutputParser::new(format).after_prompt(&start);
            output = output.parsed(parser.with_tools(&self.tools()?));
        }
        if let Some(start) = &self.prefill_response {
            output.push(start)?;
        }
        let finish = write_text(
            generator.by_ref().take(self.max_tokens).map(|choice| {
                clock.tick();
                let choice = choice?;
                output_logprobs(&choice, &tokenizer, self.json);
                Ok(choice.token)
            }),
            &mut TextStream::over(detokenizer, rules),
            &mut output,
            &interrupt,
        )?;
        let guessed = generator.guessed();
        let exit = conclude(output, &clock.stats(), finish)?;
        if guessed > 0 && !self.json {
            say(&format!("Guessed:     {guessed:>6} tokens"));
        }
        Ok(exit)
    }

    /// The model's chat template, unless the prompt is not to be answered.
    fn template(&self, folder: &ModelFolder) -> Result<Option<ChatTemplate>, CliError> {
        if self.ignore_chat_template {
            return Ok(None);
        }
        Ok(ChatTemplate::load(folder)?)
    }

    /// The prompt's text, from the command line, a file, or `input`.
    fn prompt(&self, input: impl Read) -> Result<String, CliError> {
        let prompt = if let Some(path) = &self.prompt_file {
            std::fs::read_to_string(path).map_err(|error| CliError::File(path.clone(), error))?
        } else if self.prompt == "-" {
            read_prompt(input)?
        } else {
            self.prompt.clone()
        };
        if prompt.is_empty() {
            return Err(CliError::EmptyPrompt);
        }
        Ok(prompt)
    }

    /// The prompt's tokens, in the model's chat format where it has one.
    fn prompt_tokens(
        &self,
        prompt: &str,
        template: Option<&ChatTemplate>,
        tokenizer: &Tokenizer,
        cache: Option<&PromptCache>,
    ) -> Result<Vec<u32>, CliError> {
        let start = self.prefill_response.as_deref().unwrap_or_default();
        let mut tokens = cache
            .map(|cache| cache.tokens().to_vec())
            .unwrap_or_default();
        match template {
            // A rendered template brings its own special tokens.
            Some(template) => {
                let system = self
                    .system
                    .as_ref()
                    .map(|text| Message::new(Role::System, text));
                let messages: Vec<Message> =
                    system.into_iter().chain([Message::user(prompt)]).collect();
                let text = template.render_with(&messages, true, &self.template_variables()?)?;
                // What is remembered ends within the user's message, which goes on here.
                let from = match cache {
                    Some(_) => text.rfind(prompt.trim()).unwrap_or(0),
                    None => 0,
                };
                tokens.extend(tokenizer.encode(&format!("{}{start}", &text[from..]))?);
            }
            None if cache.is_some() => {
                tokens.extend(tokenizer.encode(&format!("{prompt}{start}"))?);
            }
            None => tokens.extend(tokenizer.encode_prompt(&format!("{prompt}{start}"))?),
        }
        if tokens.is_empty() {
            return Err(CliError::EmptyPrompt);
        }
        Ok(tokens)
    }

    fn template_variables(&self) -> Result<BTreeMap<String, Value>, CliError> {
        let pair = |text: &String| {
            let wrong = || CliError::TemplateArgument(text.clone());
            let (name, value) = text.split_once('=').ok_or_else(wrong)?;
            Ok((
                name.to_owned(),
                serde_json::from_str(value).map_err(|_| wrong())?,
            ))
        };
        let mut variables: BTreeMap<String, Value> = self
            .template_arg
            .iter()
            .map(pair)
            .collect::<Result<_, CliError>>()?;
        if self.tools.is_some() {
            variables.insert("tools".to_owned(), Value::Array(self.tools()?));
        }
        Ok(variables)
    }

    /// The tools that the model may call.
    fn tools(&self) -> Result<Vec<Value>, CliError> {
        let Some(path) = &self.tools else {
            return Ok(Vec::new());
        };
        let failed = |error| CliError::File(path.clone(), error);
        let text = std::fs::read_to_string(path).map_err(failed)?;
        serde_json::from_str(&text).map_err(|error| failed(error.into()))
    }
}

fn reading() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} tokens of the prompt, {eta} left")
        .expect("the template is well formed")
}

/// The small model that guesses, if it has the vocabulary of the other.
fn draft(
    folder: &ModelFolder,
    network: &dyn LanguageModel,
) -> Result<Box<dyn LanguageModel>, CliError> {
    let small = models::load(folder)?;
    if small.vocab_size() != network.vocab_size() {
        return Err(CliError::Draft(small.vocab_size(), network.vocab_size()));
    }
    Ok(small)
}

/// Prints the likeliest tokens beside the chosen one, where they were asked for.
fn output_logprobs(choice: &olivine_lm::Choice, tokenizer: &Tokenizer, json: bool) {
    if choice.top.is_empty() || json {
        return;
    }
    let name = |token: u32| {
        tokenizer
            .id_to_token(token)
            .unwrap_or_else(|| token.to_string())
    };
    let others: Vec<String> = choice
        .top
        .iter()
        .map(|&(token, p)| format!("{:?} {p:.3}", name(token)))
        .collect();
    say(&format!(
        "{:?} {:.3} of {}",
        name(choice.token),
        choice.logprob,
        others.join(", ")
    ));
}

/// Reads a prompt to the end of the input; the newline that `echo` adds is not part of it.
fn read_prompt(mut input: impl Read) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    input
        .read_to_end(&mut bytes)
        .map_err(CliError::ReadPrompt)?;
    let mut prompt = String::from_utf8(bytes)
        .map_err(|error| CliError::PromptNotUtf8(error.utf8_error().valid_up_to()))?;
    if prompt.ends_with('\n') {
        prompt.pop();
        if prompt.ends_with('\r') {
            prompt.pop();
        }
    }
    Ok(prompt)
}

/// Writes tokens as text until they end, a stop rule says so, or Ctrl-C is pressed; returns why it
/// ended (`None` after Ctrl-C) and leaves the last line open.
fn write_text<W: Write>(
    tokens: impl IntoIterator<Item = olivine_lm::Result<u32>>,
    stream: &mut TextStream<'_>,
    output: &mut Output<W>,
    interrupt: &Interrupt,
) -> Result<Option<FinishReason>, CliError> {
    for token in tokens {
        let step = stream.push(token?)?;
        output.push(&step.text)?;
        if step.finish.is_some() {
            return Ok(step.finish);
        }
        if interrupt.pressed() {
            output.push(&stream.finish()?.text)?;
            return Ok(None);
        }
    }
    let step = stream.finish()?;
    output.push(&step.text)?;
    Ok(Some(step.finish.unwrap_or(FinishReason::Length)))
}

/// Counts tokens and the time between them.
struct Clock {
    prompt_tokens: usize,
    tokens: usize,
    started: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Clock {
    fn start(prompt_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            tokens: 0,
            started: Instant::now(),
            first: None,
            last: None,
        }
    }

    /// Notes that a token has arrived.
    fn tick(&mut self) {
        let now = Instant::now();
        self.tokens += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn stats(&self) -> GenerationStats {
        let first = self.first.map(|first| first - self.started);
        let generation = self.first.zip(self.last).map(|(first, last)| last - first);
        GenerationStats {
            prompt_tokens: self.prompt_tokens,
            prompt_time: first.unwrap_or_default(),
            generation_tokens: self.tokens,
            generation_time: generation.unwrap_or_default(),
            time_to_first_token: first,
            peak_memory: peak_memory(),
        }
    }
}

/// Ends the output and prints the statistics; Ctrl-C is an exit code of its own.
fn conclude<W: Write>(
    output: Output<W>,
    stats: &GenerationStats,
    finish: Option<FinishReason>,
) -> Result<Exit, CliError> {
    let streamed = output.streams();
    output.finish(stats, finish.as_ref())?;
    if streamed {
        // To standard error, so that a pipe receives nothing but the text.
        say(&format!("\n{stats}"));
    }
    Ok(match finish {
        Some(_) => Exit::Success,
        None => Exit::Interrupted,
    })
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
