//! Owns the tiny tokenizers that tests train on the spot, one of each common kind.

use std::path::Path;

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use tokenizers::tokenizer::{AddedToken, Model};

use crate::tokenizer::Tokenizer;

/// What the tokenizers are trained on.
pub(crate) const SENTENCES: &[&str] = &[
    "The little fox ran over the hill and found a red ball.",
    "Once upon a time there was a little girl named Mia.",
    "She said hello to the fox, and the fox said hello too.",
    "naïve café, 你好世界, こんにちは, 🙂 and 👩‍👩‍👧 say hello",
];

/// The special tokens of every test tokenizer: `<s>` is 0, `</s>` is 1.
pub(crate) const BOS: &str = "<s>";
pub(crate) const EOS: &str = "</s>";

fn special() -> Vec<AddedToken> {
    vec![AddedToken::from(BOS, true), AddedToken::from(EOS, true)]
}

fn finish(inner: tokenizers::Tokenizer) -> Tokenizer {
    let json = inner.to_string(false).unwrap();
    Tokenizer::parse(Path::new("test/tokenizer.json"), &json).unwrap()
}

/// Byte-level BPE, as GPT-2, Llama 3 and Qwen have.
pub(crate) fn byte_level() -> Tokenizer {
    finish(byte_level_inner())
}

pub(crate) fn byte_level_inner() -> tokenizers::Tokenizer {
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    inner
        .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
        .with_decoder(Some(ByteLevel::default()));
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .vocab_size(400)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special())
        .build()
        .into();
    inner.train(&mut trainer, SENTENCES.iter()).unwrap();
    inner
}

/// Words marked with `▁` and a metaspace decoder, as sentencepiece unigram models have.
pub(crate) fn metaspace() -> Tokenizer {
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    let space = || Metaspace::new('▁', PrependScheme::Always, true);
    inner
        .with_pre_tokenizer(Some(space()))
        .with_decoder(Some(space()));
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .vocab_size(300)
        .show_progress(false)
        .special_tokens(special())
        .build()
        .into();
    inner.train(&mut trainer, SENTENCES.iter()).unwrap();
    finish(inner)
}

/// `▁` and bytes spelt `<0xNN>`, as Llama 2 and Mistral have; id of byte 0 is 2.
pub(crate) fn byte_fallback() -> Tokenizer {
    byte_fallback_with(
        r#"{"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}"#,
    )
}

/// The same vocabulary under another decoder.
pub(crate) fn byte_fallback_with(decoder: &str) -> Tokenizer {
    let mut vocabulary = vec![BOS.to_owned(), EOS.to_owned()];
    vocabulary.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let letters = "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,é";
    vocabulary.extend(letters.chars().map(String::from));
    let merges = ["▁ t", "h e", "▁t he", "l l", "he ll", "hell o", "▁ ▁"];
    vocabulary.extend(merges.iter().map(|pair| pair.replace(' ', "")));
    let vocabulary: serde_json::Map<String, serde_json::Value> = vocabulary
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    let added = |id: u32, content: &str| {
        serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true})
    };
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, BOS), added(1, EOS)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": BOS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {BOS: {"id": BOS, "ids": [0], "tokens": [BOS]}}},
        "decoder": serde_json::from_str::<serde_json::Value>(decoder).unwrap(),
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges},
    });
    Tokenizer::parse(Path::new("test/tokenizer.json"), &json.to_string()).unwrap()
}

/// WordPiece, whose tokens depend on their place, so that streaming needs a window.
pub(crate) fn word_piece() -> Tokenizer {
    let model = WordPiece::builder()
        .unk_token("[UNK]".to_owned())
        .build()
        .unwrap();
    assert_eq!(model.get_vocab_size(), 0);
    let mut inner = tokenizers::Tokenizer::new(model);
    inner
        .with_pre_tokenizer(Some(Whitespace {}))
        .with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    let mut specials = special();
    specials.push(AddedToken::from("[UNK]", true));
    let mut trainer: TrainerWrapper = WordPieceTrainer::builder()
        .vocab_size(200)
        .show_progress(false)
        .special_tokens(specials)
        .build()
        .into();
    inner.train(&mut trainer, SENTENCES.iter()).unwrap();
    finish(inner)
}
