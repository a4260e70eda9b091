//! Owns the stories about having things: losing, sharing, breaking, giving and buying them.

use super::{Schema, words};

/// Something is lost; a friend asks the right question.
pub(crate) static LOST: Schema = Schema {
    about: &["a lost thing", "losing something", "looking for something"],
    things: words::SMALL,
    colored: true,
    facts: &[&[
        &[
            ("only", "child"),
            ("act", "drawing in the kitchen"),
            ("spot", "under the kitchen table"),
        ],
        &[
            ("only", "child"),
            ("act", "reading in bed"),
            ("spot", "under {his} pillow"),
        ],
        &[
            ("only", "child"),
            ("act", "helping in the garden"),
            ("spot", "behind the watering can"),
        ],
        &[
            ("only", "child"),
            ("act", "looking out of the window"),
            ("spot", "behind the curtain"),
        ],
        &[
            ("only", "child"),
            ("act", "putting on my boots"),
            ("spot", "next to {his} boots"),
        ],
        &[
            ("only", "child"),
            ("act", "feeding the hens"),
            ("spot", "in the straw by the hens"),
        ],
        &[
            ("only", "child"),
            ("act", "sitting on the swing"),
            ("spot", "in the grass below the swing"),
        ],
        &[
            ("only", "animal"),
            ("act", "napping by the big oak"),
            ("spot", "under a pile of oak leaves"),
        ],
        &[
            ("only", "animal"),
            ("act", "splashing in the stream"),
            ("spot", "between two wet stones"),
        ],
        &[
            ("only", "animal"),
            ("act", "picking berries"),
            ("spot", "under the berry bush"),
        ],
        &[
            ("only", "animal"),
            ("act", "rolling down the hill"),
            ("spot", "at the bottom of the hill"),
        ],
        &[
            ("only", "animal"),
            ("act", "watching the clouds"),
            ("spot", "behind a mossy log"),
        ],
        &[
            ("only", "animal"),
            ("act", "counting the fish"),
            ("spot", "on the bank of the pond"),
        ],
    ]],
    beats: &[
        "{N} had %a {co}. [{He} took it everywhere.|It was {his} favorite thing.|It was a gift from \
         {his} {elder}.|{He} loved it very much.|{He} kept it in a safe place every night.]",
        r#"¶{oneday}, [{N} looked for the {o}, but it was gone.|the {o} was gone.|{N} could not find
         the {o}.|{N} saw that {his} {o} was missing.] [{He} felt sad.|{He} wanted to cry.|{His} heart
         sank.|{He} was very worried.] ["Where is my {o}?" {he} asked.|"Oh no! I lost my {o}," said
         {N}.|"My {o} is gone!" {he} cried.]"#,
        "[First, {he} looked {s1}. The {o} was not there.|{N} looked {s1}, but the {o} was not \
         there.|{He} ran to look {s1}. There was nothing there.] [Then {he} looked {s2}. All {he} \
         found was {junk}.|Next, {he} looked {s2}, but {he} only found {junk}.|After that, {he} \
         looked {s2}. It was not there [either|too].]",
        r#"¶{Fi} [came by|heard {him}|came to play] and [saw that {N} was sad|saw {his} sad face].
         "What is wrong?" asked {F}. ["I lost my {o}," said {N}.|"I cannot find my {co}," said {N}.|
         "My {co} is lost," said {N}.] ["I will help you," said {F}.|"Do not cry. We can find it
         together," said {F}.] "[What were you doing when you last had it|Where did you have it
         last]?" {N} thought [hard|for a moment|about it]. "I was {act}!" {he} said."#,
        "¶[They ran back to look.|The two friends went back to look.|They hurried back.] [There it \
         was! The {o} was {spot}.|And there, {spot}, was the {co}!|Soon {N} saw something {c} {spot}. \
         It was the {o}!] {N} [laughed and jumped for joy|was so happy|hugged the {o} tight].",
        r#"["Thank you, {F}," said {N}. "You are a good friend."|"You found it! Thank you, {F}!"
         said {N}.|"Thank you for helping me," {N} said to {F}.] [From then on, {N} always put the {o}
         back in its place.|{N} learned that it helps to stop and think.|{N} learned that looking is
         easier with a friend.|After that, {N} took better care of the {o}.]"#,
    ],
    asks: &[
        (
            "[Where was the {o}?|Where did they find the {o}?]",
            "The {o} was {spot}.",
        ),
        ("[What did {N} lose?|What was lost?]", "{N} lost %a {co}."),
        ("Who helped {N}?", "{F} helped {N}."),
    ],
};

/// A toy is more fun when two play with it.
pub(crate) static SHARING: Schema = Schema {
    about: &["sharing", "learning to share", "playing together"],
    things: words::TOYS,
    colored: true,
    facts: &[&[
        &[
            ("alone", "but soon it was boring to play alone"),
            ("moral", "toys are more fun with a friend"),
        ],
        &[
            (
                "alone",
                "but it was not much fun without anyone to laugh with",
            ),
            ("moral", "sharing makes everyone happy"),
        ],
        &[
            ("alone", "but nobody was there to see it"),
            ("moral", "good things are better when you share them"),
        ],
        &[
            ("alone", "but {he} felt bad and could not smile"),
            ("moral", "a kind heart is better than a full hand"),
        ],
    ]],
    beats: &[
        "[{N} had a new {co}.|{His} {elder} gave {him} %a {co}.|{N} got %a {co} for {his} birthday.] \
         [It was the best {o} in the world.|{He} thought it was the finest {o} of all.|{He} played \
         with it all day long.]",
        r#"¶{oneday}, {N} took the {o} outside. {Fi} [came along|walked by|saw it]. ["What a nice
         {o}!" said {F}. "May I play with it too?"|"May I have a turn with your {o}?" asked {F}.|"Can
         we play with the {o} together?" asked {F}.] ["No," said {N}. "It is mine."|"No! It is my {o}!"
         said {N}.|{N} held the {o} tight. "No, you cannot," {he} said.] {F} [looked down and walked
         away|felt sad and went away|said nothing and sat down far away]."#,
        "¶{N} played with the {o}, {alone}. {He} [looked over at {F}|saw {F} sitting all alone|thought \
         about {F}]. [{F} looked so sad.|There was a tear on {fhis} cheek.|{F} was drawing lines in \
         the sand with a stick.] {N} [did not feel good inside|felt sorry|knew that {he} had not been \
         kind].",
        r#"¶{N} went over to {F}. ["I am sorry," {he} said. "We can share my {o}."|"I am sorry I said
         no. Do you want a turn?" {he} asked.|"Please come and play with me. You can go first," {he}
         said.] {F} [smiled a big smile|jumped up with joy|was happy again]. ["Thank you!" said
         {F}.|"I would love to!" said {F}.]"#,
        "[They took turns with the {o} until the sun went down.|The two of them played with the {o} all \
         afternoon.|They played and laughed until it was time to go home.] [{N} learned that \
         {moral}.|That day, {N} learned that {moral}.|Now {N} knew that {moral}.]",
    ],
    asks: &[
        ("What did {N} share?", "{N} shared %a {co}."),
        ("[Who did {N} share with?|Who wanted to play too?]", "{F}."),
        ("What did {N} learn?", "{N} learned that {moral}."),
    ],
};

/// The wind takes something away; a plan brings it back.
pub(crate) static WIND: Schema = Schema {
    about: &["the wind", "a windy day", "a thing stuck in a tree"],
    things: &[
        "hat",
        "kite",
        "scarf",
        "balloon",
        "ribbon",
        "feather",
        "paper bird",
        "blanket",
        "paper boat",
    ],
    colored: true,
    facts: &[
        &[
            &[(
                "fails",
                "{N} jumped as high as {he} could, but the branch was too high",
            )],
            &[(
                "fails",
                "{N} threw a small stick at it, but the {o} did not move",
            )],
            &[("fails", "{N} shook the tree, but only leaves fell down")],
            &[(
                "fails",
                "{N} tried to climb the tree, but the trunk was too smooth",
            )],
        ],
        &[
            &[
                ("plan", "a long stick"),
                (
                    "how",
                    "{F} found a long stick. {N} stood on a rock, reached up with the stick, and pushed the {o}",
                ),
            ],
            &[
                ("plan", "standing on {F}"),
                (
                    "how",
                    "{F} stood close to the tree. {N} climbed on {fhis} back, reached up, and pulled the {o}",
                ),
            ],
            &[
                ("plan", "a ladder"),
                (
                    "how",
                    "{F} ran home and came back with a ladder. {N} climbed up, step by step, and took hold of the {o}",
                ),
            ],
            &[
                ("plan", "a bird"),
                (
                    "how",
                    "{F} asked a little bird in the tree for help. The bird took the {o} in its beak and gave it a pull",
                ),
            ],
            &[
                ("plan", "a rope"),
                (
                    "how",
                    "{F} had a rope. They threw it over the branch, pulled it down, and shook the {o}",
                ),
            ],
        ],
    ],
    beats: &[
        "[{N} had %a {co}.|{N} loved {his} {co}.|{His} favorite thing was %a {co}.]",
        r#"¶[One windy day,|It was a windy day.|One morning, the wind began to blow.] {N} took the {o}
         [up the hill|outside|to the field]. [The wind blew harder and harder.|Whoosh! A strong wind
         came.|The wind grew strong.] It [pulled the {o} away and carried it up into the
         sky|took the {o} and carried it off|lifted the {o} high into the air]. ["Come back!" cried
         {N}.|"Stop, wind! That is my {o}!" {he} called.|"Oh no, my {o}!" said {N}.]"#,
        "{He} ran after it as fast as {he} could. [At last the {o} got stuck in a tall tree.|Then the {o} \
         landed on a high branch of a tree.] {fails}. {N} [sat down and sighed|did not know what to \
         do|felt like crying].",
        r#"¶{Fi} [was walking by|came to see what was wrong]. ["Why are you so sad?" asked {F}.|"Is
         something wrong?" asked {F}.] ["The wind took my {o}. Now it is up there," said {N}.|"My {o} is
         stuck in the tree," said {N}.] "[I have an idea|I know what to do|We can get it]!" said {F}."#,
        r#"{how}. [Slowly, it came loose.|It came loose!] Down came the {o}, [right next to {N}|and it landed in the soft grass]. ["Hooray!" they both shouted.|"We did it!" said {F}.|
         "Thank you, {F}!" said {N}.]"#,
        "¶[On the way home, {N} held the {o} very tight.|After that, {N} held on to the {o} when the \
         wind blew.] [{N} learned that two heads are better than one.|{N} was glad to have such a \
         clever friend.|A problem is smaller when a friend helps.]",
    ],
    asks: &[
        ("What did the wind take?", "The wind took {possn} {o}."),
        (
            "[Where did the {o} land?|Where was the {o} stuck?]",
            "It was stuck in a tall tree.",
        ),
        (
            "[Who helped {N}?|Who had an idea?]",
            "{F} [helped {N}|had a good idea].",
        ),
    ],
};

/// Something breaks; telling the truth is hard and right.
pub(crate) static HONESTY: Schema = Schema {
    about: &["telling the truth", "being honest", "a broken thing"],
    things: &[
        "cup",
        "plate",
        "jar",
        "bowl",
        "lamp",
        "clock",
        "flower pot",
        "mirror",
        "picture",
        "teapot",
    ],
    colored: true,
    facts: &[
        &[
            &[
                ("doing", "jumping around in the room"),
                ("oops", "{He} bumped into the table"),
            ],
            &[
                ("doing", "dancing in the room"),
                ("oops", "{His} foot hit the shelf"),
            ],
            &[
                ("doing", "throwing a ball inside"),
                ("oops", "The ball flew too far and hit the {o}"),
            ],
            &[
                ("doing", "running inside"),
                ("oops", "{He} slipped on the rug and hit the shelf"),
            ],
        ],
        &[
            &[("hide", "put the pieces under a rug")],
            &[("hide", "hid the pieces behind a chair")],
            &[("hide", "put the pieces in a box and closed it")],
        ],
        &[
            &[(
                "mend",
                "They glued the pieces together. It did not look new, but it looked special",
            )],
            &[(
                "mend",
                "They picked up the pieces together, and {N} used {his} own coins to help buy a new {o}",
            )],
            &[(
                "mend",
                "They swept the floor together, and {N} made a new {o} out of clay",
            )],
        ],
    ],
    beats: &[
        "{possn} {elder} had %a {co} that {mhe} loved very much. [\"Please be \
         careful with it,\" {mhe} always said.|It was very old.|It stood where all could see it.]",
        "¶{oneday}, {N} was {doing}. {oops}. Crash! The {o} fell [down and broke|to the floor and \
         broke into pieces]. {N} [was very scared|felt cold all over|held {his} breath]. [Nobody had \
         seen it.|There was nobody else in the room.] So {N} {hide}.",
        r#"¶Soon {Elder} came in. ["Where is my {o}?" {mhe} asked.|"Do you know where my {o} is?" {mhe}
         asked.] ["I do not know," said {N} in a small voice.|{N} shook {his} head and said nothing.]
         But {his} [tummy began to hurt|heart felt heavy|face felt hot]. {He} [could not eat|could not
         play|did not want to smile]. {He} knew that it was wrong to hide the truth."#,
        r#"¶At last {N} went to {Elder}. ["I broke your {o}," {he} said. "I was {doing}. I am very
         sorry."|"It was me. I was {doing}, and the {o} broke. I am sorry," {he} said.] {Elder} [was
         quiet for a moment. Then {mhe} hugged {him}|looked sad, but then {mhe} held {him} close].
         ["Thank you for telling me the truth," {mhe} said.|"I am sad about the {o}, but I am glad that
         you told me," {mhe} said.|"That was brave of you," {mhe} said. "You matter more to me than any {o}."]"#,
        "{mend}. {N} felt [light and happy again|much better]. [{N} learned that the truth is always \
         best.|After that, {N} always told the truth.|Telling the truth was hard, but it made {him} feel \
         free.]",
    ],
    asks: &[
        ("What did {N} break?", "{N} broke %a {co}."),
        ("What was {N} doing when the {o} broke?", "{N} was {doing}."),
        (
            "Did {N} tell the truth?",
            "Yes. At last {N} told the truth.",
        ),
    ],
};

/// A present does not need to be bought.
pub(crate) static GIFT: Schema = Schema {
    about: &["a birthday", "a present", "giving a gift"],
    things: &[
        "card",
        "crown",
        "paper star",
        "picture",
        "paper boat",
        "box",
        "basket",
        "mask",
        "paper bird",
        "flower chain",
        "lantern",
        "puppet",
    ],
    colored: true,
    facts: &[&[
        &[
            ("made", "{He} found paper, string, and a pot of {c} paint"),
            ("last", "tied a bow on top"),
        ],
        &[
            ("made", "{He} picked up sticks, leaves, and {c} petals"),
            ("last", "put one bright flower on it"),
        ],
        &[
            ("made", "{He} took out glue, old cloth, and some {c} thread"),
            ("last", "sewed a tiny heart on it"),
        ],
        &[
            (
                "made",
                "{He} asked {Elder} for scissors, glue, and {c} paper",
            ),
            ("last", "drew two friends on it"),
        ],
    ]],
    beats: &[
        "{oneday}, {N} heard some news. [It was {possf} birthday!|It would soon be {possf} birthday!] \
         {F} was {his} best friend. {N} wanted to give {fhim} [something special|a nice present].",
        r#"¶{N} looked in {his} [pocket|little bag]. It was empty. ["I have no coins," {he} said. "I
         cannot buy a present."|"What can I do? I cannot buy anything," {he} said.] {He} went to see
         {his} {elder}. ["You do not need to buy a gift," said {Elder}. "You can make one."|"The best
         gifts are made with love," said {Elder}.]"#,
        "¶So {N} went to work. {made}. {He} wanted to make %a {co}. [The first one was crooked.|The first \
         one came apart.|The first try did not look good at all.] [{N} almost gave up.|{He} sighed, but \
         {he} did not stop.] {He} tried again, slowly and with care. [The second one was just \
         right.|This time it was lovely.] At the end, {he} {last}.",
        r#"¶[At the party, {N} felt shy.|The big day came, and {N} felt a little shy.] The other gifts
         were [big and shiny|large and bright]. {F} opened the gift from {N} [last|with care]. [{Fhis} eyes grew
         wide.|{F} was quiet for a moment.] ["Did you make this {o} for me?" asked {F}. "It is the best
         gift of all!"|"%a {co}! You made it yourself! I love it!" said {F}.|"It is beautiful! Nobody
         else has %a {o} like this," said {F}.]"#,
        "{N} [smiled from ear to ear|was as happy as could be|felt warm inside]. [{N} learned that a gift \
         from the heart is the best gift.|It is love that makes a gift special.|{F} kept the {o} for many \
         years.]",
    ],
    asks: &[
        ("What did {N} make?", "{N} made %a {co}."),
        (
            "[Who was the gift for?|Whose birthday was it?]",
            "[It was for {F}.|It was {possf} birthday.]",
        ),
        ("Why did {N} not buy a gift?", "{N} had no coins."),
    ],
};

/// A wish for one thing gives way to somebody's need.
pub(crate) static MARKET: Schema = Schema {
    about: &["a market", "being kind", "a coin"],
    things: &[
        "drum", "flute", "hat", "ball", "kite", "scarf", "whistle", "toy boat", "doll", "ring",
        "book", "bell",
    ],
    colored: true,
    facts: &[
        &[
            &[("chore", "washed the dishes"), ("food", "bread")],
            &[("chore", "carried wood"), ("food", "soup")],
            &[("chore", "watered the plants"), ("food", "apples")],
            &[("chore", "swept the floor"), ("food", "cheese")],
            &[("chore", "picked the beans"), ("food", "porridge")],
        ],
        &[
            &[
                ("needer", "an old goat"),
                ("need", "{food}"),
                ("nhe", "she"),
                ("nhis", "her"),
            ],
            &[
                ("needer", "a thin little bird"),
                ("need", "{food}"),
                ("nhe", "he"),
                ("nhis", "his"),
            ],
            &[
                ("needer", "an old man"),
                ("need", "{food}"),
                ("nhe", "he"),
                ("nhis", "his"),
                ("only", "child"),
            ],
            &[
                ("needer", "an old woman"),
                ("need", "{food}"),
                ("nhe", "she"),
                ("nhis", "her"),
                ("only", "child"),
            ],
            &[
                ("needer", "a tired gray mouse"),
                ("need", "{food}"),
                ("nhe", "she"),
                ("nhis", "her"),
                ("only", "animal"),
            ],
        ],
    ],
    beats: &[
        "{N} wanted %a {co} [more than anything|very much]. [There was one at the market.|{He} had seen it \
         at the market.] Every day, {N} {chore} for {his} {elder}. At the end of the week, {Elder} gave \
         {him} a [shiny|bright] coin.",
        r#"¶{someday}, {N} took the coin and walked to the market. [{He} sang all the way.|{He} could not
         wait.|{His} feet danced along the road.] By the road sat {needer}. ["I am so hungry," said
         {needer2} in a weak voice.|"I have not eaten all day," said {needer2}.]"#,
        "{N} stopped. {He} looked at the coin. {He} thought about the {o}. Then {he} thought \
         about {needer2}. [It was hard to choose.|{N} took a deep breath.|{He} knew what to do.]",
        r#"¶{N} went to the market and bought [some|a lot of] {need}. {He} gave the food to {needer2}. [The eyes of {needer2} filled with happy tears.|{Needer2} ate everything.] ["Thank you, kind {hero}," said {needer2}.|
         "You have a good heart," said {needer2}.] {N} had no coin now, but {he} felt [rich|warm and happy]."#,
        r#"¶When {N} got home, {he} told {Elder} [everything|what had happened]. {Elder} [smiled|was very
         proud]. [The next morning, there was a box by the bed. Inside was the {co}!|A few days later,
         {Elder} gave {him} a small bag. In it was the {co}!] ["This is for you, because you were kind," said
         {Elder}.|"Kind hearts need a treat too," said {Elder}.] [{N} learned that kindness comes back.|
         And {N} knew that giving feels even better than getting.]"#,
    ],
    asks: &[
        ("What did {N} want?", "{N} wanted %a {co}."),
        (
            "[What did {N} buy?|What did {N} buy at the market?]",
            "{N} bought {need}.",
        ),
        ("Who was hungry?", "{Needer2} was hungry."),
    ],
};
