//! Owns the tests of stop tokens and stop strings.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::test_tokenizers::{byte_fallback, byte_level};

fn rules(strings: &[&str]) -> StopRules {
    StopRules::new([1], strings.iter().map(|&text| text.to_owned())).unwrap()
}

/// Streams a text byte by byte until it stops.
fn run(text: &str, rules: StopRules) -> (String, Option<FinishReason>) {
    let tokenizer = byte_fallback();
    let mut stream = TextStream::new(&tokenizer, rules);
    let mut printed = String::new();
    for byte in text.bytes() {
        let step = stream.push(2 + u32::from(byte)).unwrap();
        printed.push_str(&step.text);
        if step.finish.is_some() {
            return (printed, step.finish);
        }
    }
    let step = stream.finish().unwrap();
    printed.push_str(&step.text);
    (printed, step.finish)
}

#[test]
fn text_before_a_stop_string_is_printed_and_nothing_after() {
    let (text, finish) = run("one END two", rules(&["END"]));
    assert_eq!(text, "one ");
    assert_eq!(finish, Some(FinishReason::StopString("END".to_owned())));
}

#[test]
fn text_that_only_looked_like_a_stop_string_is_released() {
    assert_eq!(
        run("one EN two E", rules(&["END"])),
        ("one EN two E".to_owned(), None)
    );
    // The second E begins the match, although the first one looked like it.
    assert_eq!(run("EENDx", rules(&["END"])).0, "E");
    assert_eq!(run("ababac!", rules(&["abac"])).0, "ab");
}

#[test]
fn the_earliest_of_several_stop_strings_cuts() {
    let (text, finish) = run("abcdef", rules(&["cde", "bcd", "f"]));
    assert_eq!(text, "a");
    assert_eq!(finish, Some(FinishReason::StopString("bcd".to_owned())));
}

#[test]
fn stop_strings_may_be_multi_byte() {
    let (text, finish) = run("你好。世界", rules(&["。世"]));
    assert_eq!(text, "你好");
    assert!(finish.is_some());
    assert_eq!(run("你好。", rules(&["。世"])).0, "你好。");
}

#[test]
fn nothing_printed_ever_belongs_to_a_stop_string() {
    let mut random = StdRng::seed_from_u64(5);
    let mut stopped = 0;
    for _ in 0..2000 {
        let letters = |random: &mut StdRng, count: usize| -> String {
            (0..count)
                .map(|_| ['a', 'b', 'é'][random.random_range(0..3)])
                .collect()
        };
        let text = letters(&mut random, 14);
        let stops: Vec<String> = (0..2)
            .map(|_| {
                let count = random.random_range(1..5);
                letters(&mut random, count)
            })
            .collect();
        let (printed, finish) = run(&text, StopRules::new([], stops.clone()).unwrap());
        // The first to be complete ends the text; of those complete together, the earliest begun.
        let first = stops
            .iter()
            .filter_map(|stop| text.find(stop.as_str()).map(|at| (at + stop.len(), at)))
            .min();
        match first {
            Some((_, at)) => {
                stopped += 1;
                assert_eq!(printed, text[..at]);
                assert!(finish.is_some());
            }
            None => assert_eq!((printed, finish), (text, None)),
        }
    }
    assert!(stopped > 500 && stopped < 2000);
}

#[test]
fn a_stop_token_releases_what_was_held_back() {
    let tokenizer = byte_level();
    let mut stream = TextStream::new(&tokenizer, rules(&["\n\nUser"]));
    let ids = tokenizer.encode("Hi\n\n").unwrap();
    let mut text = String::new();
    for id in ids {
        text.push_str(&stream.push(id).unwrap().text);
    }
    assert_eq!(text, "Hi");
    let step = stream.push(1).unwrap();
    assert_eq!(step.text, "\n\n");
    assert_eq!(step.finish, Some(FinishReason::StopToken(1)));
}

#[test]
fn bytes_cut_short_by_a_stop_token_print_as_a_replacement_character() {
    let tokenizer = byte_fallback();
    let mut stream = TextStream::new(&tokenizer, rules(&[]));
    assert_eq!(stream.push(2 + 0xF0).unwrap(), TextStep::default());
    assert_eq!(stream.push(1).unwrap().text, "\u{fffd}");
}

#[test]
fn empty_stop_strings_are_refused() {
    let error = StopRules::new([], [String::new()]).unwrap_err();
    assert!(matches!(error, Error::EmptyStopString));
}
