//! Owns the proof that the finished folder works: texts that its model writes.

use std::path::Path;
use std::time::Instant;

use olivine_lm::{
    ChatTemplate, Generator, LanguageModel, Message, ModelFolder, SamplerOptions, StopRules,
    TextStream, Tokenizer, models,
};

use crate::Result;
use crate::corpus::{Exchange, quiz};

/// Beginnings that the model continues.
const OPENINGS: [&str; 2] = [
    "Once upon a time, there was a little fox named",
    "One sunny day, a girl named Mia",
];

/// What the model is asked.
const QUESTIONS: [&str; 5] = [
    "Once upon a time",
    "What color is the sky?",
    "What is 3 + 4?",
    "Where do fish live?",
    "Who are you?",
];

/// Questions of each kind that the model is tested with.
const QUIZ: usize = 200;

/// A text's greatest length, in tokens, where the folder recommends none.
const LIMIT: usize = 320;

/// What the model was given, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The beginning, or what the user said.
    pub prompt: String,
    /// What the model wrote.
    pub text: String,
    /// Whether the prompt was put into the chat template.
    pub chat: bool,
}

/// The samples, and how fast they were written.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Stories first, then answers.
    pub all: Vec<Sample>,
    /// Tokens per second, prompts included.
    pub speed: f64,
    /// How the model does with held-out questions about its world.
    pub facts: Score,
    /// How it does with held-out questions about numbers and orders.
    pub numbers: Score,
}

/// How many questions were answered right, word for word, by the likeliest tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Right answers.
    pub right: usize,
    /// Questions.
    pub asked: usize,
}

/// Loads the model in `folder` and lets it write with its own recommended settings.
pub fn write(folder: &Path, seed: u64) -> Result<Samples> {
    let folder = ModelFolder::open(folder)?;
    let recommended = folder.generation_config()?;
    let tokenizer = Tokenizer::load(&folder, &folder.config()?, &recommended)?;
    let template = ChatTemplate::load(&folder)?;
    let model = models::load(&folder)?;
    let encode = |prompt: &str, chat: bool| -> Result<Vec<u32>> {
        Ok(match &template {
            Some(template) if chat => {
                tokenizer.encode(&template.render(&[Message::user(prompt)], true)?)?
            }
            _ => tokenizer.encode_prompt(prompt)?,
        })
    };
    let (mut all, mut tokens) = (Vec::new(), 0);
    let begun = Instant::now();
    let chats = QUESTIONS.map(|prompt| (prompt, true));
    for (index, (prompt, chat)) in OPENINGS
        .map(|prompt| (prompt, false))
        .into_iter()
        .chain(chats)
        .enumerate()
    {
        let ids = encode(prompt, chat)?;
        let options = SamplerOptions {
            seed: Some(seed + index as u64),
            ..recommended.sampler_options()
        };
        let limit = recommended.max_new_tokens.unwrap_or(LIMIT);
        let (text, written) = complete(&*model, &tokenizer, &ids, options, limit)?;
        tokens += ids.len() + written;
        all.push(Sample {
            prompt: prompt.to_owned(),
            text,
            chat,
        });
    }
    let speed = tokens as f64 / begun.elapsed().as_secs_f64();
    let score = |questions: Vec<Exchange>| -> Result<Score> {
        let mut right = 0;
        for exchange in &questions {
            let ids = encode(&exchange.question, true)?;
            let greedy = SamplerOptions {
                temperature: 0.0,
                ..SamplerOptions::default()
            };
            let (text, _) = complete(&*model, &tokenizer, &ids, greedy, LIMIT)?;
            right += usize::from(text.trim() == exchange.answer);
        }
        let asked = questions.len();
        Ok(Score { right, asked })
    };
    let [facts, numbers] = quiz(seed, QUIZ);
    Ok(Samples {
        all,
        speed,
        facts: score(facts)?,
        numbers: score(numbers)?,
    })
}

fn complete(
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    prompt: &[u32],
    options: SamplerOptions,
    limit: usize,
) -> Result<(String, usize)> {
    let rules = StopRules::new(tokenizer.eos_ids().iter().copied(), [])?;
    let mut stream = TextStream::new(tokenizer, rules);
    let (mut text, mut written) = (String::new(), 0);
    for token in Generator::new(model, prompt, options)?.take(limit) {
        let step = stream.push(token?.token)?;
        written += 1;
        text.push_str(&step.text);
        if step.finish.is_some() {
            return Ok((text, written));
        }
    }
    text.push_str(&stream.finish()?.text);
    Ok((text, written))
}
