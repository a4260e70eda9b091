//! Owns packed token streams: documents encoded in parallel, laid end to end, drawn as batches.

use std::fs;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::corpus::{Split, document, mix};
use crate::tokenizer::encode;
use crate::{Error, Result};

/// Documents encoded between two looks at the token count. Fixed, so that the stream does not
/// depend on the number of threads.
const ROUND: u64 = 2048;

/// Id of the token before each document.
const END_OF_TEXT_ID: u16 = 0;

/// A long row of tokens from which training draws its batches. Its whole state is a step counter.
#[derive(Clone, Debug)]
pub struct TokenStream {
    tokens: Vec<u16>,
    seed: u64,
    step: u64,
}

/// Encodes whole documents of `split` until there are at least `wanted` tokens.
pub fn encode_documents(
    tokenizer: &Tokenizer,
    seed: u64,
    split: Split,
    wanted: usize,
    progress: &ProgressBar,
) -> Result<Vec<u16>> {
    progress.set_length(wanted as u64);
    let mut tokens = Vec::with_capacity(wanted + 1024);
    let mut next = 0;
    while tokens.len() < wanted {
        let round: Vec<Vec<u16>> = (next..next + ROUND)
            .into_par_iter()
            .map(|index| encode(tokenizer, &document(seed, split, index)))
            .collect::<Result<_>>()?;
        for one in round {
            if tokens.len() >= wanted {
                break;
            }
            tokens.push(END_OF_TEXT_ID);
            tokens.extend(one);
        }
        next += ROUND;
        progress.set_position(tokens.len() as u64);
    }
    tokens.push(END_OF_TEXT_ID);
    progress.finish();
    Ok(tokens)
}

/// Returns a bar that counts tokens, labelled `name`.
pub fn token_bar(name: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix:>9} {wide_bar} {human_pos}/{human_len} tokens, {per_sec}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_prefix(name)
}

impl TokenStream {
    /// Makes a stream of `tokens`; None when there are none. `seed` decides the order of windows.
    pub fn new(tokens: Vec<u16>, seed: u64) -> Option<Self> {
        (!tokens.is_empty()).then_some(Self {
            tokens,
            seed,
            step: 0,
        })
    }

    /// Reads a stream that [`TokenStream::save`] wrote.
    pub fn load(path: &Path, seed: u64) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::file(path, source))?;
        let (pairs, rest) = bytes.as_chunks::<2>();
        let tokens = pairs.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
        let whole = if rest.is_empty() {
            Self::new(tokens, seed)
        } else {
            None
        };
        whole.ok_or_else(|| Error::TokenFile {
            path: path.to_owned(),
            bytes: bytes.len(),
        })
    }

    /// Writes the tokens as little-endian 16-bit words.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes: Vec<u8> = self
            .tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        fs::write(path, bytes).map_err(|source| Error::file(path, source))
    }

    /// Returns all tokens.
    pub fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// Returns how many batches were drawn.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Goes on as if `step` batches had been drawn, to resume a run.
    pub fn set_step(&mut self, step: u64) {
        self.step = step;
    }

    /// Returns how many batches of this shape show every window once.
    pub fn batches_per_epoch(&self, batch: usize, seq: usize) -> usize {
        self.windows(seq).div_ceil(batch.max(1))
    }

    /// Draws the next batch: `batch` rows of `seq` tokens, and the same rows one token later. Each
    /// epoch visits every window once, in a new order and from a new offset, so windows of later
    /// epochs cut the text at other places.
    pub fn batch(&mut self, batch: usize, seq: usize) -> (Vec<i32>, Vec<i32>) {
        let (mut inputs, mut targets) = (
            Vec::with_capacity(batch * seq),
            Vec::with_capacity(batch * seq),
        );
        let windows = self.windows(seq) as u64;
        for row in 0..batch as u64 {
            let drawn = self.step * batch as u64 + row;
            let (epoch, index) = (drawn / windows, drawn % windows);
            let offset = if epoch == 0 {
                0
            } else {
                mix(self.seed ^ mix(epoch)) % seq.max(1) as u64
            };
            let window = self.shuffled(epoch, index, windows);
            let start = (window * seq as u64 + offset) as usize;
            for at in start..start + seq {
                inputs.push(i32::from(self.tokens[at % self.tokens.len()]));
                targets.push(i32::from(self.tokens[(at + 1) % self.tokens.len()]));
            }
        }
        self.step += 1;
        (inputs, targets)
    }

    fn windows(&self, seq: usize) -> usize {
        (self.tokens.len() / seq.max(1)).max(1)
    }

    /// Permutes `0..windows`: a Feistel network on the next power of four, walked until it lands
    /// inside, so no table of positions is needed to resume anywhere.
    fn shuffled(&self, epoch: u64, index: u64, windows: u64) -> u64 {
        let half = (64 - windows.leading_zeros()).div_ceil(2);
        let mask = (1_u64 << half) - 1;
        let mut value = index;
        loop {
            let (mut left, mut right) = (value >> half, value & mask);
            for round in 0..4 {
                let key = mix(self.seed ^ mix(epoch * 4 + round));
                (left, right) = (right, left ^ (mix(right ^ key) & mask));
            }
            value = left << half | right;
            if value < windows {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(length: u16) -> TokenStream {
        TokenStream::new((0..length).collect(), 9).expect("not empty")
    }

    #[test]
    fn one_epoch_visits_every_window_once() {
        let mut stream = stream(1000);
        let mut firsts = Vec::new();
        for _ in 0..stream.batches_per_epoch(5, 10) {
            let (inputs, targets) = stream.batch(5, 10);
            assert!(
                inputs
                    .iter()
                    .zip(&targets)
                    .all(|(a, b)| (a + 1) % 1000 == *b)
            );
            firsts.extend(inputs.chunks(10).map(|row| row[0]));
        }
        let in_order: Vec<i32> = (0..100).map(|window| window * 10).collect();
        assert_ne!(firsts, in_order);
        firsts.sort_unstable();
        assert_eq!(firsts, in_order);
    }

    #[test]
    fn a_resumed_stream_goes_on_where_it_stopped() {
        let mut whole = stream(500);
        let expected: Vec<_> = (0..40).map(|_| whole.batch(4, 16)).collect();
        let mut resumed = stream(500);
        resumed.set_step(25);
        for batch in &expected[25..] {
            assert_eq!(&resumed.batch(4, 16), batch);
        }
        assert_eq!(resumed.step(), 40);
    }

    #[test]
    fn a_text_shorter_than_a_window_wraps_around() {
        assert_eq!(stream(3).batch(1, 4).1.len(), 4);
        assert!(TokenStream::new(Vec::new(), 0).is_none());
    }

    #[test]
    fn saved_streams_load_again_and_half_tokens_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.bin");
        let stream = stream(300);
        stream.save(&path).expect("writable");
        assert_eq!(
            TokenStream::load(&path, 9).expect("loads").tokens(),
            stream.tokens()
        );
        fs::write(&path, [1, 2, 3]).expect("writable");
        assert!(matches!(
            TokenStream::load(&path, 9),
            Err(Error::TokenFile { bytes: 3, .. })
        ));
    }

    #[test]
    fn the_stream_does_not_depend_on_the_number_of_threads() {
        let tokenizer = crate::tokenizer::train(3, 500).expect("trains");
        let encoded = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool");
            pool.install(|| {
                encode_documents(
                    &tokenizer,
                    3,
                    Split::HeldOut,
                    20_000,
                    &ProgressBar::hidden(),
                )
            })
            .expect("encodes")
        };
        let one = encoded(1);
        assert_eq!(one, encoded(3));
        assert_eq!((one[0], one[one.len() - 1]), (0, 0));
        assert!((20_001..22_000).contains(&one.len()), "{}", one.len());
    }
}
