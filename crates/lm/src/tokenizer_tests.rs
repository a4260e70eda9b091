//! Owns the tests of loading tokenizers and of encoding and decoding.

use std::fs;

use super::*;
use crate::test_tokenizers::{BOS, SENTENCES, byte_fallback, byte_level, byte_level_inner};

const CONFIG: &str = r#"{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 1000, "eos_token_id": 7}"#;

fn load(tokenizer_json: &[u8], tokenizer_config: &str) -> Result<Tokenizer> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("config.json"), CONFIG).unwrap();
    fs::write(directory.path().join("tokenizer.json"), tokenizer_json).unwrap();
    fs::write(
        directory.path().join("tokenizer_config.json"),
        tokenizer_config,
    )
    .unwrap();
    fs::write(
        directory.path().join("generation_config.json"),
        r#"{"eos_token_id": [7, 9]}"#,
    )
    .unwrap();
    let folder = ModelFolder::open(directory.path()).unwrap();
    Tokenizer::load(&folder, &folder.config()?, &folder.generation_config()?)
}

fn small_json() -> String {
    byte_level_inner().to_string(false).unwrap()
}

#[test]
fn text_survives_encoding_and_decoding() {
    let tokenizer = byte_level();
    for text in SENTENCES
        .iter()
        .chain(&["", " ", "\n\n\t", "e\u{301}", "🏳️‍🌈"])
    {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(&tokenizer.decode(&ids).unwrap(), text);
    }
}

#[test]
fn end_tokens_are_gathered_from_all_three_files() {
    let as_string = load(small_json().as_bytes(), r#"{"eos_token": "</s>"}"#).unwrap();
    assert_eq!(as_string.eos_ids(), &BTreeSet::from([1, 7, 9]));
    let as_object = r#"{"eos_token": {"content": "</s>", "lstrip": false}, "bos_token": "<s>",
        "add_bos_token": true, "pad_token": null}"#;
    let tokenizer = load(small_json().as_bytes(), as_object).unwrap();
    assert_eq!(tokenizer.eos_ids(), &BTreeSet::from([1, 7, 9]));
    assert_eq!(tokenizer.bos_id(), Some(0));
}

#[test]
fn malformed_special_tokens_name_the_field() {
    for (config, field) in [
        (r#"{"eos_token": 3}"#, "eos_token"),
        (r#"{"eos_token": {}}"#, "eos_token.content"),
        (r#"{"bos_token": {"content": []}}"#, "bos_token.content"),
    ] {
        let error = load(small_json().as_bytes(), config).unwrap_err();
        assert!(
            matches!(&error, Error::Field { field: named, .. } if named == field),
            "{config}: {error}"
        );
    }
}

#[test]
fn prompts_are_framed_once() {
    let mut tokenizer = byte_fallback();
    tokenizer.bos = Some((BOS.to_owned(), 0));
    let plain = tokenizer.encode("hello").unwrap();
    let framed = tokenizer.encode_prompt("hello").unwrap();
    assert_eq!(framed, [&[0], plain.as_slice()].concat());
    let rendered = tokenizer.encode_prompt("<s>hello").unwrap();
    assert_eq!(rendered.iter().filter(|&&id| id == 0).count(), 1);
}

#[test]
fn special_tokens_are_known_and_not_printed() {
    let tokenizer = byte_level();
    let ids = tokenizer.encode("<s>fox</s>").unwrap();
    assert_eq!((ids.first(), ids.last()), (Some(&0), Some(&1)));
    assert!(tokenizer.is_special(0) && tokenizer.is_special(1) && !tokenizer.is_special(5));
    assert_eq!(tokenizer.decode(&ids).unwrap(), "fox");
}

#[test]
fn ids_outside_the_vocabulary_are_errors() {
    let tokenizer = byte_level();
    let size = tokenizer.vocab_size();
    let error = tokenizer.decode(&[5, size as u32]).unwrap_err();
    assert!(
        matches!(error, Error::UnknownToken { id, vocab_size } if id as usize == size && vocab_size == size)
    );
}

#[test]
fn truncation_saved_in_the_file_does_not_cut_prompts() {
    let mut inner = byte_level_inner();
    inner
        .with_truncation(Some(tokenizers::TruncationParams {
            max_length: 3,
            ..Default::default()
        }))
        .unwrap();
    let json = inner.to_string(false).unwrap();
    let tokenizer = load(json.as_bytes(), "{}").unwrap();
    let ids = tokenizer.encode(SENTENCES[0]).unwrap();
    assert_eq!(tokenizer.decode(&ids).unwrap(), SENTENCES[0]);
}

#[test]
fn damaged_tokenizer_files_are_errors_that_name_them() {
    let json = small_json();
    for end in (0..json.len())
        .step_by(97)
        .filter(|&end| json.is_char_boundary(end))
    {
        let error = load(&json.as_bytes()[..end], "{}").unwrap_err();
        assert!(
            matches!(&error, Error::Json { path, .. } if path.ends_with("tokenizer.json")),
            "{end}: {error}"
        );
    }
    for text in ["null", "[]", "{}", r#"{"model": {"type": "Magic"}}"#] {
        assert!(matches!(
            load(text.as_bytes(), "{}").unwrap_err(),
            Error::Tokenizer { .. }
        ));
    }
    assert!(matches!(
        load(b"{\"a\": \"\xc3", "{}").unwrap_err(),
        Error::NotUtf8 { .. }
    ));
    assert!(matches!(
        load(json.as_bytes(), "{").unwrap_err(),
        Error::Json { .. }
    ));
}

#[test]
fn merges_of_unknown_tokens_are_an_error() {
    let json = r#"{"version": "1.0", "added_tokens": [], "model":
        {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}"#;
    let error = load(json.as_bytes(), "{}").unwrap_err();
    assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
}

#[test]
fn files_that_the_tokenizer_library_gives_up_on_are_errors() {
    let charsmap = r#"{"version": "1.0", "added_tokens": [], "normalizer":
        {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}"#;
    let error = load(charsmap.as_bytes(), "{}").unwrap_err();
    assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
    let strip = crate::test_tokenizers::byte_fallback_with(
        r#"{"type": "Strip", "content": "a", "start": 0, "stop": 5}"#,
    );
    let letter = strip.token_to_id("a").unwrap();
    assert!(matches!(
        strip.decode(&[letter]).unwrap_err(),
        Error::Decode { .. }
    ));
}
