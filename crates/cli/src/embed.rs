//! Owns `olivine embed`: texts as vectors.

use std::{io::Read, io::Write, path::PathBuf};

use clap::Args;
use olivine_lm::{Embedder, Pooling};
use serde_json::json;

use crate::{
    error::{CliError, Exit},
    interrupt::Interrupt,
    model,
};

const EXAMPLES: &str = "\
Examples:
  olivine embed --model sentence-transformers/all-MiniLM-L6-v2 \"A dog ran.\" \"A cat slept.\"
      One line of JSON for each text.
  olivine embed --model BAAI/bge-small-en-v1.5 - < lines.txt > vectors.jsonl
      Every line of the standard input is a text.
  olivine embed --model BAAI/bge-small-en-v1.5 --similarity \"a dog\" \"a puppy\" \"the moon\"
      How similar the texts are to the first, from -1 to 1.";

/// Turn texts into vectors, to compare and search them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Embed {
    /// Texts; `-` reads one from each line of the standard input
    #[arg(value_name = "TEXT", required = true)]
    texts: Vec<String>,

    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// How the tokens of a text become one vector: mean, cls, last or max [default: the model's]
    #[arg(long, value_name = "NAME")]
    pooling: Option<Pooling>,

    /// Leave the length of vectors as it is, not 1
    #[arg(long)]
    no_normalize: bool,

    /// Texts that are computed at once
    #[arg(long, value_name = "N", default_value_t = 32)]
    batch: usize,

    /// Print how similar each text is to the first, not the vectors
    #[arg(long)]
    similarity: bool,
}

impl Embed {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        let mut texts = Vec::new();
        for text in &self.texts {
            if text == "-" {
                let mut input = String::new();
                std::io::stdin()
                    .lock()
                    .read_to_string(&mut input)
                    .map_err(CliError::ReadPrompt)?;
                texts.extend(
                    input
                        .lines()
                        .filter(|line| !line.is_empty())
                        .map(str::to_owned),
                );
            } else {
                texts.push(text.clone());
            }
        }
        let mut embedder = Embedder::load(&model::open(self.model.as_deref(), &interrupt)?)?;
        if let Some(pooling) = self.pooling {
            embedder = embedder.pooled(pooling);
        }
        if self.no_normalize {
            embedder = embedder.normalized(false);
        }
        let mut out = std::io::stdout().lock();
        let mut first: Option<Vec<f32>> = None;
        for batch in texts.chunks(self.batch.max(1)) {
            let vectors = embedder.embed(batch)?;
            let width = vectors.shape()[1];
            let all = vectors.to_vec::<f32>().map_err(olivine_lm::Error::from)?;
            for (text, vector) in batch.iter().zip(all.chunks_exact(width.max(1))) {
                let line = if self.similarity {
                    let first = first.get_or_insert_with(|| vector.to_vec());
                    format!("{:.4} {text}", cosine(first, vector))
                } else {
                    json!({"text": text, "embedding": vector}).to_string()
                };
                writeln!(out, "{line}").map_err(CliError::Write)?;
            }
            if interrupt.pressed() {
                return Ok(Exit::Interrupted);
            }
        }
        Ok(Exit::Success)
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_the_cosine_of_the_angle() {
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert_eq!(cosine(&[1.0, 1.0], &[2.0, 2.0]), 1.0);
        assert_eq!(cosine(&[0.0], &[0.0]), 0.0);
    }
}
