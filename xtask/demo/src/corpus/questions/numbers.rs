//! Owns questions whose answers are computed: small sums, counting, and orders. Few enough, and
//! asked often enough, that a small model can get them right.

use super::Exchange;
use crate::corpus::rng::Rng;
use crate::corpus::template::Scene;

const WORDS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

const DAYS: &[&str] = &[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const SEASONS: &[&str] = &["spring", "summer", "autumn", "winter"];

/// Draws one computed question.
pub(crate) fn ask(rng: &mut Rng) -> Exchange {
    match rng.below(100) {
        0..50 => add(rng),
        50..68 => subtract(rng),
        68..75 => count(rng),
        75..83 => compare(rng),
        83..91 => neighbor_number(rng),
        _ => order(rng),
    }
}

fn number(value: usize, words: bool) -> String {
    if words {
        WORDS[value].to_owned()
    } else {
        value.to_string()
    }
}

fn exchange(scene: &Scene, question: &str, answer: &str, rng: &mut Rng) -> Exchange {
    Exchange {
        question: scene.prose(question, rng),
        answer: scene.prose(answer, rng),
        has_subject: true,
    }
}

fn add(rng: &mut Rng) -> Exchange {
    let (a, b, words) = (rng.below(11), rng.below(11), rng.chance(15));
    let mut scene = Scene::default();
    scene.set("a", number(a, words));
    scene.set("b", number(b, words));
    scene.set("sum", number(a + b, words));
    scene.set("plus", if words || rng.chance(50) { "plus" } else { "+" });
    let question = rng.pick(&[
        "What is {a} {plus} {b}?",
        "How much is {a} {plus} {b}?",
        "Add {a} and {b}.",
        "What do you get if you add {a} and {b}?",
        "Can you add {a} and {b}?",
        "What is the sum of {a} and {b}?",
        "{a} {plus} {b} is how much?",
        "What is {a} {plus} {b}?",
    ]);
    exchange(&scene, question, "{a} plus {b} is {sum}.", rng)
}

fn subtract(rng: &mut Rng) -> Exchange {
    let (a, words) = (rng.below(11), rng.chance(15));
    let b = rng.below(a + 1);
    let mut scene = Scene::default();
    scene.set("a", number(a, words));
    scene.set("b", number(b, words));
    scene.set("left", number(a - b, words));
    scene.set(
        "minus",
        if words || rng.chance(50) {
            "minus"
        } else {
            "-"
        },
    );
    let question = rng.pick(&[
        "What is {a} {minus} {b}?",
        "How much is {a} {minus} {b}?",
        "Take {b} away from {a}.",
        "What is left if you take {b} from {a}?",
    ]);
    exchange(&scene, question, "{a} minus {b} is {left}.", rng)
}

fn count(rng: &mut Rng) -> Exchange {
    let words = rng.chance(40);
    let from = 1 + rng.below(8);
    let to = from + 1 + rng.below(10);
    let list = |range: &mut dyn Iterator<Item = usize>| {
        range
            .map(|value| number(value, words))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut scene = Scene::default();
    scene.set("from", number(from, words));
    scene.set("to", number(to, words));
    scene.set("all", list(&mut (1..=to)));
    scene.set("part", list(&mut (from..=to)));
    scene.set("down", list(&mut (1..=to.min(10)).rev()));
    scene.set("top", number(to.min(10), words));
    let (question, answer) = rng.pick(&[
        ("[Count|Please count] to {to}.", "{all}."),
        ("[Count|Please count] from {from} to {to}.", "{part}."),
        ("Count [down|backwards] from {top}.", "{down}."),
        ("Can you count to {to}?", "Yes! {all}."),
    ]);
    exchange(&scene, question, answer, rng)
}

fn compare(rng: &mut Rng) -> Exchange {
    let (a, words) = (rng.below(11), rng.chance(15));
    let b = (a + 1 + rng.below(10)) % 11;
    let mut scene = Scene::default();
    scene.set("a", number(a, words));
    scene.set("b", number(b, words));
    scene.set("big", number(a.max(b), words));
    scene.set("small", number(a.min(b), words));
    let (question, answer) = rng.pick(&[
        (
            "Which is [bigger|more], {a} or {b}?",
            "{big} is bigger than {small}.",
        ),
        (
            "Which number is bigger, {a} or {b}?",
            "{big} is bigger than {small}.",
        ),
        (
            "Which is [smaller|less], {a} or {b}?",
            "{small} is smaller than {big}.",
        ),
        (
            "Is {big} bigger than {small}?",
            "Yes, {big} is bigger than {small}.",
        ),
        (
            "Is {small} bigger than {big}?",
            "No, {small} is smaller than {big}.",
        ),
    ]);
    exchange(&scene, question, answer, rng)
}

fn neighbor_number(rng: &mut Rng) -> Exchange {
    let words = rng.chance(35);
    let value = 1 + rng.below(19);
    let mut scene = Scene::default();
    scene.set("n", number(value, words));
    scene.set("after", number(value + 1, words));
    scene.set("before", number(value - 1, words));
    let (question, answer) = rng.pick(&[
        (
            "What [number |]comes after {n}?",
            "{after} comes after {n}.",
        ),
        (
            "What [number |]comes before {n}?",
            "{before} comes before {n}.",
        ),
        (
            "Which number is one more than {n}?",
            "{after} is one more than {n}.",
        ),
        (
            "Which number is one less than {n}?",
            "{before} is one less than {n}.",
        ),
        (
            "What is the next number after {n}?",
            "{after} comes after {n}.",
        ),
    ]);
    exchange(&scene, question, answer, rng)
}

fn order(rng: &mut Rng) -> Exchange {
    let (kind, items) = rng.pick(&[
        ("day", DAYS),
        ("day", DAYS),
        ("day", DAYS),
        ("month", MONTHS),
        ("season", SEASONS),
    ]);
    let at = rng.below(items.len());
    let mut scene = Scene::default();
    scene.set("kind", kind);
    scene.set("x", items[at]);
    scene.set("after", items[(at + 1) % items.len()]);
    scene.set("before", items[(at + items.len() - 1) % items.len()]);
    let (question, answer) = rng.pick(&[
        (
            "What [{kind} |]comes after {x}?",
            "{after} comes after {x}.",
        ),
        (
            "[Which|What] {kind} comes before {x}?",
            "{before} comes before {x}.",
        ),
        (
            "[Which|What] {kind} comes after {x}?",
            "{after} comes after {x}.",
        ),
        (
            "What is the [next {kind} after|{kind} after] {x}?",
            "{after} comes after {x}.",
        ),
        (
            "What is the {kind} before {x}?",
            "{before} comes before {x}.",
        ),
        (
            "If it is {x} now, what {kind} comes next?",
            "Next comes {after}.",
        ),
    ]);
    exchange(&scene, question, answer, rng)
}
