//! Owns the dialogues: questions in a row, things to remember, and requests for a story.

use super::questions::{Exchange, ask, closing, remember};
use super::rng::{Rng, hash_text};
use super::story::{self, Story};
use super::{ASSISTANT, END, Split, USER};

/// One in this many combinations of remembered facts is told only in held-out dialogues.
const HELD_OUT_EVERY: u64 = 40;

/// Ways to ask for a story about `{what}`.
const REQUESTS: &[&str] = &[
    "Tell me a story about {what}.",
    "Please tell me a story about {what}.",
    "Can you tell me a story about {what}?",
    "Write a [short |little |]story about {what}.",
    "I want to hear a story about {what}.",
    "Tell a [short |little |]story about {what}, please.",
    "Do you know a story about {what}?",
    "Could you write a story about {what}?",
    "Make up a story about {what}.",
    "I would like a story about {what}.",
];

/// What a story can be asked to be about.
const WHATS: &[&str] = &[
    "%a {hero} and {ao}",
    "%a {hero} and {ao}",
    "%a {hero} and {ao}",
    "{ao} and %a {hero}",
    "%a {hero} named {N}",
    "%a {size} {hero}",
    "%a {hero}",
    "{N} the {hero}",
    "{N} and {F}",
    "%a {hero} named {N} and {ao}",
    "{about}",
    "{about}",
    "%a {hero} and {about}",
    "{ao}",
];

/// Ways to ask for any story.
const ANY_STORY: &[&str] = &[
    "Tell me a story.",
    "Please tell me a story.",
    "Can you tell me a story?",
    "Write a [short|little] story.",
    "I want to hear a story.",
    "Do you know a story?",
    "Tell me a [bedtime|short|nice|happy] story.",
    "A story, please!",
    "Once upon a time",
    "One day",
    "There was a",
];

/// Questions that fit every story.
const ABOUT_ANY: &[(&str, &str)] = &[
    (
        "[Who is the story about?|Who was the story about?]",
        "The story is about {N}, %a {size} {hero}.",
    ),
    (
        "What was the name of the {hero}?",
        "The {hero} was called {N}.",
    ),
    (
        "What is the name of {possn} friend?",
        "{possn} friend is called {F}.",
    ),
];

/// Writes one dialogue in the chat format.
pub(crate) fn talk(split: Split, rng: &mut Rng) -> String {
    let turns = match rng.below(100) {
        0..80 => questions(split, rng),
        80..86 => remembered(split, rng),
        _ => story_turns(split, rng),
    };
    render(&turns, rng)
}

fn questions(split: Split, rng: &mut Rng) -> Vec<Exchange> {
    let wanted = 2 + rng.below(2);
    let mut turns: Vec<Exchange> = Vec::new();
    while turns.len() < wanted {
        let turn = ask(rng);
        // In a held-out dialogue the first question is one that training never sees.
        let fits = match split {
            Split::Train => !turn.is_held_out(),
            Split::HeldOut => turn.is_held_out() || !turns.is_empty(),
        };
        if fits
            && turns
                .iter()
                .all(|earlier| earlier.question != turn.question)
        {
            turns.push(turn);
        }
    }
    if rng.chance(15) {
        turns.push(closing(rng));
    }
    turns
}

fn remembered(split: Split, rng: &mut Rng) -> Vec<Exchange> {
    loop {
        let (key, turns) = remember(rng);
        if hash_text(&key).is_multiple_of(HELD_OUT_EVERY) == (split == Split::HeldOut) {
            return turns;
        }
    }
}

fn story_turns(split: Split, rng: &mut Rng) -> Vec<Exchange> {
    let mut story = story::tell(split, rng);
    let question = match rng.below(100) {
        0..45 => request(&mut story, rng),
        45..60 => story.scene.prose(rng.pick(ANY_STORY), rng),
        _ => beginning(&story.text, rng),
    };
    let question = continued(question, &story.text);
    let mut turns = vec![said(question, story.text.clone())];
    let mut asks: Vec<(&str, &str)> = story.schema.asks.to_vec();
    asks.extend(ABOUT_ANY.iter().filter(|(_, answer)| {
        !answer.contains("{F}") || story.text.contains(story.scene.get("F"))
    }));
    rng.shuffle(&mut asks);
    for &(question, answer) in asks.iter().take(rng.below(3)) {
        turns.push(said(
            story.scene.prose(question, rng),
            story.scene.prose(answer, rng),
        ));
    }
    turns
}

fn said(question: String, answer: String) -> Exchange {
    Exchange {
        question,
        answer,
        has_subject: false,
    }
}

fn request(story: &mut Story, rng: &mut Rng) -> String {
    story.scene.set("about", rng.pick(story.schema.about));
    let what = loop {
        let what = rng.pick(WHATS);
        let fits = !what.contains("{F}") || story.text.contains(story.scene.get("F"));
        if fits && (story.scene.get("world") == "animal" || !what.contains("{N} the {hero}")) {
            break what;
        }
    };
    story.scene.set("what", what);
    story.scene.prose(rng.pick(REQUESTS), rng)
}

/// Takes the first words of a story, for the model to go on from. Often they are the few that
/// many stories share, because those are what people type.
fn beginning(text: &str, rng: &mut Rng) -> String {
    let wanted = 2 + if rng.chance(50) {
        rng.below(3)
    } else {
        rng.below(10)
    };
    let words = text
        .split(' ')
        .take(wanted)
        .take_while(|word| !word.contains('\n'))
        .collect::<Vec<_>>()
        .join(" ");
    if rng.chance(70) {
        words.trim_end_matches(',').to_owned()
    } else {
        words
    }
}

/// Keeps a beginning only if the story really begins so; otherwise asks plainly.
fn continued(question: String, text: &str) -> String {
    let is_request = question.ends_with(['.', '?', '!']) || text.starts_with(&question);
    if is_request {
        question
    } else {
        "Tell me a story.".to_owned()
    }
}

fn render(turns: &[Exchange], rng: &mut Rng) -> String {
    let mut out = String::new();
    // People type in many ways.
    let careless = rng.chance(12);
    for turn in turns {
        let question = if careless {
            turn.question
                .to_lowercase()
                .trim_end_matches(['.', '?', '!'])
                .to_owned()
        } else {
            turn.question.clone()
        };
        for part in [
            USER,
            "\n",
            &question,
            END,
            "\n",
            ASSISTANT,
            "\n",
            &turn.answer,
            END,
            "\n",
        ] {
            out.push_str(part);
        }
    }
    out
}
