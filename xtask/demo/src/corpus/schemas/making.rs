//! Owns the stories about making things: baking, building, planting, and tidying up.

use super::Schema;

/// Something is missing in the kitchen.
pub(crate) static BAKING: Schema = Schema {
    about: &["baking", "cooking", "sharing food"],
    things: &[],
    colored: false,
    facts: &[
        &[
            &[("o", "cake"), ("taste", "sweet and soft")],
            &[("o", "apple pie"), ("taste", "warm and sweet")],
            &[("o", "loaf of bread"), ("taste", "warm and fresh")],
            &[("o", "berry pie"), ("taste", "sweet and juicy")],
            &[("o", "carrot cake"), ("taste", "soft and spicy")],
            &[("o", "plum cake"), ("taste", "soft and juicy")],
            &[("o", "nut cake"), ("taste", "crunchy and sweet")],
            &[("o", "honey cake"), ("taste", "golden and sweet")],
            &[("o", "pancake"), ("taste", "hot and fluffy")],
            &[("o", "muffin"), ("taste", "warm and light")],
        ],
        &[
            &[("miss", "eggs"), ("pay", "a basket of fresh flowers")],
            &[("miss", "flour"), ("pay", "a pot of honey")],
            &[("miss", "butter"), ("pay", "some ripe berries")],
            &[("miss", "milk"), ("pay", "a bag of nuts")],
            &[("miss", "sugar"), ("pay", "some fresh herbs")],
        ],
        &[
            &[("for", "{his} {elder}"), ("fors", "{Elder}")],
            &[
                ("for", "the spring party"),
                ("fors", "everyone at the party"),
            ],
            &[("for", "a new neighbor"), ("fors", "the new neighbor")],
            &[("for", "the fair"), ("fors", "everyone at the fair")],
        ],
        &[
            &[
                (
                    "oops",
                    "the bowl fell over, and half of it ran down the table",
                ),
                ("oops2", "They wiped it up and started again"),
            ],
            &[
                ("oops", "{N} put in salt by mistake"),
                (
                    "oops2",
                    "They laughed, took a clean bowl, and started again",
                ),
            ],
            &[
                ("oops", "a cloud of flour made them white as snow"),
                ("oops2", "They laughed until their tummies hurt"),
            ],
            &[
                (
                    "oops",
                    "they saw that the oven was still cold, because they had forgotten to light it",
                ),
                ("oops2", "They lit it and waited a little longer"),
            ],
        ],
    ],
    beats: &[
        "{oneday}, {N} wanted to bake %a {o} for {for}. [{He} put on {his} {c} apron.|{He} washed up and got a big \
         {c} bowl.] [{He} was very excited.|It was the first time {he} baked all alone.]",
        r#"¶But when {N} looked on the shelf, there [was no {miss}|was not any {miss}]. ["Oh no!" {he} said. "I cannot bake
         without {miss}."|"How can I make %a {o} without {miss}?" {he} asked.] {He} looked in the cupboard. {He}
         looked in the cellar. [There was nothing.|There was none to be found.]"#,
        r#"Then {N} had an idea. {He} took {pay} and went to see {Fi}. ["I need some {miss}," said {N}. "Will you trade
         with me?"|"Do you have {miss}? I can give you {pay}," said {N}.] ["Of course!" said {F}. "May I help
         you bake?"|"Yes, I do," said {F}. "And I would love to help you."]"#,
        "¶[So the two friends baked together.|They hurried back to the kitchen.] They mixed and they stirred. Then \
         {oops}. {oops2}. [Soon a good smell filled the room.|At last the {o} was ready.] It was {taste}.",
        r#"¶{fors} loved the {o}. ["Who made this?" they all asked.|"This is the best {o} ever," said {Elder}.] ["We made
         it together," said {N} and {F}.|{N} smiled at {F}. "My friend helped me," {he} said.] [There was a piece for
         everyone.|They ate until not a crumb was left.] [{N} learned that asking for help is a good thing.|Work is
         sweeter when you share it.|{N} learned that good food is made with good friends.]"#,
    ],
    asks: &[
        ("What did {N} [bake|make]?", "{N} [baked|made] %a {o}."),
        ("What was missing?", "There [was no|was not any] {miss}."),
        ("Who helped {N}?", "{F} helped {N}."),
    ],
};

/// Something is built, falls, and is built better.
pub(crate) static BUILDING: Schema = Schema {
    about: &["building something", "making a plan", "working together"],
    things: &[],
    colored: false,
    facts: &[
        &[
            &[
                ("o", "sand castle"),
                ("of", "sand"),
                ("fall", "a wave came and washed it away"),
                (
                    "better",
                    "built it higher up, where the waves could not come",
                ),
            ],
            &[
                ("o", "tree house"),
                ("of", "old boards"),
                ("fall", "a board slipped, and down it came"),
                ("better", "tied every board with strong rope"),
            ],
            &[
                ("o", "bridge"),
                ("of", "sticks"),
                ("fall", "it broke in the middle and fell into the stream"),
                ("better", "put a big stone under the middle"),
            ],
            &[
                ("o", "snowman"),
                ("of", "snow"),
                ("fall", "its head rolled off and broke"),
                ("better", "made the bottom big and the head small"),
            ],
            &[
                ("o", "boat"),
                ("of", "bark"),
                ("fall", "it filled with water and sank"),
                ("better", "closed every hole with wax"),
            ],
            &[
                ("o", "bird house"),
                ("of", "wood"),
                ("fall", "the roof fell off"),
                ("better", "used longer nails and some glue"),
            ],
            &[
                ("o", "tower"),
                ("of", "stones"),
                ("fall", "it leaned to one side and fell with a crash"),
                (
                    "better",
                    "put the big stones at the bottom and the small ones on top",
                ),
            ],
            &[
                ("o", "raft"),
                ("of", "logs"),
                ("fall", "the logs came apart"),
                ("better", "made strong knots, one on each end"),
            ],
            &[
                ("o", "tent"),
                ("of", "sticks and cloth"),
                ("fall", "the wind blew it over"),
                ("better", "put heavy stones on every corner"),
            ],
            &[
                ("o", "wagon"),
                ("of", "boards and wheels"),
                ("fall", "one wheel rolled away"),
                ("better", "put a wooden pin in front of every wheel"),
            ],
        ],
        &[
            &[("helper", "brought"), ("deco", "put %a {c} flag on top")],
            &[
                ("helper", "found"),
                ("deco", "laid %a {c} stone in front of it"),
            ],
            &[("helper", "carried"), ("deco", "hung %a {c} ribbon on it")],
        ],
    ],
    beats: &[
        "{N} loved to build things. {oneday}, {he} had a big plan. [\"I will build %a {o}!\" {he} said.|{He} wanted to \
         build %a {o}.] {He} got {of} and went to work. [{He} worked fast, because {he} could not wait.|{He} did not \
         want any help.]",
        r#"¶Soon the {o} was done. ["Look at my {o}!" {N} called.|{N} was very proud.] But then {fall}. ["Oh no!" cried {N}.
         "All my work is gone!"|{N} could not believe it. {His} work was gone.] {He} [was so angry that {he} stamped
         {his} foot|sat down and hid {his} face]."#,
        r#"¶{Fi} [had seen it all|came over]. ["That was a good start," said {F}. "Do you want to try again?"|"Do not be
         sad," said {F}. "We can build a better one."] ["It will only fall again," said {N}.|"I do not know how,"
         said {N}.] ["Let us think first," said {F}. "Why did it fall?"|"First we need to know why it fell," said
         {F}.]"#,
        "{N} looked at what was left and thought. [Then {he} understood.|Slowly, {he} understood.] This time they made a \
         plan. {F} {helper} more {of}, and they {better}. [It took a long time.|They did not hurry.]",
        r#"¶At last the new {o} was ready. They {deco}. {N} held {his} breath and waited. [It did not fall!|It stood
         firm!] ["Hooray!" they cheered.|"It is even better than the first one," said {N}.] [{N} learned that a
         mistake can teach you something.|{N} learned that it is good to make a plan.|{N} learned that it is better to
         build with a friend.]"#,
    ],
    asks: &[
        ("What did {N} build?", "{N} built %a {o}."),
        ("What was the {o} made of?", "It was made of {of}."),
        (
            "[What went wrong?|What happened to the first {o}?]",
            "[At first, {fall}.|Oh, {fall}.]",
        ),
    ],
};

/// A seed needs time.
pub(crate) static GARDEN: Schema = Schema {
    about: &["a garden", "waiting", "a tiny seed"],
    things: &[],
    colored: false,
    facts: &[
        &[
            &[
                ("o", "sunflower"),
                ("grown", "as tall as a house, with a big yellow face"),
            ],
            &[
                ("o", "pumpkin"),
                ("grown", "so big and orange that nobody could lift it"),
            ],
            &[
                ("o", "carrot"),
                ("grown", "so long that it took two to pull it out"),
            ],
            &[("o", "rose"), ("grown", "as red as the evening sky")],
            &[
                ("o", "tomato"),
                ("grown", "round and red and full of juice"),
            ],
            &[
                ("o", "apple tree"),
                ("grown", "small but strong, with one white flower"),
            ],
            &[("o", "bean"), ("grown", "so high that it reached the roof")],
            &[
                ("o", "strawberry"),
                ("grown", "small and red and sweeter than sugar"),
            ],
            &[
                ("o", "tulip"),
                ("grown", "smooth and bright, like a little cup"),
            ],
            &[
                ("o", "melon"),
                ("grown", "round and green and sweet inside"),
            ],
        ],
        &[
            &[("who", "an old gardener")],
            &[("who", "a friendly bird")],
            &[("who", "{his} {elder}")],
            &[("who", "a kind neighbor")],
        ],
        &[
            &[(
                "bad",
                "dug it up to look at it, but it was still just a seed. {He} put it back",
            )],
            &[("bad", "gave it so much water that there was a puddle")],
            &[("bad", "shouted at it to wake up, but a seed has no ears")],
            &[("bad", "sang to it from morning until night")],
        ],
    ],
    beats: &[
        r#"{oneday}, {N} got a tiny seed from {who}. ["One day it will be %a {o}," {N} was told.|"If you take good care of it,
         it will grow into %a {o}," {he} was told.] {N} [made a hole in the ground and put the seed in|planted it in
         a sunny spot]. {He} gave it water from {his} {c} can."#,
        r#"¶The next morning, {N} ran to look. There was nothing. [The day after, there was still nothing.|{He} looked
         again the day after. Still nothing.] ["Why does it not grow?" asked {N}.|"Wake up, little seed!" said {N}.]
         {He} {bad}. [Nothing happened.|It did not help.]"#,
        r#"¶{Fi} was passing by. ["My seed does not want to grow," said {N}.|"I think my seed is broken," said {N} with a
         sigh.] ["It is growing right now," said {F}, "but under the ground, where you cannot see it."|"Seeds are
         slow," said {F}. "They need sun, water, and time."] ["Then I will wait," said {N}.|"I will try to wait,"
         said {N}.]"#,
        "So {N} waited. {He} gave it a little water each day and pulled out the weeds. [The sun shone and the rain \
         fell.|Days went by.] Then, one morning, there was [a tiny green leaf|a little green tip]! {N} [danced around \
         it|called {F} to come and see].",
        "¶The plant grew and grew. [At the end of the summer|Many weeks later], there was %a {o}. It was {grown}. \
         [Everyone came to see it.|{N} showed it to everyone.] [{N} learned that good things take time.|\"You were \
         right,\" {N} said to {F}. \"It only needed time.\"|{N} shared it with {F}, because good things are for \
         sharing.]",
    ],
    asks: &[
        (
            "[What did {N} plant?|What did {N} grow?]",
            "{N} [planted|had] a seed, and it grew into %a {o}.",
        ),
        ("Who gave {N} the seed?", "{N} got the seed from {who}."),
        (
            "What does a seed need?",
            "A seed needs sun, water, and time.",
        ),
    ],
};

/// A mess hides what one needs.
pub(crate) static TIDY: Schema = Schema {
    about: &["a messy room", "cleaning up", "helping at home"],
    things: &[
        "book",
        "hat",
        "scarf",
        "ball",
        "bag",
        "coat",
        "paintbrush",
        "flute",
        "drum",
        "kite",
        "lunch box",
        "watch",
    ],
    colored: true,
    facts: &[
        &[
            &[
                ("mess", "there were blocks on the bed and socks on the lamp"),
                ("only", "child"),
            ],
            &[("mess", "toys lay all over the floor"), ("only", "child")],
            &[
                ("mess", "the floor was full of paper and crumbs"),
                ("only", "child"),
            ],
            &[
                ("mess", "nut shells and leaves lay all over the floor"),
                ("only", "animal"),
            ],
            &[
                (
                    "mess",
                    "there were feathers on the bed and sticks on the table",
                ),
                ("only", "animal"),
            ],
            &[
                ("mess", "the floor was full of pebbles and straw"),
                ("only", "animal"),
            ],
        ],
        &[
            &[("event", "a picnic")],
            &[("event", "a trip to the lake")],
            &[("event", "a party")],
            &[("event", "a visit to the fair")],
            &[("event", "a music lesson")],
            &[("event", "a walk in the woods")],
        ],
        &[
            &[
                ("extra", "a coin"),
                ("under", "under a heap of things in the corner"),
            ],
            &[("extra", "an old letter"), ("under", "behind the bed")],
            &[("extra", "half a cookie"), ("under", "below a big box")],
            &[
                ("extra", "a missing puzzle piece"),
                ("under", "at the bottom of a basket"),
            ],
        ],
    ],
    beats: &[
        r#"{N} did not like to clean up. In {his} room, {mess}. ["Please clean your room," said {his} {elder}.|"This room is a
         mess," said {his} {elder}. "Please clean it up."] ["Later," said {N}.|"I will do it tomorrow," said {N}.] But
         {he} never did."#,
        r#"¶{someday}, {Fi} called at the door. ["It is time for {event}!" {fhe} said. "Hurry!"|"Are you ready for {event}?"
         {fhe} asked.] {N} wanted to take {his} {co}. {He} looked on the chair. {He} looked on the bed. [There was so
         much stuff that {he} could not see anything.|The {o} was nowhere to be seen.]"#,
        r#"["I cannot find my {o}!" said {N}.|"Where is it?" cried {N}.] [{He} threw things left and right, and the mess
         became even bigger.|{He} pulled things from the shelf, and now there was even less room.] {F} looked around. ["No
         wonder," {fhe} said. "Let us clean up. I will help."|"I know a trick," {fhe} said. "If we tidy up, we will
         find it."]"#,
        "¶So they put the big things in one place and the small things in another. [{F} swept the floor.|{F} sang a \
         cleaning song.] {N} found {extra}, and then, {under}, {he} found the {co}! [\"There you are!\" {he} \
         said.|{He} held it up and laughed.]",
        r#"The room was clean, and there was still time for {event}. ["That was not so bad," said {N}.|"Now I can even see
         the floor," said {N}.] {Elder} [could not believe it|was very pleased]. [After that, {N} put every thing back in
         its place.|{N} learned that a tidy room saves time.|From then on, {N} cleaned up a little every day.]"#,
    ],
    asks: &[
        ("What did {N} look for?", "{N} looked for {his} {co}."),
        ("Where was the {o}?", "The {o} was {under}."),
        ("Who helped {N}?", "{F} helped {N}."),
    ],
};
