//! Owns the stories about others: meeting, helping, cheering and forgiving them.

use super::{Schema, words};

/// Somebody new is shy; a small thing opens the door.
pub(crate) static FRIEND: Schema = Schema {
    about: &["a new friend", "making a friend", "friendship"],
    things: words::TOYS,
    colored: true,
    facts: &[
        &[
            &[("shy", "hid behind a tree"), ("said", "nothing")],
            &[
                ("shy", "sat alone on a big stone"),
                ("said", "only one word: hello"),
            ],
            &[
                ("shy", "stood far away and looked at the ground"),
                ("said", "nothing at all"),
            ],
            &[
                ("shy", "watched the others from a corner"),
                ("said", "so little that nobody heard it"),
            ],
        ],
        &[
            &[("trait", "could tell very funny jokes")],
            &[("trait", "knew the names of all the birds")],
            &[("trait", "could run faster than the wind")],
            &[("trait", "could sing like a bird")],
            &[("trait", "knew a hundred stories")],
            &[("trait", "could whistle any song")],
        ],
    ],
    beats: &[
        "[{N} wanted a friend to play with.|{N} had many toys, but {he} had no one to play with.|{N} \
         often played alone and wished for a friend.]",
        "¶{someday}, %a new {fnoun} came to live nearby. [{Fhis} name was {F}.|The new {fnoun} was called {F}.] \
         {F} was very shy. {Fhe} {shy} and said {said}. [The others ran past and did not see \
         {fhim}.|Nobody asked {fhim} to play.] But {N} [saw {fhim}|looked at {fhim} and smiled].",
        r#"["Hello, I am {N}. Do you want to play?" {he} asked.|"Hi! My name is {N}," {he} said. "Will you
         play with me?"] {F} [did not answer|shook {fhis} head]. [{Fhe} was too scared.|{Fhe} was not
         ready yet.] {N} [did not give up|was not angry]. [{He} thought about it all night.|{He} asked
         {his} {elder} what to do. "Be kind and wait a little," said {Elder}.]"#,
        r#"¶The next day, {N} came back with {his} {co}. {He} put it down [between them|on the grass] and
         sat still. {F} looked at the {o}. [Then {fhe} came one step closer.|Step by step, {fhe} came
         closer.] ["Is that yours?" {fhe} asked softly.|"I like your {o}," {fhe} said softly.] ["Yes. You
         can play with it too," said {N}.|"It is more fun with two," said {N}.]"#,
        "They played with the {o} all [day|afternoon]. [Soon {F} was not shy any more.|Soon {F} was \
         laughing.] It turned out that {F} {trait}. [{N} was amazed.|{N} clapped and laughed.]",
        r#"¶["Will you come again tomorrow?" asked {N}.|"Can we play again tomorrow?" asked {F}.] ["Yes!"
         said the other at once.|They both nodded.] [From that day on, {N} and {F} were best
         friends.|{N} learned that some friends just need a little time.|And that is how {N} and {F}
         became friends.]"#,
    ],
    asks: &[
        (
            "[Who was shy?|Who was the new friend?]",
            "[It was {F}.|{F}.]",
        ),
        ("What did {N} bring?", "{N} brought {his} {co}."),
        ("What was special about {F}?", "{F} {trait}."),
    ],
};

/// A small creature is in trouble.
pub(crate) static HELPING: Schema = Schema {
    about: &["helping", "helping somebody small", "a good deed"],
    things: &[],
    colored: false,
    facts: &[&[
        &[
            ("o", "baby bird"),
            ("trouble", "had fallen from its nest"),
            ("cry", "peeped"),
            ("fail", "tried to reach the nest, but it was too high"),
            (
                "fix",
                "{F} held a long branch against the tree, and {N} climbed up and put the bird back in its nest",
            ),
        ],
        &[
            ("o", "beetle"),
            ("trouble", "was lying on its back and could not get up"),
            ("cry", "kicked its legs"),
            (
                "fail",
                "blew on the beetle, but it only rocked from side to side",
            ),
            (
                "fix",
                "{F} brought a thin leaf, and {N} pushed it under the beetle until it rolled over",
            ),
        ],
        &[
            ("o", "duckling"),
            ("trouble", "had lost its mother"),
            ("cry", "cried and cried"),
            ("fail", "called for the mother, but nobody came"),
            (
                "fix",
                "{F} saw wet footprints on the path, and they all followed them to the pond, where the mother duck was waiting",
            ),
        ],
        &[
            ("o", "bee"),
            ("trouble", "had fallen into a bucket of water"),
            ("cry", "buzzed softly"),
            ("fail", "tried to tip the bucket, but it was too heavy"),
            (
                "fix",
                "{F} found a long straw, and {N} held it in the water until the bee climbed out",
            ),
        ],
        &[
            ("o", "lamb"),
            ("trouble", "was stuck in a bush full of thorns"),
            ("cry", "cried for help"),
            ("fail", "pulled at the branches, but they would not move"),
            (
                "fix",
                "{F} bent the branches to one side, and {N} pulled the lamb out, one leg at a time",
            ),
        ],
        &[
            ("o", "snail"),
            ("trouble", "was in the middle of a busy road"),
            ("cry", "hid in its shell"),
            ("fail", "told it to hurry, but a snail cannot hurry"),
            (
                "fix",
                "{F} watched the road, and {N} carried the snail to the grass on a big leaf",
            ),
        ],
        &[
            ("o", "kitten"),
            ("trouble", "had climbed too high in a tree"),
            ("cry", "meowed loudly"),
            ("fail", "called it, but it was too scared to move"),
            (
                "fix",
                "{F} held up a big basket, and the kitten jumped right into it while {N} spoke softly",
            ),
        ],
        &[
            ("o", "fish"),
            ("trouble", "was caught in a puddle after the flood"),
            ("cry", "splashed with its tail"),
            ("fail", "tried to catch it, but it was too slippery"),
            (
                "fix",
                "{F} came with a bowl, and together they carried the fish back to the river",
            ),
        ],
        &[
            ("o", "butterfly"),
            ("trouble", "had wet wings and could not fly"),
            ("cry", "sat very still"),
            ("fail", "waved a leaf to dry it, but the air was too cold"),
            (
                "fix",
                "{F} found a warm stone in the sun, and {N} carried the butterfly there on a flower",
            ),
        ],
        &[
            ("o", "ant"),
            ("trouble", "could not cross a wide puddle"),
            ("cry", "ran up and down"),
            ("fail", "put a stone in the water, but it sank"),
            (
                "fix",
                "{F} found a flat stick, and {N} laid it over the puddle like a bridge",
            ),
        ],
    ]],
    beats: &[
        "[{N} always looked where {he} put {his} feet.|{N} had a kind heart.|{N} liked all living things, big \
         and small.]",
        "¶{oneday}, {N} was out for a walk. [Then {he} heard a small sound.|Suddenly {he} stopped.] There \
         was %a {o}. It {trouble}. The poor {o} {cry}.",
        r#"["Do not be afraid," said {N}. "I will help you."|"Oh, you poor thing! I want to help you," said
         {N}.|"Wait, little one. I am here," said {N}.] {He} {fail}. [{N} did not know what to do
         next.|It did not work.]"#,
        r#"¶[{N} called {his} friend {F}.|Luckily, {Fi} was not far away.] ["{F}, please help me! There is %a
         {o} in trouble," said {N}.|"This {o} needs us," said {N}.] {F} [thought for a moment|came at
         once]. "[I have an idea|Let us work together|We can do it together]," {fhe} said."#,
        "{fix}. [The {o} was safe!|Now the {o} was safe and well.]",
        r#"¶["You did it!" said {F}. "No, we did it," said {N}.|{N} and {F} smiled at each other.] [The {o}
         looked back once, as if to say thank you.|The next day, the {o} came back to say hello.] [{N}
         learned that even small ones need a friend.|Helping made them both feel happy.|{N} learned that
         nobody is too small to be helped.]"#,
    ],
    asks: &[
        (
            "[Who was in trouble?|What did {N} find?]",
            "[It was %a {o}.|%a {o}.]",
        ),
        ("What was wrong with the {o}?", "The {o} {trouble}."),
        ("[Who helped {N}?|Who came to help?]", "{F}."),
    ],
};

/// A friend is ill in bed.
pub(crate) static SICK: Schema = Schema {
    about: &["a sick friend", "getting well", "cheering up a friend"],
    things: &[
        "book",
        "flower",
        "drawing",
        "puppet",
        "paper star",
        "blanket",
        "card",
        "bell",
        "cake",
        "balloon",
        "pillow",
        "music box",
    ],
    colored: true,
    facts: &[
        &[
            &[("ill", "a bad cold"), ("sound", "sneezed")],
            &[("ill", "a fever"), ("sound", "shivered")],
            &[("ill", "a cough"), ("sound", "coughed")],
            &[("ill", "a sore throat"), ("sound", "whispered")],
        ],
        &[
            &[("soup", "carrot soup"), ("ing", "carrots")],
            &[("soup", "pea soup"), ("ing", "peas")],
            &[("soup", "potato soup"), ("ing", "potatoes")],
            &[("soup", "tomato soup"), ("ing", "tomatoes")],
            &[("soup", "pumpkin soup"), ("ing", "a pumpkin")],
        ],
    ],
    beats: &[
        "{N} had a good friend, %a {fnoun} named {F}. [They played together every day.|They did everything \
         together.]",
        r#"¶{oneday}, {F} did not come out to play. {N} [waited and waited|waited by the gate|looked up and
         down the path]. [Then {he} went to see {fhim}.|At last {he} went to {possf} home.] {F} was in bed.
         ["I have {ill}," said {F}, and {fhe} {sound}.|"I cannot play. I have {ill}," {fhe} said.]"#,
        r#"{N} [felt sorry for {his} friend|wanted to help]. ["What can I do?" {he} thought.|"How can I make
         {fhim} feel better?" {he} asked {his} {elder}.] [First, {he} told funny stories, but {F} was too
         tired to laugh.|First, {he} sang a loud song, but it hurt {possf} ears.] {N} [thought again|had a
         better idea]."#,
        "¶{N} went home and took {ing} from the kitchen. {He} and {his} {elder} made a pot of {soup}. [It \
         smelled so good!|Steam came up from the pot.] {N} also made room in the basket for %a {co}.",
        r#"{He} carried everything to {F}. [{F} ate the warm soup and smiled.|{F} ate two bowls of the warm
         soup.] Then {fhe} saw the {o}. ["Is that for me?" {fhe} asked.|"What a lovely {o}!" {fhe} said.]
         ["Yes. It will stay with you until you are well," said {N}.|"It is for you, so that you are not
         alone," said {N}.]"#,
        "¶[A few days later, {F} was well again.|Soon {F} felt much better.] [The two friends ran outside and \
         played in the sun.|They went out to play, just as before.] [{N} learned that a little care can \
         help a lot.|A good friend is there on bad days too.|{F} never forgot how kind {N} had been.]",
    ],
    asks: &[
        ("[Who was sick?|Who was ill?]", "{F} was [sick|ill]."),
        ("What [kind of |]soup did {N} make?", "{N} made {soup}."),
        ("What did {N} bring?", "{N} brought {soup} and %a {co}."),
    ],
};

/// Somebody grumpy has a reason.
pub(crate) static GRUMPY: Schema = Schema {
    about: &[
        "a grumpy neighbor",
        "being kind to everyone",
        "an angry neighbor",
    ],
    things: &[
        "hat",
        "basket",
        "lantern",
        "cane",
        "pipe",
        "clock",
        "chair",
        "key",
        "bell",
        "flute",
        "pair of glasses",
        "watch",
    ],
    colored: false,
    facts: &[
        &[
            &[
                ("only", "child"),
                ("g", "Mr. Brown"),
                ("ghe", "he"),
                ("ghim", "him"),
                ("ghis", "his"),
            ],
            &[
                ("only", "child"),
                ("g", "Mrs. Hill"),
                ("ghe", "she"),
                ("ghim", "her"),
                ("ghis", "her"),
            ],
            &[
                ("only", "child"),
                ("g", "Mr. Stone"),
                ("ghe", "he"),
                ("ghim", "him"),
                ("ghis", "his"),
            ],
            &[
                ("only", "child"),
                ("g", "Mrs. Green"),
                ("ghe", "she"),
                ("ghim", "her"),
                ("ghis", "her"),
            ],
            &[
                ("only", "animal"),
                ("g", "Old Crow"),
                ("ghe", "he"),
                ("ghim", "him"),
                ("ghis", "his"),
            ],
            &[
                ("only", "animal"),
                ("g", "Mrs. Toad"),
                ("ghe", "she"),
                ("ghim", "her"),
                ("ghis", "her"),
            ],
            &[
                ("only", "animal"),
                ("g", "Mr. Goose"),
                ("ghe", "he"),
                ("ghim", "him"),
                ("ghis", "his"),
            ],
        ],
        &[
            &[("spot", "in the tall weeds by the gate")],
            &[("spot", "behind the old well")],
            &[("spot", "under a heap of leaves")],
            &[("spot", "in the mud beside the path")],
        ],
        &[
            &[("treat", "warm bread with honey")],
            &[("treat", "sweet plums")],
            &[("treat", "hot apple pie")],
            &[("treat", "little nut cakes")],
        ],
    ],
    beats: &[
        r#"Next door lived {g}. {G} was always grumpy. ["Be quiet!" {ghe} shouted when {N} sang.|"Go away!"
         {ghe} shouted when {N} and {his} friends played.|{Ghe} never said hello and never smiled.] [Everyone was
         afraid of {ghim}.|Nobody liked to go near {ghis} door.]"#,
        r#"¶{someday}, {N} saw {g} outside. {Ghe} was looking for something, and {ghe} was sad. ["Let us run
         away," said {Fi}.|"Do not go there," said {Fi}. "{Ghe} is always angry."] But {N} [stopped|shook
         {his} head]. [{He} walked up to {ghim}.|{He} took a deep breath and opened the gate.] ["Can I
         help you?" {he} asked.|"Did you lose something?" {he} asked.]"#,
        r#"{G} looked surprised. "I lost my {o}," {ghe} said. "It was a gift from my [sister|brother|best
         friend], who is far away. Without it, I feel so alone." ["We will find your {o}," said {N}.|"Then
         we will look for it together," said {N}.]"#,
        r#"¶{N} and {F} looked everywhere. [They looked beside the house and behind the trees.|They looked
         along the fence and below the window.] [At last, {F} called, "Come here!"|At last, {N} gave a
         happy shout.] There was the {o}, {spot}. {N} [wiped it clean|picked it up with care] and gave it
         to {g}."#,
        r#"¶For the first time, {g} smiled. ["Thank you," {ghe} said. "You are good neighbors."|"How kind you
         are! I am sorry that I shouted," {ghe} said.] {Ghe} [gave|brought] them {treat}. [After that, {g}
         was not grumpy any more.|From then on, {g} waved every time they came by.] [{N} learned that a
         grumpy face can hide a sad heart.|{N} learned that kindness can open any door.]"#,
    ],
    asks: &[
        ("Who was grumpy?", "{G} was grumpy."),
        ("What did {g} lose?", "{G} lost %a {o}."),
        ("Where was the {o}?", "The {o} was {spot}."),
    ],
};

/// A race, and a reason to stop in the middle of it.
pub(crate) static RACE: Schema = Schema {
    about: &["a race", "running a race", "winning and losing"],
    things: &[
        "cup", "ribbon", "crown", "bell", "cake", "flag", "hat", "scarf", "medal", "star",
    ],
    colored: true,
    facts: &[&[
        &[
            ("way", "around the lake"),
            ("slip", "stepped into a hole and fell"),
        ],
        &[
            ("way", "up the hill and down again"),
            ("slip", "slipped on a wet stone"),
        ],
        &[
            ("way", "through the woods"),
            ("slip", "tripped over a root"),
        ],
        &[
            ("way", "across the field to the old bridge"),
            ("slip", "fell into the mud"),
        ],
        &[
            ("way", "along the river"),
            ("slip", "hurt a foot on a sharp stone"),
        ],
    ]],
    beats: &[
        "{N} loved to run. [{He} ran in the morning and {he} ran at night.|Every day, {he} ran a little \
         faster.] {oneday}, there was a big race {way}. The prize was %a {co}. [{N} wanted to win it very \
         much.|{N} could think of nothing else.]",
        r#"¶{Fi} was in the race too. ["I will win," said {F}. "No, I will win," said {N}. They both
         laughed.|"Good luck," said {F}. "Good luck to you too," said {N}.] ["One, two, three, go!" somebody
         called.|"Ready, steady, go!" called an old owl.] [Off they went!|Everyone began to run.]"#,
        r#"{N} ran and ran. [The wind was in {his} face.|{His} heart went boom, boom, boom.] Soon {he} was
         [in front|ahead of all the others]. Then {he} heard a cry. {F} {slip}. ["Ouch!" cried
         {F}.|"Help! I cannot get up!" called {F}.]"#,
        r#"¶{N} looked at the end of the road. [It was so near!|It was only a few steps away.] {He} looked
         back at {F}. [Then {he} turned around.|{N} did not think for long. {He} ran back.] ["Lean on me,"
         said {N}.|"Take hold of me. We will walk together," said {N}.] ["But you will lose the race," said
         {F}. "You matter more than a race," said {N}.]"#,
        "¶Slowly, they went on side by side. They were the last to come in. [But everyone clapped and \
         cheered for them.|But the cheers for them were the loudest of all.] [The winner gave them the {o} \
         to share.|The judge gave them the {o} for being such good friends.] [{N} learned that a friend is \
         better than a prize.|That day, {N} did not win the race, but {he} won something better.]",
    ],
    asks: &[
        (
            "[What was the prize?|What could they win?]",
            "The prize was %a {co}.",
        ),
        ("[Who fell?|Who needed help?]", "{F}."),
        ("Why did {N} stop?", "{N} stopped to help {F}."),
    ],
};
