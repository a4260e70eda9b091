//! Owns the questions of the dialogues and their right answers.

mod animals;
mod numbers;
mod tables;
mod talk;

pub(crate) use talk::{closing, remember};

use super::Split;
use super::rng::{Rng, hash_text};
use super::template::Scene;
use tables::{RELATIONS, Relation};

/// A question with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// What the user says.
    pub(crate) question: String,
    /// What the model is to say.
    pub(crate) answer: String,
    /// Whether the question combines a phrasing with a subject, so that single combinations can be
    /// held out while both parts stay in training.
    pub(crate) has_subject: bool,
}

/// One in this many combinations of phrasing and subject is asked only in held-out dialogues.
const HELD_OUT_EVERY: u64 = 50;

impl Exchange {
    /// Says whether this exchange belongs to the held-out split.
    pub(crate) fn is_held_out(&self) -> bool {
        self.has_subject && hash_text(&self.question).is_multiple_of(HELD_OUT_EVERY)
    }
}

/// Draws one question of any kind.
pub(crate) fn ask(rng: &mut Rng) -> Exchange {
    match rng.below(100) {
        0..56 => fact(rng),
        56..86 => numbers::ask(rng),
        _ => talk::ask(rng),
    }
}

/// Different questions, with a right answer each, that no training document asks: first about the
/// world of the stories, then about numbers and orders.
pub(crate) fn quiz(seed: u64, count: usize) -> [Vec<Exchange>; 2] {
    [
        held_out(fact, seed, count),
        held_out(numbers::ask, seed, count),
    ]
}

/// Up to `count` different held-out questions.
fn held_out(draw: impl Fn(&mut Rng) -> Exchange, seed: u64, count: usize) -> Vec<Exchange> {
    let mut found: Vec<Exchange> = Vec::new();
    // There may be fewer different ones than wanted.
    for index in 0..count as u64 * 1000 {
        let exchange = draw(&mut Rng::for_document(seed, Split::HeldOut as u64, index));
        let is_new = found.iter().all(|old| old.question != exchange.question);
        if exchange.is_held_out() && is_new {
            found.push(exchange);
            if found.len() == count {
                break;
            }
        }
    }
    found
}

fn fact(rng: &mut Rng) -> Exchange {
    let relation: &Relation = RELATIONS[rng.below(RELATIONS.len())];
    let (x, y) = rng.pick(relation.rows);
    let mut scene = Scene::default();
    scene.set("x", x);
    scene.set("y", y);
    let wrong = loop {
        let (_, other) = rng.pick(relation.rows);
        if other != y {
            break other;
        }
    };
    scene.set("z", wrong);
    let (question, answer) = rng.pick(relation.asks);
    Exchange {
        question: scene.prose(question, rng),
        answer: scene.prose(answer, rng),
        has_subject: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_are_right() {
        let mut checked = 0;
        for index in 0..20_000 {
            let exchange = ask(&mut Rng::for_document(5, 0, index));
            let words: Vec<&str> = exchange.answer.trim_end_matches('.').split(' ').collect();
            let [a, sign @ ("plus" | "minus"), b, "is", result] = words[..] else {
                continue;
            };
            let [Some(a), Some(b), Some(result)] = [a, b, result].map(value) else {
                panic!("not numbers: {}", exchange.answer);
            };
            assert_eq!(
                if sign == "plus" { a + b } else { a - b },
                result,
                "{}",
                exchange.answer
            );
            checked += 1;
        }
        assert!(checked > 500, "only {checked} sums");
    }

    fn value(text: &str) -> Option<i32> {
        const WORDS: &str = "zero one two three four five six seven eight nine ten eleven twelve \
            thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty";
        text.parse().ok().or_else(|| {
            let word = text.to_lowercase();
            WORDS
                .split_whitespace()
                .position(|name| name == word)
                .map(|at| at as i32)
        })
    }

    #[test]
    fn a_quiz_has_different_questions_that_are_held_out() {
        for questions in quiz(1, 50) {
            assert!(questions.len() > 20, "only {}", questions.len());
            for (at, exchange) in questions.iter().enumerate() {
                assert!(exchange.is_held_out(), "{}", exchange.question);
                let earlier = &questions[..at];
                assert!(earlier.iter().all(|old| old.question != exchange.question));
            }
        }
    }

    #[test]
    fn a_thing_asked_directly_never_has_two_answers() {
        for relation in RELATIONS {
            for (at, (x, y)) in relation.rows.iter().enumerate() {
                for (other_x, other_y) in &relation.rows[at + 1..] {
                    assert!(x != other_x, "{x} is both {y} and {other_y}");
                }
            }
        }
    }
}
