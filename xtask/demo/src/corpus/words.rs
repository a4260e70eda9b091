//! Owns the lexicon: who lives in the stories, where they live, and what they have.

/// Girls' names.
pub(crate) const GIRLS: &[&str] = &[
    "Lily", "Mia", "Anna", "Ella", "Rose", "Sara", "Zoe", "Emma", "Nora", "Ruby", "Maya", "Lucy",
    "Amy", "Clara", "Ivy", "Jane", "Kate", "Lena", "Molly", "Nina", "Olive", "Polly", "Tess",
    "Wendy", "Daisy", "Eva", "Grace", "Hanna", "June", "Mary",
];

/// Boys' names.
pub(crate) const BOYS: &[&str] = &[
    "Tom", "Ben", "Max", "Sam", "Leo", "Jack", "Tim", "Finn", "Adam", "Noah", "Luke", "Owen",
    "Hugo", "Ian", "Jim", "Kai", "Liam", "Mark", "Nick", "Oscar", "Paul", "Ravi", "Seth", "Theo",
    "Will", "Dan", "Eli", "Fred", "Gus", "Henry",
];

/// Names for female animals.
pub(crate) const SHE_ANIMALS: &[&str] = &[
    "Dot", "Poppy", "Hazel", "Fern", "Honey", "Pearl", "Bella", "Willow", "Tansy", "Coco", "Luna",
    "Penny", "Berry", "Misty", "Pippa", "Clover", "Ginger", "Nutmeg", "Maple", "Sunny",
];

/// Names for male animals.
pub(crate) const HE_ANIMALS: &[&str] = &[
    "Pip", "Bruno", "Rusty", "Barley", "Moss", "Toby", "Fuzzy", "Rocky", "Ollie", "Basil",
    "Buster", "Rufus", "Otto", "Chip", "Biscuit", "Scout", "Bramble", "Monty", "Waddle", "Nibs",
];

/// An animal that can be somebody in a story: its kind and where it lives.
pub(crate) const ANIMALS: &[(&str, &str)] = &[
    ("fox", "in a warm den under an old oak tree"),
    ("rabbit", "in a cozy burrow at the edge of a field"),
    ("bear", "in a big cave near the forest"),
    ("mouse", "in a tiny hole behind a stone wall"),
    ("frog", "beside a quiet green pond"),
    ("duck", "in a soft nest near a lake"),
    ("squirrel", "high up in a pine tree"),
    ("hedgehog", "under a thick hedge"),
    ("owl", "in a hollow tree on a hill"),
    ("turtle", "by a slow river"),
    ("cat", "in a red barn on a farm"),
    ("dog", "on a farm with a white gate"),
    ("pig", "on a muddy little farm"),
    ("goat", "on a rocky hill"),
    ("penguin", "beside a cold blue lake"),
    ("elephant", "near a wide green field"),
    ("monkey", "in the tallest tree in the woods"),
    ("lion", "in a cave on a sunny hill"),
    ("badger", "in a deep burrow in the woods"),
    ("deer", "in a quiet green forest"),
    ("otter", "on the bank of a clear river"),
    ("hen", "in a little wooden house on a farm"),
    ("sheep", "in a green meadow"),
    ("beaver", "in a house of sticks on the river"),
];

/// Where children live.
pub(crate) const CHILD_HOMES: &[&str] = &[
    "in a small house near the sea",
    "in a little town by the hills",
    "on a farm with many animals",
    "in a tall house in the city",
    "in a white house with a blue door",
    "in a village near the forest",
    "in a cottage beside a river",
    "at the end of a quiet street",
    "above a bakery in a busy town",
];

/// Colors that a thing may have.
pub(crate) const COLORS: &[&str] = &[
    "red", "blue", "green", "yellow", "orange", "purple", "pink", "white", "brown", "silver",
    "golden", "black",
];

/// Things to play with.
pub(crate) const TOYS: &[&str] = &[
    "ball",
    "kite",
    "doll",
    "drum",
    "toy boat",
    "toy car",
    "toy train",
    "teddy bear",
    "puzzle",
    "wagon",
    "hoop",
    "jump rope",
    "whistle",
    "top",
    "sled",
];

/// Small things that are easily lost.
pub(crate) const SMALL: &[&str] = &[
    "hat",
    "scarf",
    "button",
    "bow",
    "key",
    "bell",
    "shell",
    "feather",
    "marble",
    "ring",
    "coin",
    "book",
    "cup",
    "spoon",
    "blanket",
    "ribbon",
    "ball",
    "whistle",
    "toy boat",
    "toy car",
    "doll",
    "teddy bear",
    "drum",
    "basket",
    "flute",
];

/// Where children look for a lost thing.
pub(crate) const CHILD_SPOTS: &[&str] = &[
    "under the bed",
    "behind the sofa",
    "in the toy box",
    "behind the door",
    "on the shelf",
    "under the table",
    "in the closet",
    "beside the stairs",
    "in the basket of clothes",
    "on the porch",
    "in the shed",
];

/// Where animals look for a lost thing.
pub(crate) const ANIMAL_SPOTS: &[&str] = &[
    "under a big leaf",
    "behind a gray rock",
    "in the long grass",
    "beside the path",
    "behind a tree stump",
    "under a bush",
    "near the water",
    "on top of the hill",
    "next to the fence",
    "between the roots",
];

/// Places where children meet.
pub(crate) const CHILD_PLACES: &[&str] = &[
    "in the park",
    "at the beach",
    "in the garden",
    "in the yard",
    "at the playground",
    "on the hill",
    "by the lake",
    "in the field behind the school",
];

/// Places where animals meet.
pub(crate) const ANIMAL_PLACES: &[&str] = &[
    "in the meadow",
    "by the pond",
    "near the river",
    "on the hill",
    "at the edge of the woods",
    "under the tall trees",
    "in the field",
    "beside the stream",
];

/// What somebody likes to do, after "to".
pub(crate) const LIKES: &[&str] = &[
    "sing",
    "dance",
    "draw pictures",
    "tell jokes",
    "look at the clouds",
    "collect stones",
    "play outside",
    "make new things",
    "ask questions",
    "jump in puddles",
    "count the stars",
    "listen to stories",
    "pick flowers",
    "hum little songs",
    "play hide and seek",
];

/// Weather for an opening.
pub(crate) const WEATHER: &[&str] = &["sunny", "bright", "warm", "cool", "clear", "quiet", "fine"];
