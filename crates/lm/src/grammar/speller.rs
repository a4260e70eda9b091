//! Owns spelling text that a grammar prescribes in the tokens that a model would mostly choose for it.

use std::sync::Arc;

use llguidance::toktrie::TokEnv;

use crate::tokenizer::guarded;

/// Texts are spelt after a line's end: no token reaches over it, and a space that a tokenizer puts
/// before a text comes before it.
const LINE: &str = "\n";

/// A tokenizer, and the bytes of its tokens.
#[derive(Clone)]
pub(super) struct Speller {
    tokenizer: Arc<tokenizers::Tokenizer>,
    env: TokEnv,
}

impl Speller {
    pub(super) fn new(tokenizer: Arc<tokenizers::Tokenizer>, env: TokEnv) -> Self {
        Self { tokenizer, env }
    }

    /// Tokens for the first part of `bytes` that has any; none where a tokenizer spells differently.
    pub(super) fn spell(&self, bytes: &[u8]) -> Vec<u32> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // What follows may be a control token, or half a letter.
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        if text.is_empty() {
            return Vec::new();
        }
        let line = format!("{LINE}{text}");
        // This only saves work, so that a failure costs nothing but that.
        let Ok(encoding) = guarded(|| self.tokenizer.encode_fast(line, false)) else {
            return Vec::new();
        };
        let trie = self.env.tok_trie();
        let mut tokens = encoding.get_ids().iter().copied();
        let ends_line = |&token: &u32| trie.token(token).ends_with(LINE.as_bytes());
        if tokens.by_ref().find(ends_line).is_none() {
            return Vec::new();
        }
        let mut rest = text.as_bytes();
        let spells = |&token: &u32| match rest.strip_prefix(trie.token(token)) {
            Some(shorter) if shorter.len() < rest.len() => {
                rest = shorter;
                true
            }
            _ => false,
        };
        tokens.take_while(spells).collect()
    }
}
