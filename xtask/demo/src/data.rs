//! Owns the files that training reads, and knows when they can be used again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use crate::corpus::{Split, document, hash_text};
use crate::recipe::Recipe;
use crate::stream::{TokenStream, encode_documents};
use crate::{Error, Result, create_folder, tokenizer, write_file};

/// Documents whose text stands for the generator's version.
const FINGERPRINT_DOCUMENTS: u64 = 400;

/// The tokenizer and the two token streams.
pub struct Data {
    /// Splits text into tokens.
    pub tokenizer: Tokenizer,
    /// What to learn from.
    pub train: TokenStream,
    /// What only to measure on.
    pub held_out: TokenStream,
    /// What the data is.
    pub facts: DataFacts,
}

/// What data was made from, and how much came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    settings: Settings,
    /// Documents to learn from.
    pub train_documents: usize,
    /// Tokens to learn from.
    pub train_tokens: usize,
    /// Documents to measure on.
    pub held_out_documents: usize,
    /// Tokens to measure on.
    pub held_out_tokens: usize,
    /// Seconds it took to make.
    pub seconds: f64,
}

/// What decides the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settings {
    seed: u64,
    train_tokens: usize,
    held_out_tokens: usize,
    tokenizer_documents: u64,
    /// Changes with the text generator.
    corpus: String,
}

impl Settings {
    fn of(recipe: &Recipe) -> Self {
        let seed = recipe.seed;
        let texts = [Split::Train, Split::HeldOut]
            .into_iter()
            .flat_map(|split| {
                (0..FINGERPRINT_DOCUMENTS).map(move |index| document(seed, split, index))
            });
        Settings {
            seed,
            train_tokens: recipe.train_tokens(),
            held_out_tokens: recipe.held_out_tokens,
            tokenizer_documents: recipe.tokenizer_documents,
            corpus: format!("{:016x}", hash_text(&texts.collect::<String>())),
        }
    }
}

/// The file that says what the others were made from. It is written last.
fn facts_path(out: &Path) -> PathBuf {
    out.join("data.json")
}

/// Makes the data of `recipe` in the folder `out`, or reads what a run with the same settings left
/// there. `bar` gives a progress bar for each stream.
pub fn prepare(
    recipe: &Recipe,
    out: &Path,
    bar: impl Fn(&'static str) -> ProgressBar,
) -> Result<Data> {
    let settings = Settings::of(recipe);
    if let Some(facts) = reusable(out, &settings) {
        return read(recipe, out, facts);
    }
    let begun = Instant::now();
    create_folder(out)?;
    let stale = facts_path(out);
    if stale.exists() {
        fs::remove_file(&stale).map_err(|source| Error::file(&stale, source))?;
    }
    let tokenizer = tokenizer::train(recipe.seed, recipe.tokenizer_documents)?;
    tokenizer::save(&tokenizer, out)?;
    let mut counts = Vec::new();
    for (split, name, wanted) in [
        // The last target lies one behind the last input.
        (
            Split::Train,
            "train",
            settings.train_tokens.saturating_add(1),
        ),
        (Split::HeldOut, "held-out", settings.held_out_tokens),
    ] {
        let tokens = encode_documents(&tokenizer, recipe.seed, split, wanted, &bar(name))?;
        // A token stands before each document, and after the last.
        counts.push((
            tokens.iter().filter(|&&token| token == 0).count() - 1,
            tokens.len(),
        ));
        let path = out.join(format!("{name}.bin"));
        let stream = TokenStream::new(tokens, recipe.seed).ok_or_else(|| Error::TooFewTokens {
            path: path.clone(),
            tokens: 0,
        })?;
        stream.save(&path)?;
    }
    let facts = DataFacts {
        settings,
        train_documents: counts[0].0,
        train_tokens: counts[0].1,
        held_out_documents: counts[1].0,
        held_out_tokens: counts[1].1,
        seconds: begun.elapsed().as_secs_f64(),
    };
    let text = serde_json::to_string_pretty(&facts).expect("numbers and text serialise");
    write_file(&facts_path(out), text + "\n")?;
    read(recipe, out, facts)
}

/// The facts of the data in `out`, if it was made with these settings. Unreadable ones are made anew.
fn reusable(out: &Path, settings: &Settings) -> Option<DataFacts> {
    let text = fs::read_to_string(facts_path(out)).ok()?;
    let facts: DataFacts = serde_json::from_str(&text).ok()?;
    let all_there = ["tokenizer.json", "train.bin", "held-out.bin"]
        .iter()
        .all(|name| out.join(name).is_file());
    (facts.settings == *settings && all_there).then_some(facts)
}

fn read(recipe: &Recipe, out: &Path, facts: DataFacts) -> Result<Data> {
    let stream = |name: &str, expected: usize| {
        let path = out.join(name);
        let stream = TokenStream::load(&path, recipe.seed)?;
        let tokens = stream.tokens().len();
        // Rows are cut from anywhere in the text, so a batch's worth is the least that makes sense.
        if tokens != expected || tokens <= recipe.batch_tokens() {
            return Err(Error::TooFewTokens { path, tokens });
        }
        Ok(stream)
    };
    Ok(Data {
        tokenizer: Tokenizer::from_file(out.join("tokenizer.json"))
            .map_err(|error| Error::Tokenizer(error.to_string()))?,
        train: stream("train.bin", facts.train_tokens)?,
        held_out: stream("held-out.bin", facts.held_out_tokens)?,
        facts,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn made(recipe: &Recipe, out: &Path) -> (DataFacts, SystemTime) {
        let data = prepare(recipe, out, |_| ProgressBar::hidden()).expect("prepares");
        let file = fs::metadata(out.join("train.bin")).expect("exists");
        (data.facts, file.modified().expect("a time"))
    }

    #[test]
    fn data_of_the_same_settings_is_used_again_and_other_data_is_made_anew() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let recipe = Recipe {
            steps: 3,
            batch: 2,
            seq: 64,
            tokenizer_documents: 200,
            held_out_tokens: 500,
            ..Recipe::default()
        };
        let first = made(&recipe, folder.path());
        assert!(first.0.train_tokens > 3 * 2 * 64 && first.0.train_documents > 1);
        assert_eq!(made(&recipe, folder.path()), first);
        let longer = Recipe {
            steps: 30,
            ..recipe.clone()
        };
        let second = made(&longer, folder.path());
        assert!(second.0.train_tokens > first.0.train_tokens);
        fs::remove_file(folder.path().join("held-out.bin")).expect("was there");
        assert_eq!(
            made(&longer, folder.path()).0.train_tokens,
            second.0.train_tokens
        );
    }
}
