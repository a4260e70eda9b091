//! Owns `olivine cache`: a prompt that is read once, for many generations.

use std::{io::Read, path::PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::{Generator, Message, Model, SamplerOptions};

use crate::{
    error::{CliError, Exit, say},
    interrupt::Interrupt,
    kv::KvArgs,
    model,
};

const EXAMPLES: &str = "\
Examples:
  olivine cache --model llama-4bit --prompt - -o book.safetensors < book.txt
      Read a long text once …
  olivine generate --model llama-4bit --prompt-cache book.safetensors --prompt \"Who is the hero?\"
      … and ask about it without reading it again.";

/// Read a prompt and write what the model remembers of it to a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cache {
    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// What to read; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: String,

    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// Read the prompt as it is, not as a message
    #[arg(long)]
    ignore_chat_template: bool,

    #[command(flatten)]
    kv: KvArgs,
}

impl Cache {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let folder = model::open(self.model.as_deref(), &interrupt)?;
        let model = Model::from_folder(&folder)?;
        let text = if self.prompt == "-" {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .read_to_string(&mut text)
                .map_err(CliError::ReadPrompt)?;
            text
        } else {
            self.prompt.clone()
        };
        let template = model
            .template
            .as_ref()
            .filter(|_| !self.ignore_chat_template);
        let mut prompt = match template {
            // Up to the end of the message, which the prompt of a generation goes on with.
            Some(template) => {
                let text = text.trim();
                let all = template.render(&[Message::user(text)], false)?;
                let end = all
                    .rfind(text)
                    .map_or(all.len(), |start| start + text.len());
                model.tokenizer.encode(&all[..end])?
            }
            None => model.tokenizer.encode_prompt(&text)?,
        };
        // A generator leaves the last token of its prompt to its first choice.
        prompt.extend(prompt.last().copied());
        let options = self.kv.options(Some(&model.config))?;
        let sampler = SamplerOptions::greedy();
        let mut generator = Generator::with_options(&*model.network, &prompt, sampler, options)?;
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} tokens, {eta} left");
        let bar = ProgressBar::new(prompt.len() as u64)
            .with_style(style.expect("the template is well formed"));
        generator.prefill(&mut |read, all| {
            bar.set_length(all as u64);
            bar.set_position(read as u64);
            !interrupt.pressed()
        })?;
        bar.finish_and_clear();
        if interrupt.pressed() {
            return Ok(Exit::Interrupted);
        }
        let cache = generator.into_cache();
        cache.save(&self.out, &model.config.fingerprint())?;
        let (tokens, size) = (cache.tokens().len(), cache.bytes() as f64 / 1e6);
        say(&format!(
            "{}: {tokens} tokens, {size:.1} MB",
            self.out.display()
        ));
        Ok(Exit::Success)
    }
}
