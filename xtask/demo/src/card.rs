//! Owns the model card: the README of the shipped folder, written from what was measured.

use std::fmt::Write;

use crate::data::DataFacts;
use crate::recipe::{BETAS, FINAL_RATE, MAX_GRADIENT_NORM, Recipe, WEIGHT_DECAY};
use crate::samples::Samples;
use crate::tokenizer::VOCAB_SIZE;

/// What a finished run has measured.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The weights of the model.
    pub weights: u128,
    /// The data.
    pub data: DataFacts,
    /// Mean training loss of the last steps.
    pub train_loss: f32,
    /// Held-out loss of the shipped weights.
    pub held_out_loss: f32,
    /// Seconds of training and measuring.
    pub seconds: f64,
    /// Threads that the machine runs at once.
    pub threads: usize,
}

/// Writes the card.
pub fn markdown(recipe: &Recipe, facts: &Facts, samples: &Samples) -> String {
    let Recipe {
        seed,
        steps,
        batch,
        seq,
        learning_rate,
        ref model,
        ..
    } = *recipe;
    let Facts { data, .. } = facts;
    let millions = facts.weights as f64 / 1e6;
    let tokens = steps * recipe.batch_tokens() as u64;
    let mut out = format!(
        "---\nlicense: mit\nlanguage: en\nlibrary_name: olivine\npipeline_tag: text-generation\n---\n\n\
         # olivine-tiny-stories\n\n\
         A language model of {millions:.1} million weights that writes short children's stories and \
         answers simple questions. Olivine trained it from nothing: its arrays, its gradients, its \
         optimiser, on a CPU. It ships with Olivine so that `olivine generate` works at once.\n\n\
         ```sh\nolivine generate --prompt \"Once upon a time\"\n\
         olivine generate --prompt \"What color is the sky?\"\n```\n\n\
         It knows nothing but the small world of its stories: do not ask it for facts that matter.\n\n\
         ## Make it again\n\n\
         ```sh\ncargo xtask train-demo --seed {seed} --steps {steps} --batch {batch} --seq {seq} \
         --lr {learning_rate}\n```\n\n\
         writes this folder, this page included. Every number below was measured by that run.\n\n\
         ## Model\n\n\
         Llama architecture: {} layers of width {}, {} query heads and {} key and value heads, \
         feed-forward width {}, a vocabulary of {VOCAB_SIZE} byte-level BPE tokens whose table is \
         also the output layer. Weights are stored in bfloat16.\n\n",
        model.layers, model.width, model.heads, model.kv_heads, model.inner,
    );
    let _ = write!(
        out,
        "## Data\n\n\
         All text comes from a generator in `xtask/demo/src/corpus`: stories told from templates \
         with many casts, things and turns, and dialogues in the model's chat format with questions, \
         facts to remember and requests for stories. Nothing was collected from anywhere.\n\n\
         | | documents | tokens |\n|---|---:|---:|\n\
         | training | {} | {} |\n| held out | {} | {} |\n\n\
         Held-out documents tell of heroes and things, and ask combinations of phrasing and subject, \
         that training never puts together.\n\n",
        grouped(data.train_documents as u64),
        grouped(data.train_tokens as u64),
        grouped(data.held_out_documents as u64),
        grouped(data.held_out_tokens as u64),
    );
    let _ = write!(
        out,
        "## Training\n\n\
         {} steps of {batch} rows of {seq} tokens ({} tokens, each seen once) in float32. AdamW with \
         betas {} and {}, weight decay {WEIGHT_DECAY} on matrices; learning rate up to \
         {learning_rate} in {} steps, then along a cosine to {FINAL_RATE} of that; gradients \
         clipped to a norm of {MAX_GRADIENT_NORM}.\n\n\
         | | |\n|---|---:|\n\
         | training loss, mean of the last steps | {:.3} |\n\
         | held-out loss of the shipped weights | {:.3} |\n\
         | held-out perplexity | {:.2} |\n\
         | time to make the data | {} |\n\
         | time to train, {} threads | {} |\n\
         | training speed | {} tokens/s |\n\n\
         Losses are nats per token.\n\n![The losses by step](loss.svg)\n\n\
         ## Answers\n\n\
         Right answers to questions that training never asks in these words, word for word, with \
         temperature 0:\n\n\
         | | right | asked |\n|---|---:|---:|\n\
         | its world: animals, colors, places, opposites | {} | {} |\n\
         | numbers up to ten and orders: sums, counting, days, months | {} | {} |\n\n",
        grouped(steps),
        grouped(tokens),
        BETAS.0,
        BETAS.1,
        recipe.warmup(),
        facts.train_loss,
        facts.held_out_loss,
        facts.held_out_loss.exp(),
        duration(data.seconds),
        facts.threads,
        duration(facts.seconds),
        grouped((tokens as f64 / facts.seconds.max(1e-9)) as u64),
        samples.facts.right,
        samples.facts.asked,
        samples.numbers.right,
        samples.numbers.asked,
    );
    out.push_str(
        "## Samples\n\nWritten at the end of the run by the files in this folder, with the settings in \
         `generation_config.json`; not selected.\n\n### Beginnings, continued\n\n",
    );
    for sample in samples.all.iter().filter(|sample| !sample.chat) {
        let text = format!("**{}**{}", sample.prompt, sample.text.trim_end());
        out.push_str(&quoted(&text));
    }
    out.push_str("### Answers\n\n");
    for sample in samples.all.iter().filter(|sample| sample.chat) {
        out.push_str(&quoted(&format!(
            "**{}**\n\n{}",
            sample.prompt,
            sample.text.trim()
        )));
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// Text as a block quote.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(format!("> {line}").trim_end());
        out.push('\n');
    }
    out + "\n"
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Seconds as minutes and seconds.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    if whole < 60 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_times_readable() {
        assert_eq!(
            [0, 999, 1000, 12_345_678].map(grouped),
            ["0", "999", "1,000", "12,345,678"]
        );
        assert_eq!(
            [0.25, 59.0, 61.2, 1500.0].map(duration),
            ["0.2 s", "59.0 s", "1 min 01 s", "25 min 00 s"]
        );
    }

    #[test]
    fn every_line_of_a_quoted_text_is_marked() {
        assert_eq!(quoted("a\n\nb"), "> a\n>\n> b\n\n");
    }
}
