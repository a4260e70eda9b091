//! Owns the `tokenizer.json` that a GGUF file's vocabulary amounts to.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::{
    keys::Keys,
    pre::{self, Pre},
};
use crate::error::Result;

pub(super) const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
pub(super) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(super) const TYPES: &str = "tokenizer.ggml.token_type";
pub(super) const SCORES: &str = "tokenizer.ggml.scores";
pub(super) const MERGES: &str = "tokenizer.ggml.merges";
pub(super) const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
pub(super) const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";
pub(super) const SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
pub(super) const CHAT_TEMPLATE: &str = "tokenizer.chat_template";
pub(super) const WHOLE: &str = "tokenizer.huggingface.json";

/// Pieces longer than this are not taken apart: sentencepiece makes none of more than 16 letters,
/// and runs of spaces are not much longer.
const LONGEST_PIECE: usize = 256;

/// What the numbers of `token_type` mean.
pub(super) mod kind {
    pub(crate) const NORMAL: i64 = 1;
    pub(crate) const UNKNOWN: i64 = 2;
    pub(crate) const CONTROL: i64 = 3;
    pub(crate) const USER_DEFINED: i64 = 4;
    pub(crate) const UNUSED: i64 = 5;
    pub(crate) const BYTE: i64 = 6;
}

/// Tokens that end a turn, which files need not name where they have another end of text.
const ENDS: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "<｜end▁of▁sentence｜>",
];

/// The tokens that metadata give a part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpecialIds {
    pub(super) bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    eom: Option<u32>,
    unknown: Option<u32>,
    padding: Option<u32>,
}

impl SpecialIds {
    pub(super) fn read(keys: Keys) -> Result<Self> {
        let count = keys.texts(TOKENS)?.map_or(0, <[String]>::len);
        // Some files write -1 for none.
        let known = |id: i64| u32::try_from(id).ok().filter(|id| (*id as usize) < count);
        let id = |name: &str, usual: i64| {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let value = keys.get(&key);
            match value.map(olivine_io::GgufValue::as_i64) {
                None => Ok(known(usual)),
                Some(Some(id)) => Ok(known(id)),
                Some(None) => Err(keys.bad(&key, "must be a whole number")),
            }
        };
        // What sentencepiece does unless told otherwise, by a token's kind for one.
        let kinds = keys.integers(TYPES)?;
        let usual = |id: usize, kind: i64| {
            let own = kinds.as_ref().and_then(|kinds| kinds.get(id));
            if own.is_none_or(|own| *own == kind) {
                id as i64
            } else {
                -1
            }
        };
        let [bos, eos, unknown] = match keys.text(MODEL)? {
            Some("llama") => [
                usual(1, kind::CONTROL),
                usual(2, kind::CONTROL),
                usual(0, kind::UNKNOWN),
            ],
            _ => [-1; 3],
        };
        Ok(SpecialIds {
            bos: id("bos", bos)?,
            eos: id("eos", eos)?,
            eot: id("eot", -1)?,
            eom: id("eom", -1)?,
            unknown: id("unknown", unknown)?,
            padding: id("padding", -1)?,
        })
    }

    /// All tokens that end a text.
    pub(super) fn ends(&self, keys: Keys) -> Result<Vec<u32>> {
        let mut ends: Vec<u32> = [self.eos, self.eot, self.eom]
            .into_iter()
            .flatten()
            .collect();
        let special = [kind::CONTROL, kind::USER_DEFINED];
        if let Some(tokens) = keys.texts(TOKENS)? {
            let kinds = kinds(keys, tokens)?;
            let named = tokens.iter().zip(kinds).zip(0..);
            ends.extend(named.filter_map(|((token, kind), id)| {
                (special.contains(&kind) && ENDS.contains(&token.as_str())).then_some(id)
            }));
        }
        let mut seen = std::collections::BTreeSet::new();
        ends.retain(|id| seen.insert(*id));
        Ok(ends)
    }
}

/// The kind of each token.
fn kinds(keys: Keys, tokens: &[String]) -> Result<Vec<i64>> {
    let Some(kinds) = keys.integers(TYPES)? else {
        return Ok(vec![kind::NORMAL; tokens.len()]);
    };
    if kinds.len() != tokens.len() {
        let (own, all) = (kinds.len(), tokens.len());
        return Err(keys.bad(TYPES, format!("has {own} entries for {all} tokens")));
    }
    Ok(kinds)
}

/// The text of the `tokenizer_config.json`.
pub(super) fn config_text(keys: Keys) -> Result<String> {
    let ids = SpecialIds::read(keys)?;
    let tokens = keys.texts(TOKENS)?.unwrap_or_default();
    let mut fields = Map::new();
    for (field, id) in [
        ("bos_token", ids.bos),
        ("eos_token", ids.eos),
        ("unk_token", ids.unknown),
        ("pad_token", ids.padding),
    ] {
        if let Some(token) = id.and_then(|id| tokens.get(id as usize)) {
            fields.insert(field.to_owned(), token.as_str().into());
        }
    }
    if let Some(template) = keys.text(CHAT_TEMPLATE)? {
        fields.insert("chat_template".to_owned(), template.into());
    }
    Ok(format!("{:#}\n", Value::Object(fields)))
}

/// The text of the `generation_config.json`.
pub(super) fn generation_text(keys: Keys) -> Result<Option<String>> {
    let mut fields = Map::new();
    for (field, name) in [
        ("temperature", "temp"),
        ("top_p", "top_p"),
        ("min_p", "min_p"),
    ] {
        if let Some(number) = keys.number(&format!("general.sampling.{name}"))? {
            fields.insert(field.to_owned(), number.into());
        }
    }
    if let Some(count) = keys.size("general.sampling.top_k")? {
        fields.insert("top_k".to_owned(), count.into());
    }
    if fields.is_empty() {
        return Ok(None);
    }
    fields.insert("do_sample".to_owned(), true.into());
    Ok(Some(format!("{:#}\n", Value::Object(fields))))
}

/// The text of the `tokenizer.json`.
pub(super) fn text(keys: Keys) -> Result<String> {
    if let Some(whole) = keys.text(WHOLE)? {
        return Ok(whole.to_owned());
    }
    let model = keys.required(MODEL, keys.text(MODEL)?)?;
    let tokens = keys.required(TOKENS, keys.texts(TOKENS)?)?;
    let vocabulary = Vocabulary {
        keys,
        tokens,
        kinds: kinds(keys, tokens)?,
        ids: SpecialIds::read(keys)?,
    };
    let parts = match model {
        "gpt2" => vocabulary.byte_level()?,
        "llama" => vocabulary.sentencepiece()?,
        other => return Err(keys.unsupported(MODEL, other, "gpt2, llama")),
    };
    vocabulary.json(parts)
}

struct Vocabulary<'a> {
    keys: Keys<'a>,
    tokens: &'a [String],
    kinds: Vec<i64>,
    ids: SpecialIds,
}

/// What kinds of tokenizers differ in.
struct Parts<'a> {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    merges: Vec<(&'a str, &'a str)>,
    unknown: Option<&'a str>,
    byte_fallback: bool,
    whole_words: bool,
    adds_bos: bool,
}

impl<'a> Vocabulary<'a> {
    fn json(&self, parts: Parts) -> Result<String> {
        let mut vocabulary = Map::new();
        for (token, id) in self.tokens.iter().zip(0u32..) {
            // Of equal tokens the first is the one that text becomes.
            vocabulary
                .entry(token.as_str())
                .or_insert_with(|| id.into());
        }
        let mut added = Vec::new();
        for ((token, kind), id) in self.tokens.iter().zip(&self.kinds).zip(0u32..) {
            let special = match *kind {
                kind::CONTROL | kind::UNKNOWN => true,
                kind::USER_DEFINED => false,
                _ => Some(id) == self.ids.bos || Some(id) == self.ids.eos,
            };
            if !token.is_empty() && (special || *kind == kind::USER_DEFINED) {
                added.push(json!({"id": id, "content": token, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false, "special": special}));
            }
        }
        let model = json!({"type": "BPE", "dropout": null, "unk_token": parts.unknown,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": parts.byte_fallback, "ignore_merges": parts.whole_words,
            "vocab": vocabulary, "merges": parts.merges});
        let whole = json!({"version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added, "normalizer": parts.normalizer,
            "pre_tokenizer": parts.pre_tokenizer,
            "post_processor": self.frame(parts.adds_bos)?,
            "decoder": parts.decoder, "model": model});
        Ok(whole.to_string())
    }

    /// What is put around a prompt.
    fn frame(&self, adds_bos: bool) -> Result<Value> {
        let token = |id: Option<u32>| {
            let id = id?;
            Some((self.tokens.get(id as usize)?, id))
        };
        let adds_bos = self.keys.truth(ADD_BOS)?.unwrap_or(adds_bos);
        let adds_eos = self.keys.truth(ADD_EOS)?.unwrap_or(false);
        let bos = token(self.ids.bos.filter(|_| adds_bos));
        let eos = token(self.ids.eos.filter(|_| adds_eos));
        if bos.is_none() && eos.is_none() {
            return Ok(Value::Null);
        }
        let special =
            |(text, _): (&String, u32)| json!({"SpecialToken": {"id": text, "type_id": 0}});
        let frame = |sequence: &str| {
            let inner = json!({"Sequence": {"id": sequence, "type_id": 0}});
            let parts = [bos.map(special), Some(inner), eos.map(special)];
            parts.into_iter().flatten().collect::<Vec<_>>()
        };
        let used: BTreeMap<&str, Value> = [bos, eos]
            .into_iter()
            .flatten()
            .map(|(text, id)| {
                let own = json!({"id": text, "ids": [id], "tokens": [text]});
                (text.as_str(), own)
            })
            .collect();
        let pair = [frame("A"), frame("B")].concat();
        Ok(
            json!({"type": "TemplateProcessing", "single": frame("A"), "pair": pair,
            "special_tokens": used}),
        )
    }

    /// Merges as files spell them: two parts and a space between.
    fn merges(&self) -> Result<Option<Vec<(&'a str, &'a str)>>> {
        let Some(merges) = self.keys.texts(MERGES)? else {
            return Ok(None);
        };
        let split = |merge: &'a String| {
            // A part may begin with a space.
            let first = merge.chars().next().map_or(0, char::len_utf8);
            let at = first + merge.get(first..)?.find(' ')?;
            Some((&merge[..at], &merge[at + 1..]))
        };
        let pairs = merges.iter().map(|merge| {
            let pair = split(merge);
            pair.ok_or_else(|| {
                self.keys
                    .bad(MERGES, format!("has {merge:.40?}, which is no pair"))
            })
        });
        pairs.collect::<Result<_>>().map(Some)
    }

    fn byte_level(&self) -> Result<Parts<'a>> {
        let keys = self.keys;
        let name = keys.text(PRE)?.unwrap_or("default");
        let pre: &Pre = pre::named(name).ok_or_else(|| keys.unsupported(PRE, name, pre::NAMES))?;
        let spaced = keys.truth(SPACE_PREFIX)?.unwrap_or(false);
        let byte_level = |cuts: bool| {
            json!({"type": "ByteLevel", "add_prefix_space": spaced, "trim_offsets": true,
                "use_regex": cuts})
        };
        // The last cut may be the one that the byte level makes by itself.
        let (last, before) = match pre.cuts.split_last() {
            Some((&pre::GPT2, before)) => (byte_level(true), before),
            _ => (byte_level(false), pre.cuts),
        };
        let mut steps: Vec<Value> = before
            .iter()
            .map(|cut| {
                json!({"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated",
                    "invert": false})
            })
            .collect();
        steps.push(last);
        let merges = self.merges()?;
        Ok(Parts {
            normalizer: if pre.composed {
                json!({"type": "NFC"})
            } else {
                Value::Null
            },
            pre_tokenizer: json!({"type": "Sequence", "pretokenizers": steps}),
            decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                "use_regex": true}),
            merges: keys.required(MERGES, merges)?,
            unknown: None,
            byte_fallback: false,
            whole_words: pre.whole_words,
            adds_bos: pre.adds_bos,
        })
    }

    fn sentencepiece(&self) -> Result<Parts<'a>> {
        let spaced = self.keys.truth(SPACE_PREFIX)?.unwrap_or(true);
        let merges = match self.merges()? {
            Some(merges) => merges,
            None => self.merges_of_scores()?,
        };
        let marks = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let normalizer = if spaced {
            json!({"type": "Sequence",
        "normalizers": [{"type": "Prepend", "prepend": "▁"}, marks]})
        } else {
            marks
        };
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if spaced {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let unknown = self.ids.unknown.and_then(|id| self.tokens.get(id as usize));
        Ok(Parts {
            normalizer,
            pre_tokenizer: Value::Null,
            decoder: json!({"type": "Sequence", "decoders": decoders}),
            merges,
            unknown: unknown.map(String::as_str),
            byte_fallback: true,
            whole_words: false,
            adds_bos: true,
        })
    }

    /// Every way of putting a piece together from two others, best scores first.
    fn merges_of_scores(&self) -> Result<Vec<(&'a str, &'a str)>> {
        let keys = self.keys;
        let scores = keys.required(SCORES, keys.floats(SCORES)?)?;
        let tokens = self.tokens;
        if scores.len() != tokens.len() {
            let (own, all) = (scores.len(), tokens.len());
            return Err(keys.bad(SCORES, format!("has {own} entries for {all} tokens")));
        }
        let is_piece = |kind: i64| matches!(kind, kind::NORMAL | kind::USER_DEFINED);
        let pieces = tokens.iter().zip(&self.kinds).zip(0u32..);
        let ids: HashMap<&str, u32> = pieces
            .filter(|((_, kind), _)| is_piece(**kind))
            .map(|((token, _), id)| (token.as_str(), id))
            .collect();
        let mut merges: Vec<(f32, u32, u32, usize)> = Vec::new();
        for (&token, &id) in ids.iter().filter(|(token, _)| token.len() <= LONGEST_PIECE) {
            for (at, _) in token.char_indices().skip(1) {
                if let (Some(&left), true) = (ids.get(&token[..at]), ids.contains_key(&token[at..]))
                {
                    merges.push((scores[id as usize], id, left, at));
                }
            }
        }
        merges.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let pair = |(_, id, _, at): (f32, u32, u32, usize)| tokens[id as usize].split_at(at);
        Ok(merges.into_iter().map(pair).collect())
    }
}
