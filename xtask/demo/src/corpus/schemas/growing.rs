//! Owns the stories about growing: courage, practice, and care for a pet.

use super::Schema;

/// Somebody is afraid of something and meets it.
pub(crate) static BRAVE: Schema = Schema {
    about: &["being brave", "being afraid", "courage"],
    things: &[],
    colored: false,
    facts: &[&[
        &[
            ("o", "slide"),
            ("ao", "the big slide"),
            ("where", "on the playground"),
            ("why", "it was so high"),
            ("half", "climbed two steps and came down again"),
            ("tip", "Look at me, not at the ground"),
            (
                "did",
                "sat down, counted to three, and let go. Whee! {He} flew down the slide",
            ),
        ],
        &[
            ("o", "thunder"),
            ("ao", "the thunder"),
            ("where", "in the sky"),
            ("why", "it was so loud"),
            ("half", "hid {his} face, but the noise was still there"),
            ("tip", "Count slowly between the flash and the boom"),
            (
                "did",
                "counted one, two, three, four, and then came the boom. It was like a game",
            ),
        ],
        &[
            ("o", "lake"),
            ("ao", "the deep water"),
            ("where", "in the lake"),
            ("why", "{he} could not see the bottom"),
            ("half", "put one foot in and pulled it out again"),
            ("tip", "Hold on to me and kick your legs"),
            (
                "did",
                "held on, kicked hard, and soon {he} was floating all by {himself}",
            ),
        ],
        &[
            ("o", "bridge"),
            ("ao", "the old bridge"),
            ("where", "over the river"),
            ("why", "it shook when the wind blew"),
            ("half", "took three steps and ran back"),
            ("tip", "Look at the other side and take small steps"),
            (
                "did",
                "took one small step, then another, and at last {he} stood on the other side",
            ),
        ],
        &[
            ("o", "cave"),
            ("ao", "the dark cave"),
            ("where", "in the hill"),
            ("why", "it was black inside"),
            ("half", "looked in and jumped back"),
            ("tip", "Take this light and go slowly"),
            (
                "did",
                "walked in with the light and found shining stones on every wall",
            ),
        ],
        &[
            ("o", "goose"),
            ("ao", "the big goose"),
            ("where", "at the gate"),
            ("why", "it hissed at everyone"),
            ("half", "went near it and ran away again"),
            ("tip", "Stand tall and speak softly"),
            (
                "did",
                "stood tall and said good morning, and the goose let {him} pass",
            ),
        ],
        &[
            ("o", "stage"),
            ("ao", "singing on the stage"),
            ("where", "at school"),
            ("why", "everyone would look at {him}"),
            ("half", "opened {his} mouth, but no sound came out"),
            ("tip", "Sing to me as if we were alone"),
            (
                "did",
                "looked only at {F} and sang the whole song to the end",
            ),
        ],
        &[
            ("o", "swing"),
            ("ao", "the high swing"),
            ("where", "in the old tree"),
            ("why", "it went up so far"),
            ("half", "sat on it for one moment and got off"),
            ("tip", "Start low and hold on with all your might"),
            (
                "did",
                "started low, held on, and soon {he} was swinging up to the leaves",
            ),
        ],
        &[
            ("o", "tunnel"),
            ("ao", "the long tunnel"),
            ("where", "under the road"),
            ("why", "every sound came back as an echo"),
            ("half", "took one step inside and stopped"),
            ("tip", "Sing, and the echo will sing with you"),
            (
                "did",
                "sang a merry song, and the echo sang along until {he} was through",
            ),
        ],
    ]],
    beats: &[
        "{N} was afraid of one thing: {ao} {where}. {He} was afraid because {why}. [{He} told nobody about \
         it.|It made {him} feel very small.|The others did not know.]",
        r#"¶{oneday}, {Fi} said, "[Come on, {N}|Let us go, {N}]! [It will be fun.|I want to show you something.]" They
         went [together|out to play]. And there it was: {ao}. {N} stopped. [{His} legs felt weak.|{His} tummy felt
         funny.|{He} could not move.] {He} {half}. ["I cannot do it," {he} said.|"I am too scared," {he}
         whispered.]"#,
        r#"¶{F} did not laugh. ["I was scared too, the first time," said {F}. "{tip}."|"Everyone is afraid of something,"
         said {F}. "{tip}."|"It is all right to be afraid," said {F}. "{tip}."] {N} [thought about it|took a
         deep breath|nodded slowly]. ["I will try," {he} said.|"Please stay with me," {he} said. "I will," said
         {F}.]"#,
        r#"{possn} heart beat fast. Then {he} {did}! ["I did it!" {he} shouted.|"I was brave!" {he} called.] ["I knew you
         could," said {F}.|{F} clapped and cheered.]"#,
        "¶[After that, {N} was not afraid any more.|The next day, {N} wanted to do it again.|{N} was still a \
         little afraid, but now it was a small fear.] [{N} learned that being brave means trying even when \
         you are scared.|{N} told {his} {elder} all about it. \"I am proud of you,\" said {Elder}.|And when \
         somebody else was afraid, {N} knew how to help.]",
    ],
    asks: &[
        ("What was {N} afraid of?", "{N} was afraid of {ao}."),
        ("Why was {N} afraid?", "{N} was afraid because {why}."),
        ("Who helped {N} to be brave?", "{F} helped {N}."),
    ],
};

/// Practice makes a skill.
pub(crate) static SKILL: Schema = Schema {
    about: &["learning something new", "trying again", "not giving up"],
    things: &[],
    colored: false,
    facts: &[
        &[
            &[
                ("o", "bike"),
                ("skill", "ride a bike"),
                ("fail", "{He} fell to the left. {He} fell to the right"),
                ("tip", "Look ahead and keep going"),
                (
                    "win",
                    "The wheels went around and around, and {he} did not fall",
                ),
            ],
            &[
                ("o", "whistle"),
                ("skill", "whistle a song"),
                ("fail", "Only air came out, and no sound at all"),
                ("tip", "Make your mouth small and blow softly"),
                ("win", "A clear, sweet sound came out"),
            ],
            &[
                ("o", "kite"),
                ("skill", "fly a kite"),
                ("fail", "The kite went up a little and fell on its nose"),
                ("tip", "Run against the wind and let the string go slowly"),
                ("win", "Up, up, up went the kite, high over the trees"),
            ],
            &[
                ("o", "drum"),
                ("skill", "play the drum"),
                ("fail", "It went bang when it should go boom"),
                ("tip", "Listen first, and then play slowly"),
                ("win", "Boom, boom, tap! It sounded just right"),
            ],
            &[
                ("o", "boat"),
                ("skill", "row a boat"),
                ("fail", "The boat only went around in a circle"),
                ("tip", "Pull both sides at the same time"),
                ("win", "The boat went straight across the water"),
            ],
            &[
                ("o", "rope"),
                ("skill", "jump rope"),
                ("fail", "The rope caught on {his} feet every time"),
                ("tip", "Jump when you hear the rope hit the ground"),
                ("win", "One, two, three, four, five jumps in a row"),
            ],
            &[
                ("o", "flute"),
                ("skill", "play the flute"),
                ("fail", "It made a noise like an angry goose"),
                ("tip", "Do not blow so hard"),
                ("win", "A soft and lovely tune came out"),
            ],
            &[
                ("o", "sled"),
                ("skill", "steer a sled"),
                ("fail", "The sled ran into a heap of snow"),
                ("tip", "Lean to the side where you want to go"),
                (
                    "win",
                    "The sled went left, then right, and stopped at the bottom",
                ),
            ],
            &[
                ("o", "ball"),
                ("skill", "catch a ball"),
                ("fail", "The ball hit {his} nose and rolled away"),
                ("tip", "Keep your eyes on the ball"),
                ("win", "The ball flew up, came down, and {he} caught it"),
            ],
            &[
                ("o", "bow"),
                ("skill", "tie a bow"),
                ("fail", "It turned into a big knot"),
                ("tip", "Make two loops, like the ears of a rabbit"),
                ("win", "There it was: a neat little bow"),
            ],
            &[
                ("o", "pair of skates"),
                ("skill", "skate on the ice"),
                (
                    "fail",
                    "{He} put on a pair of skates, but {his} feet slid away",
                ),
                ("tip", "Bend your knees and push to the side"),
                ("win", "{He} slid over the ice like a leaf on the wind"),
            ],
        ],
        &[
            &[("time", "three days")],
            &[("time", "a whole week")],
            &[("time", "two weeks")],
            &[("time", "many days")],
        ],
    ],
    beats: &[
        "{N} wanted to learn how to {skill}. [{Fi} could do it very well.|{Fi} could do \
         it, and so could all the others.|{He} had seen {Fi} do it, and it looked so easy.]",
        r#"¶{oneday}, {N} tried for the first time. {fail}. [{He} tried again, but it was no better.|{He} tried again
         and again.] ["I will never learn it," {he} said.|"This is too hard for me," {he} said.] {N} [sat down and
         shook {his} head|wanted to give up|kicked a stone]."#,
        r#"{F} saw it and sat down beside {him}. ["Do you think that I could do it on my first day?" asked {F}. "I
         needed {time}."|"It took me {time} to learn it," said {F}.] ["Really?" asked {N}. "Really," said {F}.
         "{tip}."|{F} came closer. "Let me tell you a secret," {fhe} said. "{tip}."]"#,
        "¶So {N} [practiced every day|tried once more]. [It was still hard.|At first it did not go well.] {He} \
         thought of what {F} had said. [A little at a time, it got better.|Each day it went a little better.] Then, \
         after {time}, it happened. {win}!",
        r#"["I can {skill}!" {N} shouted.|"Look, {F}! I can {skill}!" said {N}.] {F} [cheered|clapped] and {Elder} came
         out to see. ["You did not give up," said {Elder}. "That is the best part."|"I am so proud of you," said
         {Elder}.] [{N} learned that practice makes things easy.|{N} learned that hard things need time.|And the next
         day, {N} showed a smaller friend how to do it.]"#,
    ],
    asks: &[
        (
            "What did {N} [want to learn|learn]?",
            "{N} [wanted to learn|learned] how to {skill}.",
        ),
        ("Who gave {N} a tip?", "{F} gave {N} a tip."),
        ("What was the tip?", "The tip was: \"{tip}.\""),
    ],
};

/// A small animal needs a home.
pub(crate) static PET: Schema = Schema {
    about: &["a pet", "a lost pet", "taking care of a pet"],
    things: &[],
    colored: false,
    facts: &[
        &[
            &[
                ("o", "puppy"),
                ("sound", "whined"),
                ("eats", "a bowl of warm rice"),
                ("trick", "wagged its tail and ran in circles"),
            ],
            &[
                ("o", "kitten"),
                ("sound", "meowed"),
                ("eats", "a small dish of fish"),
                ("trick", "purred and rolled on its back"),
            ],
            &[
                ("o", "baby rabbit"),
                ("sound", "shook"),
                ("eats", "a fresh carrot"),
                ("trick", "hopped up and down"),
            ],
            &[
                ("o", "chick"),
                ("sound", "peeped"),
                ("eats", "some tiny seeds"),
                ("trick", "flapped its little wings"),
            ],
            &[
                ("o", "hamster"),
                ("sound", "squeaked"),
                ("eats", "some nuts and corn"),
                ("trick", "ran around and around"),
            ],
            &[
                ("o", "duckling"),
                ("sound", "quacked softly"),
                ("eats", "some green peas"),
                ("trick", "splashed in a dish of water"),
            ],
            &[
                ("o", "parrot"),
                ("sound", "squawked"),
                ("eats", "a piece of apple"),
                ("trick", "said hello three times"),
            ],
        ],
        &[
            &[("found", "in a wet box by the road")],
            &[("found", "behind the shop")],
            &[("found", "under a bench in the rain")],
            &[("found", "next to the old bridge")],
            &[("found", "beside the garden gate")],
        ],
    ],
    beats: &[
        "[{N} had always wanted a pet.|{N} dreamed of having a pet.|Every year, {N} wished for a pet.]",
        r#"¶{oneday}, {N} found %a {o} {found}. It was [cold and hungry|thin and dirty|all alone and afraid].
         The {o} {sound}. ["You poor thing," said {N}. "Where is your home?"|"Are you lost?" {N} asked
         softly.] [{He} wrapped it in {his} {c} scarf and took it home.|{He} took off {his} {c} coat, put it
         around the {o}, and brought it home.]"#,
        r#"["May I keep it?" {he} asked {his} {elder}.|"Look what I found! Can it stay?" {he} asked {his}
         {elder}.] ["It may belong to someone," said {Elder}. "We must ask around first."|"First we must find
         out if somebody misses it," said {Elder}.] {N} [was a little sad, but {he} knew it was right|nodded,
         because {he} knew that {Elder} was right]."#,
        "¶{N} gave the {o} {eats}. [It ate everything.|It ate until nothing was left.] Then {N} and {Fi} went \
         from door to door and asked everyone. [Nobody had lost %a {o}.|No one knew the little {o}.] [They \
         put up a sign and waited for a week, but nobody came.|They asked again the next day, but nobody \
         came for it.]",
        r#"¶["Then it can stay," said {Elder}. "But you must feed it and clean up after it."|"You may keep it,"
         said {Elder}. "A pet is a lot of work, you know."] ["I promise!" said {N}.|"I will take good care
         of it every day," said {N}.] The {o} {trick}."#,
        "[{N} named it {pet}.|They called it {pet}.] Every morning, {N} got up early to feed {pet}. [It was hard \
         work, but {he} kept {his} promise.|{He} never forgot, not even once.] [{N} learned that love means \
         taking care.|{N} and {pet} were happy together for a long time.]",
    ],
    asks: &[
        ("What did {N} find?", "{N} found %a {o}."),
        ("Where was the {o}?", "The {o} was {found}."),
        ("What was the {o} called?", "The {o} was called {pet}."),
    ],
};
