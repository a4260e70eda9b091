//! Owns the tests of streaming: joined pieces against decoding everything at once.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::test_tokenizers::{
    SENTENCES, byte_fallback, byte_fallback_with, byte_level, metaspace, word_piece,
};

fn stream(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut stream = StreamingDetokenizer::new(tokenizer);
    let mut pieces: Vec<String> = Vec::new();
    for &id in ids {
        pieces.extend(stream.push(id).unwrap());
    }
    pieces.extend(stream.finish().unwrap());
    assert!(pieces.iter().all(|piece| !piece.is_empty()));
    pieces
}

/// Text of everything that is hard to stream, in random order.
fn random_text(random: &mut StdRng) -> String {
    const HARD: &[&str] = &[
        "hello",
        " the",
        "  ",
        "\n",
        "é",
        "e\u{301}\u{323}",
        "你好",
        "世界",
        "こん",
        "한국어",
        "🙂",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "🇫🇷",
        "ﷺ",
        "नमस्ते",
        "\u{202e}x\u{202c}",
        "\u{feff}",
        "\u{fffd}",
        "▁",
        "<0x41>",
        "Ġ",
        "\u{0}",
        "\u{10ffff}",
        "a",
        ".",
        ",",
        " ",
    ];
    (0..random.random_range(0..12))
        .map(|_| match random.random_range(0..4) {
            0 => random.random::<char>().to_string(),
            _ => HARD[random.random_range(0..HARD.len())].to_owned(),
        })
        .collect()
}

#[test]
fn pieces_of_random_text_join_to_the_full_decode() {
    let mut random = StdRng::seed_from_u64(1);
    let tokenizers = [byte_level(), byte_fallback(), metaspace(), word_piece()];
    let mut streamed = 0;
    for _ in 0..1500 {
        let text = random_text(&mut random);
        for tokenizer in &tokenizers {
            // A tokenizer trained on a few sentences drops or maps what it does not know.
            let ids = tokenizer.encode(&text).unwrap();
            let full = tokenizer.decode(&ids).unwrap();
            assert_eq!(stream(tokenizer, &ids).concat(), full, "{text:?}");
            streamed += ids.len();
        }
        let ids = tokenizers[0].encode(&text).unwrap();
        assert_eq!(stream(&tokenizers[0], &ids).concat(), text);
    }
    assert!(streamed > 10_000);
}

#[test]
fn random_byte_level_tokens_join_to_the_lossy_full_decode() {
    let tokenizer = byte_level();
    let mut random = StdRng::seed_from_u64(2);
    let mut broken = 0;
    for _ in 0..3000 {
        let count = random.random_range(0..20);
        let ids: Vec<u32> = (0..count)
            .map(|_| random.random_range(0..tokenizer.vocab_size() as u32))
            .collect();
        let full = tokenizer.decode(&ids).unwrap();
        broken += usize::from(full.contains('\u{fffd}'));
        assert_eq!(stream(&tokenizer, &ids).concat(), full, "{ids:?}");
    }
    assert!(broken > 1000, "invalid sequences must be exercised");
}

#[test]
fn random_metaspace_and_word_piece_tokens_join_to_the_full_decode() {
    let mut random = StdRng::seed_from_u64(3);
    for tokenizer in [metaspace(), word_piece()] {
        for _ in 0..1500 {
            let count = random.random_range(0..12);
            let ids: Vec<u32> = (0..count)
                .map(|_| random.random_range(0..tokenizer.vocab_size() as u32))
                .collect();
            let full = tokenizer.decode(&ids).unwrap();
            assert_eq!(stream(&tokenizer, &ids).concat(), full, "{ids:?}");
        }
    }
}

#[test]
fn invalid_fallback_bytes_print_as_replacement_characters_and_the_rest_survives() {
    let tokenizer = byte_fallback();
    let byte = |value: u32| 2 + value;
    let letter = tokenizer.token_to_id("x").unwrap();
    let ids = [0xE4, 0xBD, 0xA0, 0xFF, 0xE4, 0xBD].map(byte);
    assert_eq!(stream(&tokenizer, &ids).concat(), "你\u{fffd}\u{fffd}");
    assert_eq!(
        stream(&tokenizer, &[byte(0xE4), letter]).concat(),
        "\u{fffd}x"
    );
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random.random_range(0..10))
            .map(|_| random.random())
            .collect();
        let ids: Vec<u32> = bytes.iter().map(|&value| byte(u32::from(value))).collect();
        let text = stream(&tokenizer, &ids).concat();
        let lossy = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text, lossy.strip_prefix(' ').unwrap_or(&lossy));
    }
}

#[test]
fn a_character_appears_only_when_it_is_whole() {
    let tokenizer = byte_fallback();
    let mut stream = StreamingDetokenizer::new(&tokenizer);
    for value in [0xF0, 0x9F, 0x99] {
        assert_eq!(stream.push(2 + value).unwrap(), None);
    }
    assert_eq!(stream.push(2 + 0x82).unwrap().as_deref(), Some("🙂"));
    assert_eq!(stream.finish().unwrap(), None);
}

#[test]
fn a_token_prints_as_soon_as_it_is_text() {
    let tokenizer = byte_level();
    let ids = tokenizer.encode(SENTENCES[0]).unwrap();
    let mut stream = StreamingDetokenizer::new(&tokenizer);
    for id in ids {
        assert!(stream.push(id).unwrap().is_some());
    }
}

#[test]
fn the_first_space_belongs_to_a_continued_text_only() {
    for tokenizer in [byte_fallback(), metaspace(), word_piece()] {
        let prompt = tokenizer.encode("said").unwrap();
        let next = tokenizer.encode("the").unwrap();
        assert_eq!(stream(&tokenizer, &next).concat(), "the");
        let mut stream = StreamingDetokenizer::continuing(&tokenizer, &prompt).unwrap();
        let mut text = String::new();
        for id in next {
            text.extend(stream.push(id).unwrap());
        }
        text.extend(stream.finish().unwrap());
        assert_eq!(text, " the");
    }
}

#[test]
fn special_tokens_neither_print_nor_take_the_first_place() {
    for tokenizer in [byte_level(), byte_fallback(), metaspace(), word_piece()] {
        let mut ids = vec![0];
        ids.extend(tokenizer.encode("the").unwrap());
        ids.push(1);
        ids.extend(tokenizer.encode("the").unwrap());
        let text = stream(&tokenizer, &ids).concat();
        assert_eq!(text, tokenizer.decode(&ids).unwrap());
        assert!(text.starts_with("the") && !text.contains("s>"), "{text}");
    }
}

#[test]
fn an_unknown_token_is_an_error_and_the_stream_goes_on() {
    let tokenizer = byte_level();
    let mut stream = StreamingDetokenizer::new(&tokenizer);
    let error = stream.push(u32::MAX).unwrap_err();
    assert!(matches!(error, Error::UnknownToken { id: u32::MAX, .. }));
    let id = tokenizer.token_to_id("a").unwrap();
    assert_eq!(stream.push(id).unwrap().as_deref(), Some("a"));
}

#[test]
fn every_common_decoder_is_followed_without_a_window() {
    assert!(matches!(byte_level().pieces(), Pieces::ByteLevel));
    assert!(matches!(
        metaspace().pieces(),
        Pieces::Metaspace {
            mark: '▁',
            drop_first: true
        }
    ));
    assert!(matches!(
        byte_fallback().pieces(),
        Pieces::Fallback {
            bytes: true,
            strip: Some((' ', 1)),
            ..
        }
    ));
    assert!(matches!(word_piece().pieces(), Pieces::Windowed));
}

#[test]
fn a_window_streams_byte_tokens_of_unusual_decoders() {
    // Byte fallback without `Fuse` and with a metaspace at the end is not one of the known chains.
    let tokenizer = byte_fallback_with(
        r#"{"type": "Sequence", "decoders": [{"type": "ByteFallback"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]}"#,
    );
    assert!(matches!(tokenizer.pieces(), Pieces::Windowed));
    for text in ["the 你好🙂 hello", "🙂🙂🙂", "é 👩‍👩‍👧 x"] {
        let ids = tokenizer.encode(text).unwrap();
        let pieces = stream(&tokenizer, &ids);
        assert_eq!(pieces.concat(), tokenizer.decode(&ids).unwrap());
        assert!(pieces.len() > 2, "{pieces:?}");
    }
    // Bytes that never become a character are released, not held for ever.
    let mut stream = StreamingDetokenizer::new(&tokenizer);
    let released = (0..20).find_map(|_| stream.push(2 + 0xFF).unwrap());
    assert!(released.is_some_and(|text| text.contains('\u{fffd}')));
}

#[test]
fn state_stays_small_however_long_the_text() {
    let tokenizer = byte_level();
    let mut stream = StreamingDetokenizer::new(&tokenizer);
    let ids = tokenizer.encode("你好 🙂 hello").unwrap();
    for &id in ids.iter().cycle().take(20_000) {
        stream.push(id).unwrap();
        assert!(stream.utf8.bytes.len() <= 3);
    }
}
