//! Owns what the model is to know about animals.

use super::tables::Relation;

/// What animals say.
pub(crate) static SOUNDS: Relation = Relation {
    asks: &[
        ("What does {x} say?", "{x} says {y}."),
        ("What sound does {x} make?", "{x} says {y}."),
        (
            "[Can you tell me|Do you know] what {x} says?",
            "[Yes, |]{x} says {y}.",
        ),
        ("[Which|What] animal says {y}?", "{x} says {y}."),
        ("Who says {y}?", "{x} says {y}."),
        ("Does {x} say {z}?", "No, {x} says {y}."),
        ("Does {x} say {y}?", "Yes, {x} says {y}."),
        ("How does {x} go?", "{x} says {y}."),
    ],
    rows: &[
        ("a cow", "moo"),
        ("a dog", "woof"),
        ("a cat", "meow"),
        ("a duck", "quack"),
        ("a pig", "oink"),
        ("a sheep", "baa"),
        ("a horse", "neigh"),
        ("an owl", "hoo"),
        ("a bee", "buzz"),
        ("a frog", "ribbit"),
        ("a rooster", "cock-a-doodle-doo"),
        ("a mouse", "squeak"),
        ("a snake", "hiss"),
        ("a lion", "roar"),
        ("a chick", "peep"),
        ("a hen", "cluck"),
        ("a crow", "caw"),
        ("a donkey", "hee-haw"),
        ("a wolf", "howl"),
        ("a turkey", "gobble"),
    ],
};

/// What their young are called.
pub(crate) static YOUNG: Relation = Relation {
    asks: &[
        ("What is a baby {x} called?", "A baby {x} is called %a {y}."),
        (
            "What do you call a baby {x}?",
            "A baby {x} is called %a {y}.",
        ),
        (
            "What do you call a young {x}?",
            "A young {x} is called %a {y}.",
        ),
        (
            "What is the name for a young {x}?",
            "A young {x} is called %a {y}.",
        ),
        (
            "What does %a {y} grow up to be?",
            "%a {y} grows up to be %a {x}.",
        ),
        ("Is %a {y} a baby {x}?", "Yes, a baby {x} is called %a {y}."),
        ("Is %a {z} a baby {x}?", "No, a baby {x} is called %a {y}."),
    ],
    rows: &[
        ("dog", "puppy"),
        ("cat", "kitten"),
        ("cow", "calf"),
        ("sheep", "lamb"),
        ("horse", "foal"),
        ("duck", "duckling"),
        ("hen", "chick"),
        ("pig", "piglet"),
        ("bear", "cub"),
        ("goat", "kid"),
        ("frog", "tadpole"),
        ("goose", "gosling"),
        ("deer", "fawn"),
        ("kangaroo", "joey"),
        ("owl", "owlet"),
        ("swan", "cygnet"),
    ],
};

/// Where they live.
pub(crate) static HOMES: Relation = Relation {
    asks: &[
        ("Where does {x} live?", "{x} lives {y}."),
        ("Where can I find {x}?", "{x} lives {y}."),
        ("What is the home of {x}?", "{x} lives {y}."),
        (
            "[Can you tell me|Do you know] where {x} lives?",
            "[Yes, |]{x} lives {y}.",
        ),
    ],
    rows: &[
        ("a fish", "in the water"),
        ("a bird", "in a nest"),
        ("a bee", "in a hive"),
        ("a bear", "in a cave"),
        ("a rabbit", "in a burrow"),
        ("a fox", "in a den"),
        ("a cow", "on a farm"),
        ("a spider", "in a web"),
        ("a whale", "in the sea"),
        ("a camel", "in the desert"),
        ("a penguin", "in the cold south"),
        ("a mole", "under the ground"),
        ("an ant", "in an ant hill"),
        ("a squirrel", "in a tree"),
        ("a king", "in a castle"),
        ("a frog", "by a pond"),
        ("a polar bear", "on the ice"),
        ("a snail", "in its shell"),
        ("a beaver", "in a house of sticks"),
        ("a shark", "in the ocean"),
    ],
};

/// How many legs they have.
pub(crate) static LEGS: Relation = Relation {
    asks: &[
        ("How many legs does {x} have?", "{x} has {y}."),
        ("How many legs has {x} got?", "{x} has {y}."),
        (
            "[Can you tell me|Do you know] how many legs {x} has?",
            "[Yes, |]{x} has {y}.",
        ),
        ("Count the legs of {x}.", "{x} has {y}."),
        ("Does {x} have {y}?", "Yes, {x} has {y}."),
        ("Does {x} have {z}?", "No, {x} has {y}."),
    ],
    rows: &[
        ("a dog", "four legs"),
        ("a cat", "four legs"),
        ("a bird", "two legs"),
        ("a spider", "eight legs"),
        ("an ant", "six legs"),
        ("a snake", "no legs"),
        ("a fish", "no legs"),
        ("a horse", "four legs"),
        ("a duck", "two legs"),
        ("a bee", "six legs"),
        ("a cow", "four legs"),
        ("a worm", "no legs"),
        ("a chair", "four legs"),
        ("a hen", "two legs"),
        ("a frog", "four legs"),
        ("a child", "two legs"),
        ("a beetle", "six legs"),
        ("a lion", "four legs"),
        ("an elephant", "four legs"),
        ("a sheep", "four legs"),
    ],
};

/// What they eat.
pub(crate) static FOOD: Relation = Relation {
    asks: &[
        ("What does {x} eat?", "{x} eats {y}."),
        ("What does {x} like to eat?", "{x} likes to eat {y}."),
        ("What can I feed {x}?", "You can feed {x} {y}."),
        ("What is good food for {x}?", "{x} likes to eat {y}."),
        (
            "[Can you tell me|Do you know] what {x} eats?",
            "[Yes, |]{x} eats {y}.",
        ),
    ],
    rows: &[
        ("a rabbit", "carrots and grass"),
        ("a cow", "grass"),
        ("a squirrel", "nuts"),
        ("a cat", "fish and meat"),
        ("a monkey", "bananas"),
        ("a mouse", "cheese and seeds"),
        ("a horse", "hay and oats"),
        ("a bird", "seeds and worms"),
        ("a bear", "berries and honey"),
        ("a panda", "bamboo"),
        ("a sheep", "grass"),
        ("a frog", "flies"),
        ("a duck", "plants and snails"),
        ("a goat", "leaves and grass"),
        ("a hen", "corn and seeds"),
        ("a lion", "meat"),
        ("a caterpillar", "leaves"),
        ("a penguin", "fish"),
        ("an owl", "mice"),
        ("a butterfly", "the juice of flowers"),
    ],
};
