//! Owns the checks on the corpus as a whole: grammar of the surface, variety, and the split.

use std::collections::{BTreeSet, HashSet};

use super::questions::{Exchange, ask};
use super::rng::hash_text;
use super::template::article;
use super::*;

const SEED: u64 = 11;

fn documents(split: Split, count: u64) -> impl Iterator<Item = String> {
    (0..count).map(move |index| document(SEED, split, index))
}

fn stories(split: Split, count: u64) -> impl Iterator<Item = story::Story> {
    (0..count).map(move |index| story::tell(split, &mut Rng::for_document(SEED, 77, index)))
}

/// Splits off the chat tokens, leaving what is said.
fn sayings(text: &str) -> Vec<&str> {
    let mut said = Vec::new();
    for turn in text.split(END) {
        let turn = turn.trim_start_matches('\n');
        if let Some(answer) = turn.strip_prefix(&format!("{ASSISTANT}\n")) {
            said.push(answer);
        } else if !turn.starts_with(USER) && !turn.is_empty() {
            said.push(turn);
        }
    }
    said
}

#[test]
fn equal_seeds_give_equal_documents_and_other_seeds_others() {
    for index in 0..50 {
        let first = document(1, Split::Train, index);
        assert_eq!(first, document(1, Split::Train, index));
        assert_ne!(first, document(2, Split::Train, index));
    }
}

#[test]
fn no_slot_or_choice_is_left_open() {
    for text in documents(Split::Train, 5_000) {
        let plain = [USER, ASSISTANT, END]
            .iter()
            .fold(text.clone(), |text, t| text.replace(t, ""));
        assert!(
            !plain.contains(['{', '}', '[', ']', '|', '%', '¶', '<']),
            "{text}"
        );
    }
}

#[test]
fn spaces_and_punctuation_are_clean() {
    for text in documents(Split::Train, 5_000) {
        for bad in [
            "  ", " .", " ,", "..", ",,", "!.", "?.", ".,", " !", " ?", "\n\n\n", " \n", "\n ",
        ] {
            assert!(!text.contains(bad), "{bad:?} in {text}");
        }
    }
}

#[test]
fn articles_fit_the_next_word() {
    for text in documents(Split::Train, 5_000) {
        for saying in sayings(&text) {
            let words: Vec<&str> = saying.split_whitespace().collect();
            for pair in words.windows(2) {
                let word = pair[0].trim_start_matches('"').to_lowercase();
                // "A" is also a letter, and letters are asked after.
                if (word == "a" || word == "an") && !matches!(pair[1], "is" | "comes") {
                    assert_eq!(
                        word,
                        article(pair[1]),
                        "{} {} in {saying}",
                        pair[0],
                        pair[1]
                    );
                }
            }
        }
    }
}

#[test]
fn sentences_begin_with_capitals_and_end_with_a_stop() {
    for text in documents(Split::Train, 5_000) {
        for paragraph in sayings(&text)
            .iter()
            .flat_map(|saying| saying.split("\n\n"))
        {
            assert!(paragraph.ends_with(['.', '!', '?', '"']), "{paragraph}");
            let letters: Vec<char> = paragraph.chars().collect();
            assert!(!letters[0].is_lowercase(), "{paragraph}");
            for at in 2..letters.len() {
                let ended = matches!(letters[at - 2], '.' | '!' | '?') && letters[at - 1] == ' ';
                assert!(!(ended && letters[at].is_lowercase()), "{paragraph}");
            }
        }
    }
}

#[test]
fn quotes_are_balanced_in_every_paragraph_and_close_after_a_stop() {
    for text in documents(Split::Train, 5_000) {
        for paragraph in sayings(&text)
            .iter()
            .flat_map(|saying| saying.split("\n\n"))
        {
            let parts: Vec<&str> = paragraph.split('"').collect();
            assert!(parts.len() % 2 == 1, "{paragraph}");
            for speech in parts.iter().skip(1).step_by(2) {
                assert!(
                    speech.ends_with(['.', ',', '!', '?']),
                    "{speech:?} in {paragraph}"
                );
                assert!(
                    !speech.starts_with(' ') && !speech.is_empty(),
                    "{paragraph}"
                );
            }
        }
    }
}

#[test]
fn pronouns_of_a_story_without_a_she_are_never_hers() {
    let mut checked = 0;
    for story in stories(Split::Train, 4_000) {
        let scene = &story.scene;
        let everyone = ["he", "fhe", "mhe", "ghe", "nhe"];
        let others = everyone.iter().any(|name| scene.get(name) == "she");
        if !others {
            let words: HashSet<&str> = story
                .text
                .split(|letter: char| !letter.is_alphabetic())
                .collect();
            for word in ["she", "She", "her", "Her", "herself"] {
                assert!(!words.contains(word), "{}", story.text);
            }
            checked += 1;
        }
    }
    assert!(checked > 200);
}

#[test]
fn stories_have_a_childs_length_and_tell_of_their_hero_and_thing() {
    for story in stories(Split::Train, 4_000) {
        let words = story.text.split_whitespace().count();
        assert!((75..=240).contains(&words), "{words} words: {}", story.text);
        assert!(story.text.contains(story.scene.get("N")), "{}", story.text);
        assert!(story.text.contains(story.scene.get("o")), "{}", story.text);
    }
}

#[test]
fn documents_hardly_ever_repeat() {
    let all: HashSet<String> = documents(Split::Train, 20_000).collect();
    assert!(all.len() > 19_980, "{} of 20000 are distinct", all.len());
}

#[test]
fn the_vocabulary_is_small() {
    let mut words = BTreeSet::new();
    for text in documents(Split::Train, 20_000) {
        for word in text.split(|letter: char| !letter.is_alphabetic()) {
            words.insert(word.to_lowercase());
        }
    }
    assert!(
        (1_000..2_600).contains(&words.len()),
        "{} words",
        words.len()
    );
}

#[test]
fn held_out_stories_tell_of_combinations_that_training_never_does() {
    let train: HashSet<String> = stories(Split::Train, 6_000)
        .map(|s| s.scene.get("combination").to_owned())
        .collect();
    let held: HashSet<String> = stories(Split::HeldOut, 1_000)
        .map(|s| s.scene.get("combination").to_owned())
        .collect();
    assert!(train.is_disjoint(&held));
    assert!(held.len() > 50, "{}", held.len());
    assert!(
        held.iter()
            .all(|combination| story::is_held_out(combination))
    );
}

#[test]
fn held_out_documents_and_questions_never_appear_in_training() {
    let train: HashSet<u64> = documents(Split::Train, 20_000)
        .map(|text| hash_text(&text))
        .collect();
    for text in documents(Split::HeldOut, 2_000) {
        assert!(!train.contains(&hash_text(&text)), "{text}");
    }
    let held: HashSet<String> = (0..40_000)
        .map(|index| ask(&mut Rng::for_document(SEED, 5, index)))
        .filter(Exchange::is_held_out)
        .map(|exchange| format!("{USER}\n{}{END}", exchange.question))
        .collect();
    assert!(held.len() > 50, "{}", held.len());
    for text in documents(Split::Train, 5_000).filter(|text| text.starts_with(USER)) {
        for turn in text.split_inclusive(END) {
            assert!(!held.contains(turn.trim_start_matches('\n')), "{turn}");
        }
    }
}

#[test]
fn nearly_half_of_the_text_is_dialogue() {
    let (mut dialogue, mut all) = (0, 0);
    for text in documents(Split::Train, 4_000) {
        all += text.len();
        dialogue += if text.starts_with(USER) {
            text.len()
        } else {
            0
        };
    }
    let percent = dialogue * 100 / all;
    assert!((38..52).contains(&percent), "{percent}%");
}

#[test]
fn openings_and_plain_requests_are_often_answered_by_a_whole_story() {
    const COUNT: u64 = 6_000;
    let (mut openings, mut plain, mut shortest) = (0, 0, 0);
    for text in documents(Split::Train, COUNT) {
        let Some(rest) = text.strip_prefix(&format!("{USER}\n")) else {
            continue;
        };
        let (question, rest) = rest.split_once(END).expect("a turn ends");
        let (answer, _) = rest
            .trim_start()
            .strip_prefix(&format!("{ASSISTANT}\n"))
            .and_then(|rest| rest.split_once(END))
            .expect("an answer follows");
        if answer.split_whitespace().count() < 75 {
            continue;
        }
        if answer.to_lowercase().starts_with(&question.to_lowercase()) {
            openings += 1;
            shortest += u64::from(question.eq_ignore_ascii_case("once upon a time"));
        } else if question.trim_end_matches(['.', '?']).ends_with("story") {
            plain += 1;
        }
    }
    let percent = |count: u64| 100.0 * count as f64 / COUNT as f64;
    let both = percent(openings + plain);
    assert!((4.0..7.0).contains(&both), "{both}%");
    assert!(percent(openings) > 2.5, "{}%", percent(openings));
    assert!(percent(shortest) > 0.2, "{}%", percent(shortest));
}
