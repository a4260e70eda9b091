//! Owns the metadata that a `tokenizer.json` amounts to.

use std::collections::HashMap;

use olivine_io::GgufMetadata;
use serde_json::Value;

use super::{
    pre::{self, GPT2},
    tokenizer::{
        ADD_BOS, ADD_EOS, CHAT_TEMPLATE, MERGES, MODEL, PRE, SCORES, SPACE_PREFIX, TOKENS, TYPES,
        WHOLE, kind,
    },
};
use crate::{Error, ModelConfig, ModelFolder, Result, json::Object, tokenizer::special_tokens};

/// The metadata of the folder's tokenizer, chat template and recommended sampler; one token for
/// each of the `vocab_size` rows of the table of embeddings.
pub(super) fn metadata(
    folder: &ModelFolder,
    config: &ModelConfig,
    vocab_size: usize,
) -> Result<GgufMetadata> {
    let (path, text) = folder.tokenizer_json()?;
    let whole = Object::parse(&path, &text)?;
    let model = whole.required("model", whole.object("model")?)?;
    let refuse = |message: &str| Error::Tokenizer {
        path: path.clone(),
        message: message.to_owned(),
    };
    if model.string("type")? != Some("BPE") {
        return Err(refuse("only BPE tokenizers can be written as GGUF"));
    }
    let table = Table::read(&whole, &model, vocab_size)?;
    let parts = |field: &str, list: &str| flattened(whole.get(field), list);
    let cuts = parts("pre_tokenizer", "pretokenizers");
    let normalizers = parts("normalizer", "normalizers");
    let mut metadata = GgufMetadata::new();
    let mut put = |key: &str, value: olivine_io::GgufValue| metadata.insert(key.to_owned(), value);
    let merges = merges(&model)?;
    let is = |value: &&Value, kind: &str| value["type"] == kind;
    let byte_level = cuts.iter().any(|cut| is(cut, "ByteLevel"));
    let mut kinds = table.kinds.clone();
    if byte_level {
        put(MODEL, "gpt2".into());
        let whole_words = model.bool("ignore_merges")?.unwrap_or(false);
        let composed = normalizers.iter().any(|step| is(step, "NFC"));
        if normalizers.iter().any(|step| !is(step, "NFC")) {
            return Err(refuse("GGUF has no name for this normalizer"));
        }
        let expressions = expressions(&cuts);
        let known = expressions.and_then(|cuts| pre::cutting(&cuts, whole_words, composed));
        let known = known.ok_or_else(|| refuse("GGUF has no name for this pre-tokenizer"))?;
        put(PRE, known.names[0].into());
        let spaced = cuts.iter().any(|cut| cut["add_prefix_space"] == true);
        put(SPACE_PREFIX, spaced.into());
        let joined: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
        put(MERGES, joined.into());
    } else {
        let metaspace = cuts.iter().find(|cut| is(cut, "Metaspace"));
        let prepends = normalizers.iter().any(|step| is(step, "Prepend"));
        let replaces = normalizers.iter().any(|step| is(step, "Replace"));
        if metaspace.is_none() && !prepends && !replaces {
            return Err(refuse(
                "only byte-level and sentencepiece tokenizers can be written as GGUF",
            ));
        }
        put(MODEL, "llama".into());
        put(PRE, "default".into());
        let spaced = prepends || metaspace.is_some_and(|cut| cut["prepend_scheme"] != "never");
        put(SPACE_PREFIX, spaced.into());
        put(SCORES, table.scores(&merges).into());
        for (token, kind) in table.tokens.iter().zip(&mut kinds) {
            let byte = token
                .strip_prefix("<0x")
                .and_then(|rest| rest.strip_suffix('>'));
            if byte.is_some_and(|digits| u8::from_str_radix(digits, 16).is_ok()) {
                *kind = kind::BYTE as i32;
            }
        }
        // Readers take pieces together by scores; merges keep what scores cannot say.
        if merges
            .iter()
            .all(|(a, b)| !a.contains(' ') && !b.contains(' '))
        {
            let joined: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
            put(MERGES, joined.into());
        }
    }

    let named = match folder.tokenizer_config()? {
        Some(object) => special_tokens(&object)?,
        None => std::collections::BTreeMap::default(),
    };
    let id_of = |field: &str| {
        let token = named.get(field).map(String::as_str)?;
        table.ids.get(token).copied()
    };
    let unknown = match model.string("unk_token")? {
        Some(token) => table.ids.get(token).copied(),
        None => id_of("unk_token"),
    };
    if let Some(kind) = unknown.and_then(|id| kinds.get_mut(id as usize)) {
        *kind = kind::UNKNOWN as i32;
    }
    let bos = id_of("bos_token").or(config.bos_token_id);
    let named_end = id_of("eos_token");
    let others = config.eos_token_ids.iter().copied();
    let generation = folder.generation_config()?;
    let others = others.chain(generation.eos_token_ids.iter().copied());
    let mut ends: Vec<u32> = named_end.into_iter().collect();
    for id in others {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    let end_names = ["eos", "eot", "eom"];
    let mut ids: Vec<(&str, Option<u32>)> = vec![
        ("bos", bos),
        ("unknown", unknown),
        ("padding", id_of("pad_token")),
    ];
    ids.extend(end_names.into_iter().zip(ends.iter().copied().map(Some)));
    for (name, id) in ids {
        if let Some(id) = id.filter(|id| (*id as usize) < vocab_size) {
            put(&format!("tokenizer.ggml.{name}_token_id"), id.into());
        }
    }
    let (front, back) = frame(whole.get("post_processor"));
    put(ADD_BOS, (front.is_some() && front == bos).into());
    put(
        ADD_EOS,
        (back.is_some() && back == ends.first().copied()).into(),
    );
    if let Some((_, template)) = folder.chat_template()? {
        put(CHAT_TEMPLATE, template.into());
    }
    put(TOKENS, table.tokens.into());
    put(TYPES, kinds.into());
    put(WHOLE, text.into_owned().into());
    for (name, number) in [
        ("temp", generation.temperature),
        ("top_p", generation.top_p),
        ("min_p", generation.min_p),
    ] {
        if let Some(number) = number.filter(|_| generation.do_sample == Some(true)) {
            put(&format!("general.sampling.{name}"), (number as f32).into());
        }
    }
    let count = generation
        .top_k
        .filter(|_| generation.do_sample == Some(true));
    if let Some(count) = count.and_then(|count| i32::try_from(count).ok()) {
        put("general.sampling.top_k", count.into());
    }
    Ok(metadata)
}

/// The tokens in the order of their numbers.
struct Table {
    tokens: Vec<String>,
    kinds: Vec<i32>,
    ids: HashMap<String, u32>,
}

impl Table {
    fn read(whole: &Object, model: &Object, size: usize) -> Result<Self> {
        let vocabulary = model.required("vocab", model.object("vocab")?)?;
        let mut table = Table {
            tokens: Vec::new(),
            kinds: vec![kind::UNUSED as i32; size],
            ids: HashMap::new(),
        };
        let mut found: HashMap<u32, String> = HashMap::new();
        let mut add = |table: &mut Table, token: &str, id: Option<u64>, kind: i64| {
            let id = id.and_then(|id| u32::try_from(id).ok());
            let Some(id) = id.filter(|id| (*id as usize) < size) else {
                let problem = format!("has {token:.40?}, which is no token of {size}");
                return Err(vocabulary.bad("vocab", problem));
            };
            found.insert(id, token.to_owned());
            table.ids.insert(token.to_owned(), id);
            table.kinds[id as usize] = kind as i32;
            Ok(())
        };
        for (token, id) in vocabulary.entries() {
            add(&mut table, token, id.as_u64(), kind::NORMAL)?;
        }
        let added = whole.get("added_tokens").and_then(Value::as_array);
        for token in added.into_iter().flatten() {
            let Some(content) = token["content"].as_str() else {
                return Err(whole.bad("added_tokens", "must be a list of tokens"));
            };
            let kind = if token["special"] == true {
                kind::CONTROL
            } else {
                kind::USER_DEFINED
            };
            add(&mut table, content, token["id"].as_u64(), kind)?;
        }
        // Rows that no token has still need a name of their own.
        let name = |id: u32| found.remove(&id).unwrap_or_else(|| format!("[PAD{id}]"));
        table.tokens = (0..size as u32).map(name).collect();
        Ok(table)
    }

    /// Scores that order merges as a list does.
    fn scores(&self, merges: &[(String, String)]) -> Vec<f32> {
        // What no merge makes comes last.
        let mut scores = vec![-(merges.len() as f32); self.tokens.len()];
        for (rank, (left, right)) in merges.iter().enumerate().rev() {
            if let Some(&id) = self.ids.get(&format!("{left}{right}")) {
                scores[id as usize] = -(rank as f32);
            }
        }
        scores
    }
}

fn merges(model: &Object) -> Result<Vec<(String, String)>> {
    let list = model.get("merges").and_then(Value::as_array);
    let list = model.required("merges", list)?;
    let pair = |merge: &Value| {
        let (left, right) = match merge {
            Value::String(text) => text.split_once(' ')?,
            Value::Array(parts) => match &parts[..] {
                [left, right] => (left.as_str()?, right.as_str()?),
                _ => return None,
            },
            _ => return None,
        };
        Some((left.to_owned(), right.to_owned()))
    };
    let pairs = list.iter().map(pair).collect::<Option<_>>();
    pairs.ok_or_else(|| model.bad("merges", "must be a list of pairs"))
}

/// A step, or the steps of a sequence of them.
fn flattened<'a>(value: Option<&'a Value>, list: &str) -> Vec<&'a Value> {
    match value {
        None => Vec::new(),
        Some(value) if value["type"] == "Sequence" => {
            value[list].as_array().into_iter().flatten().collect()
        }
        Some(value) => vec![value],
    }
}

/// The regular expressions of a pre-tokenizer's steps, if all of them are such.
fn expressions(steps: &[&Value]) -> Option<Vec<String>> {
    let mut cuts = Vec::new();
    for step in steps {
        match step["type"].as_str()? {
            "Split" => {
                let isolated = step["behavior"] == "Isolated" && step["invert"] == false;
                // Keeping what is not cut away comes to the same where everything is a match.
                let kept = step["behavior"] == "Removed" && step["invert"] == true;
                let cut = step["pattern"]["Regex"].as_str()?;
                if !isolated && !kept {
                    return None;
                }
                cuts.push(cut.to_owned());
            }
            "Digits" if step["individual_digits"] == true => cuts.push(pre::DIGIT.to_owned()),
            "ByteLevel" if step["use_regex"] != false => cuts.push(GPT2.to_owned()),
            "ByteLevel" => {}
            _ => return None,
        }
    }
    Some(cuts)
}

/// The special tokens at both ends of a framed text.
fn frame(processor: Option<&Value>) -> (Option<u32>, Option<u32>) {
    let steps = flattened(processor, "processors");
    let Some(template) = steps
        .iter()
        .find(|step| step["type"] == "TemplateProcessing")
    else {
        return (None, None);
    };
    let id = |part: Option<&Value>| {
        let token = part?["SpecialToken"]["id"].as_str()?;
        let id = template["special_tokens"][token]["ids"][0].as_u64()?;
        u32::try_from(id).ok()
    };
    let parts = template["single"].as_array();
    (
        id(parts.and_then(|parts| parts.first())),
        id(parts.and_then(|parts| parts.last())),
    )
}
