//! Owns `olivine generate`: from a prompt to streamed text and the numbers at its end.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use olivine_lm::{
    ChatTemplate, FinishReason, GenerationConfig, GenerationStats, Message, ModelConfig,
    ModelFolder, SamplerOptions, StopRules, TextStream, Tokenizer, peak_memory,
};

use crate::error::{CliError, Exit, say};
use crate::interrupt::Interrupt;
use crate::model;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  olivine generate --prompt \"Once upon a time\"
      A story by the model that ships inside this program.
  olivine generate --model ~/models/Llama-3.2-1B-Instruct --prompt \"Why is the sky blue?\"
      Any Llama or Mistral folder from the Hugging Face hub.
  echo \"Name three rivers.\" | olivine generate --prompt - --temp 0.7 --seed 1
      The prompt from a pipe, sampled, the same every time.
  olivine generate --prompt \"Hi\" --json | jq -r .text
      One JSON object with the text and the statistics.";

/// Write text that continues or answers a prompt.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Generate {
    /// Folder with config.json, tokenizer.json and *.safetensors, or a GGUF file [default: the shipped model]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,

    /// What to continue or answer; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", default_value = "Once upon a time")]
    #[arg(allow_hyphen_values = true)]
    prompt: String,

    /// Stop after this many tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,

    /// Randomness: 0 always takes the likeliest token [default: the model's own]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temp: Option<f32>,

    /// Sample among the K likeliest tokens; 0 means all [default: the model's own]
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,

    /// Sample among the likeliest tokens that make up this probability [default: the model's own]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,

    /// Leave out tokens less likely than P times the likeliest [default: the model's own]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,

    /// Make sampling repeatable
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Send the prompt as it is, to be continued instead of answered
    #[arg(long)]
    ignore_chat_template: bool,

    /// Print one JSON object at the end instead of streaming
    #[arg(long)]
    json: bool,
}

impl Generate {
    /// Runs the subcommand; `start` loads the model and gives its tokens one by one.
    ///
    /// Loading happens in `start` and processing the prompt in the first `next`, so that the time
    /// to the first token is the model's and not the disk's.
    pub(crate) fn run<T>(
        &self,
        start: impl FnOnce(&ModelFolder, &ModelConfig, &[u32], SamplerOptions) -> Result<T, CliError>,
    ) -> Result<Exit, CliError>
    where
        T: Iterator<Item = olivine_lm::Result<u32>>,
    {
        let interrupt = Interrupt::watch()?;
        let folder = model::open(self.model.as_deref())?;
        let config = folder.config()?;
        let recommended = folder.generation_config()?;
        let sampler = self.sampler(&recommended)?;
        let tokenizer = Tokenizer::load(&folder, &config, &recommended)?;
        let prompt = self.prompt(std::io::stdin().lock())?;
        let prompt_tokens = self.prompt_tokens(&prompt, &folder, &tokenizer)?;
        let rules = StopRules::new(tokenizer.eos_ids().iter().copied(), [])?;
        let tokens = start(&folder, &config, &prompt_tokens, sampler)?;

        let mut clock = Clock::start(prompt_tokens.len());
        let mut output = Output::new(std::io::stdout().lock(), self.json);
        let finish = write_text(
            tokens.take(self.max_tokens).inspect(|_| clock.tick()),
            &mut TextStream::new(&tokenizer, rules),
            &mut output,
            &interrupt,
        )?;
        conclude(output, &clock.stats(), finish)
    }

    /// The sampler asked for, filled up with the publisher's recommendations.
    fn sampler(&self, recommended: &GenerationConfig) -> Result<SamplerOptions, CliError> {
        let base = recommended.sampler_options();
        let options = SamplerOptions {
            temperature: self.temp.unwrap_or(base.temperature),
            top_k: self.top_k.unwrap_or(base.top_k),
            top_p: self.top_p.unwrap_or(base.top_p),
            min_p: self.min_p.unwrap_or(base.min_p),
            seed: self.seed,
        };
        Ok(options.validate()?)
    }

    /// The prompt's text, from the command line or from `input`.
    fn prompt(&self, input: impl Read) -> Result<String, CliError> {
        let prompt = if self.prompt == "-" {
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
        folder: &ModelFolder,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<u32>, CliError> {
        let template = if self.ignore_chat_template {
            None
        } else {
            ChatTemplate::load(folder)?
        };
        let tokens = match template {
            // A rendered template brings its own special tokens.
            Some(template) => {
                tokenizer.encode(&template.render(&[Message::user(prompt)], true)?)?
            }
            None => tokenizer.encode_prompt(prompt)?,
        };
        if tokens.is_empty() {
            return Err(CliError::EmptyPrompt);
        }
        Ok(tokens)
    }
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
    let streamed = matches!(output, Output::Stream { .. });
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
