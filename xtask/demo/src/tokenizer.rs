//! Owns the byte-level BPE tokenizer and the three Hugging-Face-style files that describe it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer, TokenizerBuilder,
};

use crate::corpus::{ASSISTANT, END, END_OF_TEXT, Split, USER, document};
use crate::{Error, Result};

/// Size of the vocabulary, special tokens included.
pub const VOCAB_SIZE: usize = 2048;

/// The special tokens; their position is their id.
pub const SPECIAL_TOKENS: [&str; 4] = [END_OF_TEXT, USER, ASSISTANT, END];

/// Renders messages as in training. Other roles than user and assistant are left out, because the
/// model has never seen any.
pub const CHAT_TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}\
{% if message['role'] in ['user', 'assistant'] %}\
{{ '<|' + message['role'] + '|>\\n' + (message['content'] | trim) + '<|end|>\\n' }}\
{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

/// Trains the tokenizer on the first `documents` training documents of `seed`. Equal arguments give
/// an equal tokenizer, byte for byte.
pub fn train(seed: u64, documents: u64) -> Result<Tokenizer> {
    let wrong = |error: tokenizers::Error| Error::Tokenizer(error.to_string());
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(VOCAB_SIZE)
        .show_progress(false)
        .special_tokens(
            SPECIAL_TOKENS
                .map(|token| AddedToken::from(token, true))
                .to_vec(),
        )
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let begin = TemplateProcessing::builder()
        .try_single(format!("{END_OF_TEXT} $A"))
        .map_err(|error| Error::Tokenizer(error.clone()))?
        .special_tokens(vec![(END_OF_TEXT, 0)])
        .build()
        .map_err(|error| Error::Tokenizer(error.to_string()))?;
    let mut tokenizer = TokenizerBuilder::<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    >::default()
    .with_model(BPE::default())
    .with_normalizer(None)
    .with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false).into()))
    .with_post_processor(Some(begin.into()))
    .with_decoder(Some(ByteLevel::default().into()))
    .build()
    .map_err(wrong)?;
    let texts = (0..documents).map(|index| {
        // Special tokens are never split, so their letters must not earn merges.
        let text = document(seed, Split::Train, index);
        SPECIAL_TOKENS
            .iter()
            .fold(text, |text, token| text.replace(token, "\n"))
    });
    tokenizer.train(&mut trainer, texts).map_err(wrong)?;
    let text = tokenizer.to_string(false).map_err(wrong)?;
    text.parse().map_err(wrong)
}

/// Encodes `text` without adding a token in front; special tokens in it are recognised.
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u16>> {
    let encoding = tokenizer
        .encode_fast(text, false)
        .map_err(|error| Error::Tokenizer(error.to_string()))?;
    // The vocabulary has 2048 entries, so every id fits.
    Ok(encoding.get_ids().iter().map(|&id| id as u16).collect())
}

/// Returns the contents of `tokenizer_config.json`.
pub fn tokenizer_config() -> Value {
    let added: serde_json::Map<String, Value> = SPECIAL_TOKENS
        .iter()
        .enumerate()
        .map(|(id, token)| {
            let entry = json!({
                "content": token, "lstrip": false, "normalized": false, "rstrip": false,
                "single_word": false, "special": true,
            });
            (id.to_string(), entry)
        })
        .collect();
    json!({
        "added_tokens_decoder": added,
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "pad_token": END_OF_TEXT,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": false,
        "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast",
    })
}

/// Returns the contents of `generation_config.json`: both ends of text and ends of turns stop.
pub fn generation_config() -> Value {
    json!({
        "bos_token_id": 0,
        "eos_token_id": [0, 3],
        "do_sample": true,
        "max_new_tokens": 320,
        "temperature": 0.7,
        "top_k": 40,
        "top_p": 0.9,
    })
}

/// Writes `tokenizer.json`, `tokenizer_config.json` and `generation_config.json` into `folder`.
pub fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|source| Error::file(folder, source))?;
    let described = tokenizer
        .to_string(true)
        .map_err(|error| Error::Tokenizer(error.to_string()))?;
    for (name, contents) in [
        ("tokenizer.json", described),
        ("tokenizer_config.json", format!("{:#}", tokenizer_config())),
        (
            "generation_config.json",
            format!("{:#}", generation_config()),
        ),
    ] {
        let path = folder.join(name);
        fs::write(&path, contents + "\n").map_err(|source| Error::file(path, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Tokenizer {
        train(7, 3_000).expect("the corpus is not empty")
    }

    #[test]
    fn any_text_survives_a_round_trip() {
        let tokenizer = small();
        for text in [
            "Once upon a time, there was a fox.",
            "Grüße, 世界! 👩‍🚀🦊 naïve\tcafé\n\n  two spaces",
            "\u{0}\u{7f}\u{2028}",
            "",
        ] {
            let ids = encode(&tokenizer, text).expect("any text encodes");
            let wide: Vec<u32> = ids.iter().map(|&id| u32::from(id)).collect();
            assert_eq!(tokenizer.decode(&wide, false).expect("ids are known"), text);
        }
    }

    #[test]
    fn training_twice_gives_the_same_bytes_and_the_full_vocabulary() {
        let (first, second) = (small(), small());
        let text = |tokenizer: &Tokenizer| tokenizer.to_string(true).expect("serialises");
        assert_eq!(text(&first), text(&second));
        assert_eq!(first.get_vocab_size(true), VOCAB_SIZE);
    }

    #[test]
    fn special_tokens_have_their_ids_and_a_text_begins_with_the_first() {
        let tokenizer = small();
        for (id, token) in SPECIAL_TOKENS.iter().enumerate() {
            assert_eq!(tokenizer.token_to_id(token), Some(id as u32));
        }
        assert_eq!(encode(&tokenizer, USER).expect("encodes"), [1]);
        let encoding = tokenizer.encode("Hello", true).expect("encodes");
        assert_eq!(encoding.get_ids()[0], 0);
    }

    #[test]
    fn saved_files_load_again_and_the_template_renders_what_training_saw() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tokenizer = small();
        save(&tokenizer, folder.path()).expect("the folder is writable");
        let again = Tokenizer::from_file(folder.path().join("tokenizer.json")).expect("loads");
        let text = "A fox and a kite.";
        assert_eq!(
            encode(&again, text).expect("ok"),
            encode(&tokenizer, text).expect("ok")
        );

        let config = fs::read_to_string(folder.path().join("tokenizer_config.json")).expect("read");
        let config: Value = serde_json::from_str(&config).expect("JSON");
        let template = config["chat_template"].as_str().expect("a template");
        let messages = json!([
            {"role": "user", "content": " Hello! "},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": "Who are you?"},
        ]);
        let rendered = minijinja::Environment::new()
            .render_str(
                template,
                minijinja::context! {
                    messages => minijinja::value::Serde(&messages), bos_token => END_OF_TEXT, add_generation_prompt => true,
                },
            )
            .expect("the template is valid");
        assert_eq!(
            rendered,
            "<|endoftext|><|user|>\nHello!<|end|>\n<|assistant|>\nHi.<|end|>\n\
             <|user|>\nWho are you?<|end|>\n<|assistant|>\n"
        );
    }
}
