//! Owns the assembly of a story: casts it, settles its facts, opens it and tells its beats.

use super::rng::{Rng, hash_text};
use super::schemas::{Row, SCHEMAS, Schema};
use super::template::Scene;
use super::{Split, words};

/// One character: the name, what it is, and how to speak of it.
struct Character {
    name: &'static str,
    kind: &'static str,
    home: &'static str,
    female: bool,
}

/// A finished story with the facts that were told in it.
pub(crate) struct Story {
    /// The text, in paragraphs separated by empty lines.
    pub(crate) text: String,
    /// The facts, for questions about the story.
    pub(crate) scene: Scene,
    /// What kind of story it is.
    pub(crate) schema: &'static Schema,
}

/// One in this many combinations of hero and thing is told only in held-out stories.
const HELD_OUT_EVERY: u64 = 40;

const COLORLESS: &str = "{o}";
const COLORED: &str = "{c} {o}";

const ELDERS: &[(&str, &str, &str)] = &[
    ("mom", "she", "her"),
    ("dad", "he", "his"),
    ("grandma", "she", "her"),
    ("grandpa", "he", "his"),
    ("mom", "she", "her"),
    ("dad", "he", "his"),
];

const PETS: &[&str] = &[
    "Button", "Patch", "Snowy", "Peanut", "Pepper", "Cookie", "Bean", "Lucky", "Spot", "Puff",
    "Pebble", "Noodle", "Twinkle", "Muffin", "Pickle",
];

const JUNK: &[&str] = &[
    "an old sock",
    "a dry leaf",
    "a bit of dust",
    "a round pebble",
    "a sleepy spider",
    "an old nut",
    "a broken stick",
    "a piece of string",
    "an empty shell",
    "two ants",
];

/// Openings that leave the day of the events open, so that `{oneday}` can follow.
const OPENINGS: &[&str] = &[
    "Once upon a time, there was %a {size} {hero} named {N}. [{He}|{N}] lived {home}.",
    "Once upon a time, there was %a {size} {hero} named {N} who lived {home}.",
    "Once upon a time, %a {size} {hero} named {N} lived {home}.",
    "Once upon a time, there was %a {size} {hero} named {N}. {N} liked to {like}.",
    "Once upon a time, there lived %a {size} {hero} called {N}, who liked to {like}.",
    "There was once %a {size} {hero} named {N}. {N} lived {home}.",
    "There was %a {size} {hero} called {N}. {He} lived {home} and liked to {like}.",
    "There once was %a {size} {hero} who liked to {like}. {His} name was {N}.",
    "{N} was %a {size} {hero}. {He} lived {home} with {his} {elder}.",
    "{N} was %a {size} {hero} who liked to {like}.",
    "{N} the {hero} lived {home}. {He} liked to {like}.",
    "{place}, there was %a {size} {hero} named {N}. {He} liked to {like}.",
    "Long ago, %a {size} {hero} named {N} lived {home}.",
    "In a [land|place] not far from here, there was %a {size} {hero} named {N}.",
    "This is the story of %a {size} {hero} named {N}, who lived {home}.",
    "Not so long ago, there lived %a {size} {hero} named {N}. {He} liked to {like}.",
];

/// Openings that name a day already; `{oneday}` then becomes a part of that day.
const DAY_OPENINGS: &[&str] = &[
    "One {weather} day, %a {size} {hero} named {N} woke up early. [{He} liked to {like}.|{He} felt happy.|]",
    "One day, %a {size} {hero} named {N} woke up with a smile. {He} lived {home}.",
    "One {weather} morning, %a {size} {hero} named {N} sat in the sun. {He} liked to {like}.",
    "It was %a {weather} day. %a {size} {hero} named {N} [was in a good mood|woke up and stretched].",
    "One {season} day, %a {size} {hero} called {N} was full of joy. {He} lived {home}.",
];

/// Draws what a story is about until the combination belongs to `split`, then tells it.
pub(crate) fn tell(split: Split, rng: &mut Rng) -> Story {
    loop {
        let schema: &'static Schema = SCHEMAS[rng.below(SCHEMAS.len())];
        let animal = rng.chance(55);
        let (hero, friend) = cast(animal, rng);
        let mut scene = Scene::default();
        introduce(&mut scene, &hero, &friend, animal, rng);
        settle(&mut scene, schema, animal, rng);
        if [hero.kind, friend.kind]
            .iter()
            .any(|kind| is_young(kind, scene.get("o")))
        {
            continue;
        }
        let label = if animal { hero.kind } else { hero.name };
        let combination = format!("{label}|{}", scene.get("o"));
        let held_out = hash_text(&combination).is_multiple_of(HELD_OUT_EVERY);
        if held_out == (split == Split::HeldOut) {
            scene.set("combination", combination);
            let text = narrate(&mut scene, schema, rng);
            return Story {
                text,
                scene,
                schema,
            };
        }
    }
}

/// Says whether a combination, as in the fact `combination`, is told only in held-out stories.
#[cfg(test)]
pub(crate) fn is_held_out(combination: &str) -> bool {
    hash_text(combination).is_multiple_of(HELD_OUT_EVERY)
}

fn cast(animal: bool, rng: &mut Rng) -> (Character, Character) {
    let hero = character(animal, rng);
    loop {
        let friend = character(animal, rng);
        // Two animals of one kind would make "the fox" ambiguous.
        if friend.name != hero.name && (!animal || friend.kind != hero.kind) {
            return (hero, friend);
        }
    }
}

fn character(animal: bool, rng: &mut Rng) -> Character {
    if animal {
        let (kind, home) = rng.pick(words::ANIMALS);
        let female = kind == "hen" || rng.chance(50);
        let names = if female {
            words::SHE_ANIMALS
        } else {
            words::HE_ANIMALS
        };
        Character {
            name: rng.pick(names),
            kind,
            home,
            female,
        }
    } else {
        let female = rng.chance(50);
        let (names, kind) = if female {
            (words::GIRLS, "girl")
        } else {
            (words::BOYS, "boy")
        };
        Character {
            name: rng.pick(names),
            kind,
            home: rng.pick(words::CHILD_HOMES),
            female,
        }
    }
}

/// Says whether `thing` is a young `kind`, which would make a strange pet or stranger for one.
fn is_young(kind: &str, thing: &str) -> bool {
    const YOUNG: &[(&str, &str)] = &[
        ("cat", "kitten"),
        ("dog", "puppy"),
        ("duck", "duckling"),
        ("hen", "chick"),
        ("sheep", "lamb"),
        ("rabbit", "baby rabbit"),
    ];
    YOUNG.contains(&(kind, thing))
}

fn introduce(scene: &mut Scene, hero: &Character, friend: &Character, animal: bool, rng: &mut Rng) {
    for (prefix, who) in [("", hero), ("f", friend)] {
        let [he, him, his, himself] = if who.female {
            ["she", "her", "her", "herself"]
        } else {
            ["he", "him", "his", "himself"]
        };
        scene.set(&format!("{prefix}he"), he);
        scene.set(&format!("{prefix}him"), him);
        scene.set(&format!("{prefix}his"), his);
        scene.set(&format!("{prefix}himself"), himself);
    }
    scene.set("N", hero.name);
    scene.set("F", friend.name);
    scene.set("hero", hero.kind);
    scene.set("fnoun", friend.kind);
    scene.set("home", hero.home);
    scene.set("possn", format!("{}'s", hero.name));
    scene.set("possf", format!("{}'s", friend.name));
    let introduced = if animal && rng.chance(70) {
        "{F} the {fnoun}"
    } else {
        "{his} friend {F}"
    };
    scene.set("Fi", introduced);
    let (elder, he, his) = rng.pick(ELDERS);
    scene.set("elder", elder);
    scene.set("mhe", he);
    scene.set("mhis", his);
    let sizes: &[&str] = if animal {
        &[
            "little", "small", "young", "tiny", "clever", "happy", "kind", "gentle", "curious",
        ]
    } else {
        &[
            "little", "small", "young", "clever", "happy", "kind", "cheerful", "curious",
        ]
    };
    scene.set("size", rng.pick(sizes));
    scene.set("world", if animal { "animal" } else { "child" });
}

fn settle(scene: &mut Scene, schema: &Schema, animal: bool, rng: &mut Rng) {
    let world = if animal { "animal" } else { "child" };
    scene.set("c", rng.pick(words::COLORS));
    if !schema.things.is_empty() {
        scene.set("o", rng.pick(schema.things));
    }
    for group in schema.facts {
        let fitting: Vec<Row> = group
            .iter()
            .copied()
            .filter(|row| {
                row.iter()
                    .all(|&(name, value)| name != "only" || value == world)
            })
            .collect();
        for &(name, value) in rng.pick(&fitting) {
            let settled = scene.fill(value, rng);
            if let Some(rest) = settled
                .strip_prefix("an ")
                .or_else(|| settled.strip_prefix("a "))
            {
                scene.set(&format!("{name}2"), format!("the {rest}"));
            }
            scene.set(name, settled);
        }
    }
    if !scene.has("ao") {
        scene.set("ao", "%a {o}");
    }
    scene.set("co", if schema.colored { COLORED } else { COLORLESS });
    let spots = if animal {
        words::ANIMAL_SPOTS
    } else {
        words::CHILD_SPOTS
    };
    let first = rng.below(spots.len());
    let second = (first + 1 + rng.below(spots.len() - 1)) % spots.len();
    scene.set("s1", spots[first]);
    scene.set("s2", spots[second]);
    scene.set("junk", rng.pick(JUNK));
    scene.set("pet", rng.pick(PETS));
    let places = if animal {
        words::ANIMAL_PLACES
    } else {
        words::CHILD_PLACES
    };
    scene.set("place", rng.pick(places));
    scene.set("like", rng.pick(words::LIKES));
    scene.set("weather", rng.pick(words::WEATHER));
    scene.set("season", rng.pick(&["spring", "summer", "autumn"]));
}

/// Draws a phrase for the day of the events.
fn later_day(rng: &mut Rng) -> &'static str {
    rng.pick(&[
        "one day",
        "one day",
        "one {weather} day",
        "one {weather} morning",
        "one {weather} afternoon",
        "one {season} morning",
        "on %a {weather} day",
    ])
}

fn narrate(scene: &mut Scene, schema: &Schema, rng: &mut Rng) -> String {
    let dated = schema.beats.iter().any(|beat| beat.contains("{oneday}"));
    let (opening, oneday) = if dated && rng.chance(20) {
        let part = rng.pick(&[
            "that day",
            "that morning",
            "after breakfast",
            "a little later",
        ]);
        (rng.pick(DAY_OPENINGS), part)
    } else {
        let opening = loop {
            let opening = rng.pick(OPENINGS);
            // "Jack the boy" is no way to speak of a child.
            if scene.get("world") == "animal" || !opening.contains("{N} the {hero}") {
                break opening;
            }
        };
        (opening, later_day(rng))
    };
    scene.set("oneday", oneday);
    scene.set("someday", later_day(rng));
    scene.set(
        "oneevening",
        rng.pick(&["one night", "one evening", "one clear night"]),
    );
    let mut told = scene.fill(opening, rng);
    for beat in schema.beats {
        told.push(' ');
        told.push_str(&scene.fill(beat, rng));
    }
    super::template::polish(&told)
}
