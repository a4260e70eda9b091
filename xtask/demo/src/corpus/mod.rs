//! Owns the training text: deterministic stories and dialogues, every document a function of
//! (seed, split, index) alone.

mod dialogue;
mod questions;
mod rng;
mod schemas;
mod story;
mod template;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use questions::{Exchange, quiz};
pub(crate) use rng::{Rng, hash_text, mix};

/// Ends a document, and stands before the first.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Begins what the user says.
pub const USER: &str = "<|user|>";
/// Begins what the model says.
pub const ASSISTANT: &str = "<|assistant|>";
/// Ends what somebody says.
pub const END: &str = "<|end|>";

/// Which part of all possible documents to draw from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Split {
    /// Documents to train on.
    Train,
    /// Documents with combinations that training never sees.
    HeldOut,
}

/// Percentage of documents that are dialogues; they are shorter, so nearly half of all tokens.
const DIALOGUE_PERCENT: usize = 70;

/// Writes document `index` of `split` under `seed`.
pub fn document(seed: u64, split: Split, index: u64) -> String {
    let mut rng = Rng::for_document(seed, split as u64, index);
    if rng.chance(DIALOGUE_PERCENT) {
        dialogue::talk(split, &mut rng)
    } else {
        story::tell(split, &mut rng).text
    }
}
