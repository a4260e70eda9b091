//! Owns `olivine perplexity`: how well a model foresees a text.

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use olivine_lm::{Model, perplexity};
use serde_json::json;

use crate::{
    error::{CliError, Exit},
    interrupt::Interrupt,
    model::ComputeArgs,
};

const EXAMPLES: &str = "\
Examples:
  olivine perplexity --model llama-4bit wiki.test.txt
      In pieces of 512 tokens.
  olivine perplexity --model llama-4bit wiki.test.txt --length 2048 --pieces 20 --json
      The first 20 pieces of 2048 tokens, as JSON.";

/// Measure how well a model foresees a text: lower is better.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Perplexity {
    /// A text file; `-` is standard input
    #[arg(value_name = "FILE")]
    text: PathBuf,

    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// Cut the text into pieces of so many tokens, each read without the others
    #[arg(long, value_name = "N", default_value_t = 512)]
    length: usize,

    /// Read only the first so many pieces
    #[arg(long, value_name = "N")]
    pieces: Option<usize>,

    /// Read so many pieces at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,

    #[command(flatten)]
    compute: ComputeArgs,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Perplexity {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let mut text = String::new();
        let failed = |error| CliError::File(self.text.clone(), error);
        if self.text.as_os_str() == "-" {
            std::io::stdin()
                .lock()
                .read_to_string(&mut text)
                .map_err(failed)?;
        } else {
            text = std::fs::read_to_string(&self.text).map_err(failed)?;
        }
        let model = Model::from_folder(&self.compute.open(self.model.as_deref(), &interrupt)?)?;
        let mut tokens = model.tokenizer.encode(&text)?;
        if let Some(pieces) = self.pieces {
            tokens.truncate(pieces.saturating_mul(self.length));
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pieces, {msg}, {eta} left");
        let bar = ProgressBar::new(0).with_style(style.expect("the template is well formed"));
        let measured = perplexity(
            &*model.network,
            &tokens,
            self.length,
            self.batch,
            &mut |done, all, so_far| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                bar.set_message(format!("{so_far:.3} so far"));
                !interrupt.pressed()
            },
        )?;
        bar.finish_and_clear();
        let mut out = std::io::stdout();
        let line = if self.json {
            json!({
                "perplexity": measured.value(),
                "standard_error": measured.standard_error(),
                "tokens": measured.tokens,
                "length": self.length,
            })
            .to_string()
        } else {
            let (value, error) = (measured.value(), measured.standard_error());
            format!(
                "perplexity {value:.4} ± {error:.4} over {} tokens",
                measured.tokens
            )
        };
        writeln!(out, "{line}").map_err(CliError::Write)?;
        Ok(if interrupt.pressed() {
            Exit::Interrupted
        } else {
            Exit::Success
        })
    }
}
