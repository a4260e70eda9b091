//! Owns the stories about the wide world: night, maps, rain and stars.

use super::Schema;

/// Somebody cannot sleep.
pub(crate) static NIGHT: Schema = Schema {
    about: &["the night", "going to sleep", "bedtime"],
    things: &[
        "blanket",
        "pillow",
        "teddy bear",
        "lamp",
        "night light",
        "music box",
        "book",
        "doll",
        "lantern",
    ],
    colored: true,
    facts: &[
        &[
            &[
                ("noise", "a tapping sound"),
                ("cause", "a branch tapping on the wall in the wind"),
                ("fear", "somebody was knocking"),
            ],
            &[
                ("noise", "a scratching sound"),
                ("cause", "a little mouse looking for crumbs"),
                ("fear", "something had big claws"),
            ],
            &[
                ("noise", "a long, low hoot"),
                ("cause", "an owl singing to the moon"),
                ("fear", "it was a ghost"),
            ],
            &[
                ("noise", "a drip, drip, drip"),
                ("cause", "rain falling into a bucket"),
                ("fear", "something was coming closer"),
            ],
            &[
                ("noise", "a strange hum"),
                ("cause", "the wind blowing over an empty bottle"),
                ("fear", "a monster was singing"),
            ],
            &[
                ("noise", "a soft rustle"),
                ("cause", "a hedgehog walking through dry leaves"),
                ("fear", "a snake was outside"),
            ],
        ],
        &[
            &[("first", "counted to twenty")],
            &[("first", "closed {his} eyes very tight")],
            &[("first", "turned from one side to the other")],
            &[("first", "hummed a quiet song")],
        ],
    ],
    beats: &[
        "[Every night, {N} slept with {his} {co}.|{N} had %a {co}, and {he} never went to bed without it.]",
        "¶One [dark|cold|quiet] night, {N} could not sleep. [The moon was hidden behind the clouds.|There were \
         no stars in the sky.|Everyone else was asleep.] Then {he} heard {noise}. {N} thought that {fear}. \
         [{He} pulled the covers over {his} head.|{His} heart beat fast.|{He} began to shake.]",
        r#"{He} {first}, but it did not help. The sound was still there. [{N} held the {o} close.|{N} hugged
         {his} {o}.] ["We must be brave," {he} whispered to it.|"Are you afraid too?" {he} whispered to it.]
         Then {he} called {his} {elder}."#,
        r#"¶{Elder} came with a [small light|candle]. ["What is the matter?" {mhe} asked.|"Why are you still
         awake, my dear?" {mhe} asked.] ["I hear {noise}. I think that {fear}," said {N}.|"Listen! Can you
         hear that?" said {N}.] ["Let us go and look together," said {Elder}.|"When we are afraid, it helps to
         look," said {Elder}.]"#,
        r#"They went outside, [very quietly|side by side]. {N} held the light up high. And what did they see? It was
         only {cause}! {N} [laughed|had to laugh]. ["That is not scary at all," {he} said.|"So that was the
         sound," {he} said.]"#,
        "¶{Elder} tucked {N} into bed, with the {o} next to {him}. [\"Good night, my brave {hero},\" {mhe} \
         said.|\"Sleep well,\" {mhe} said.] [Now the sound was like a little song.|Now {N} was not afraid of \
         the sound.] [Soon {he} was fast asleep.|{He} smiled and fell asleep.] [{N} learned that things are \
         less scary when you know what they are.|From that night on, the dark was not so dark.|]",
    ],
    asks: &[
        (
            "[What did {N} hear?|What did {N} hear in the night?]",
            "{N} heard {noise}.",
        ),
        ("What was the sound?", "It was only {cause}."),
        ("Who came with a light?", "{Elder} came with a light."),
    ],
};

/// An old map leads somewhere.
pub(crate) static MAP: Schema = Schema {
    about: &["a treasure", "a map", "an adventure"],
    things: &[
        "box", "bottle", "bag", "chest", "jar", "tin", "basket", "pot",
    ],
    colored: true,
    facts: &[
        &[
            &[("hid", "in an old book")],
            &[("hid", "under a loose stone")],
            &[("hid", "inside a hollow log")],
            &[("hid", "in the pocket of an old coat")],
        ],
        &[
            &[
                ("clue1", "the big rock that looks like a sleeping cow"),
                ("clue2", "the bridge with one broken board"),
            ],
            &[
                ("clue1", "the tree with two trunks"),
                ("clue2", "the pond with the white flowers"),
            ],
            &[
                ("clue1", "the old windmill"),
                ("clue2", "the hill with three bushes"),
            ],
            &[
                ("clue1", "the well with the mossy wall"),
                ("clue2", "the gate that does not close"),
            ],
        ],
        &[
            &[
                ("wrong", "a deep ditch stopped them"),
                (
                    "solve",
                    "laid a fallen tree across it and walked over, one after the other",
                ),
            ],
            &[
                ("wrong", "they came to a fork in the road"),
                (
                    "solve",
                    "turned the map around and saw that they had held it upside down",
                ),
            ],
            &[
                ("wrong", "a thick fog came down"),
                (
                    "solve",
                    "held on to each other and followed the sound of the river",
                ),
            ],
            &[
                ("wrong", "a thorn bush blocked the path"),
                ("solve", "crawled through a small gap near the ground"),
            ],
        ],
        &[
            &[
                (
                    "inside",
                    "seeds of many kinds and a note: plant us and share",
                ),
                (
                    "did",
                    "planted the seeds, and in summer everyone came to see the flowers",
                ),
            ],
            &[
                ("inside", "a song written on old paper"),
                ("did", "learned the song and sang it for everyone"),
            ],
            &[
                ("inside", "smooth stones in every color"),
                ("did", "gave one stone to each of their friends"),
            ],
            &[
                ("inside", "an old picture of two friends"),
                (
                    "did",
                    "added a picture of themselves and hid it again for someone else",
                ),
            ],
            &[
                ("inside", "a hundred little bells"),
                (
                    "did",
                    "hung the bells in the trees, and the wind played music all day",
                ),
            ],
        ],
    ],
    beats: &[
        "{oneday}, {N} found a map {hid}. It was [old and yellow|torn at one side|dusty and thin]. There was %a {c} \
         cross on it. {N} [ran to show it to {Fi}|could not wait to tell {Fi}].",
        r#"¶["It is a treasure map!" said {F}.|"Where does it go?" asked {F}.] ["Let us find out," said {N}.|"Come
         with me and we will see," said {N}.] They [packed some bread and water|took a bag and a bottle of water]
         and left. First, they had to find {clue1}. [That was easy.|They found it quickly.] Then the map
         showed {clue2}."#,
        r#"¶But on the way, {wrong}. ["What now?" asked {F}.|"We cannot go on," said {F}.] ["We must think," said
         {N}.|"We will not give up," said {N}.] [They sat down and thought.|They looked all around.] Then
         they {solve}. [Soon they saw {clue2}.|And there it was: {clue2}!]"#,
        "¶[Right there, they began to dig.|The cross was just behind it. They dug and dug.] [Clunk! They hit \
         something hard.|At last they felt something hard.] It was %a {co}. [{N} opened it slowly.|They opened \
         it together.] There was no gold in it. Inside were {inside}.",
        r#"["Is that all?" asked {F}. But then {fhe} smiled.|{N} and {F} looked at each other and smiled.] They
         {did}. [{N} learned that a treasure does not have to be gold.|{N} thought that the best treasure was a
         day with a friend.|It was the best adventure they ever had.]"#,
    ],
    asks: &[
        (
            "[Where was the map?|Where did {N} find the map?]",
            "The map was {hid}.",
        ),
        ("What did they dig up?", "They dug up %a {co}."),
        ("Who went with {N}?", "{F} went with {N}."),
    ],
};

/// Rain spoils a plan, until it does not.
pub(crate) static RAIN: Schema = Schema {
    about: &["the rain", "a rainy day", "playing inside"],
    things: &[
        "umbrella",
        "coat",
        "hat",
        "blanket",
        "bucket",
        "pair of boots",
        "tent",
        "basket",
    ],
    colored: true,
    facts: &[
        &[
            &[("plan", "have a picnic")],
            &[("plan", "play at the river")],
            &[("plan", "climb the hill")],
            &[("plan", "pick berries")],
            &[("plan", "play ball in the field")],
        ],
        &[
            &[
                ("game", "sailed leaf boats in the puddles"),
                ("out", "Plop! The leaves went around and around"),
            ],
            &[
                ("game", "jumped in all the puddles"),
                ("out", "Splash! The water flew everywhere"),
            ],
            &[
                ("game", "listened to the rain and made a song from it"),
                ("out", "Drip, drop, went the song"),
            ],
            &[
                ("game", "looked for snails and gave each one a name"),
                ("out", "They found seven of them"),
            ],
            &[
                ("game", "made a little river in the mud"),
                ("out", "It ran all the way down the path"),
            ],
        ],
    ],
    beats: &[
        "{N} was excited. Today {he} wanted to {plan} with {Fi}. [{He} had been waiting all week.|{He} had dreamed
         of it all night.] But when {he} looked outside, [dark clouds were in the sky|the sky was gray]. Drip,
         drop, drip. [It began to rain.|Down came the rain.]",
        r#"¶["Oh no!" said {N}. "Now we cannot {plan}."|"This rain is so mean," said {N}. "It has spoiled
         everything."] {He} [waited for the rain to stop|asked the clouds to go away|sat down and looked at the
         drops]. [But it rained and rained.|But it only rained harder.] {N} [was sad|felt gloomy]."#,
        r#"¶Then {F} came by, dripping wet and laughing. {Fhe} had %a {co}. ["Why are you laughing?" asked {N}. "It is
         raining!"|"How can you be happy in this rain?" asked {N}.] ["Rain is fun," said {F}. "Come out and
         see!"|"Because rain is good for games," said {F}. "Come on!"]"#,
        r#"{N} did not believe it, but {he} went out. The {o} was [big enough for two|just what they needed]. They {game}.
         {out}! [{N} began to laugh.|Soon {N} was laughing too.] ["You were right," {he} said. "Rain can be
         fun."|"I never knew that rain was so much fun," {he} said.]"#,
        "¶Later, the sun came out, and there was a rainbow over [the hill|the trees|the river]. [They sat \
         together and counted its colors.|They looked at it until it was gone.] [{N} learned that every day can \
         be a good day.|\"I hope it rains again tomorrow,\" said {N}.|{N} learned that a new plan can be better \
         than the old one.]",
    ],
    asks: &[
        ("What did {N} want to do?", "{N} wanted to {plan}."),
        ("What did {F} have?", "{F} had %a {co}."),
        (
            "[What did they do in the rain?|What did they play?]",
            "They {game}.",
        ),
    ],
};

/// A wish upon a star needs some work too.
pub(crate) static STAR: Schema = Schema {
    about: &["a star", "a wish", "the moon and the stars"],
    things: &[
        "ladder", "lantern", "rocket", "kite", "balloon", "net", "boat", "tower",
    ],
    colored: false,
    facts: &[
        &[
            &[(
                "tries",
                "climbed the highest hill, but the star was still far away",
            )],
            &[(
                "tries",
                "jumped from the top of a rock, but only landed in the grass",
            )],
            &[(
                "tries",
                "called to the star for hours, but it did not come down",
            )],
        ],
        &[
            &[
                ("shine", "hundreds of fireflies were dancing over the grass"),
                ("wise", "There are stars down here too"),
            ],
            &[
                ("shine", "the whole sky was shining in the still water"),
                ("wise", "Now the star is right in front of you"),
            ],
            &[
                ("shine", "the dew on every leaf was shining like a star"),
                ("wise", "Look, the stars have come to visit"),
            ],
        ],
    ],
    beats: &[
        "Every night, {N} looked up at the sky. There was one star that {he} loved most. [It was small and \
         {c}.|It shone with %a {c} light.] [{N} wanted to hold it, just once.|{N} wished to touch it.]",
        r#"¶{oneevening}, {N} {tries}. [{He} was tired.|{He} sighed.] ["I need something to reach it with," {he}
         thought.|"If only I had %a {o}," {he} said.] So {he} began to build %a {o}. {He} worked for [three|four|five]
         days. [It was hard work.|It was not easy.]"#,
        r#"¶{Fi} came to see. ["What is this {o} for?" asked {F}.|"Why are you building %a {o}?" asked {F}.] ["I want to
         reach my star," said {N}.|"I will use it to get my star," said {N}.] {F} did not laugh. ["I will help you,"
         {fhe} said.|"Let me hold it for you," {fhe} said.] They tried and tried. But the {o} [was not
         enough|did not get them to the sky]. [The star was too far away.|No one can go that high.]"#,
        r#"¶{N} began to cry. ["Look," said {F} softly, "over there."|"Do not cry," said {F}. "Turn around."] {N}
         looked. There, {shine}. [It was the most beautiful thing {he} had ever seen.|{N} forgot to cry.]
         "{wise}," said {F}."#,
        "They sat side by side until it was late. [{N} was happy.|{N} did not feel sad any more.] [\"A star is \
         lovely,\" said {N}, \"but a friend is better.\"|{N} learned that beautiful things are often very \
         near.|{N} learned that you do not have to own a thing to love it.]",
    ],
    asks: &[
        (
            "[What did {N} build?|What did {N} make?]",
            "{N} built %a {o}.",
        ),
        (
            "[What did {N} want?|What did {N} want to hold?]",
            "{N} wanted to hold a star.",
        ),
        ("Who helped {N}?", "{F} helped {N}."),
    ],
};
