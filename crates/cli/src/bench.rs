//! Owns `olivine bench`: how fast a model reads prompts and writes tokens on this machine.

use std::{io::Write, path::PathBuf, time::Instant};

use clap::Args;
use olivine_lm::{
    Batch, Generator, GeneratorOptions, LanguageModel, SamplerOptions, models, peak_memory,
};
use serde_json::json;

use crate::{
    error::{CliError, Exit, say},
    interrupt::Interrupt,
    kv::KvArgs,
    model::ComputeArgs,
};

const EXAMPLES: &str = "\
Examples:
  olivine bench
      The shipped model: a prompt of 512 tokens, then 128 tokens.
  olivine bench --model llama-4bit -p 512 -n 128 -r 5
      Medians of five runs.
  olivine bench --model llama-4bit -n 64 --depth 8192
      Writing after a context of 8192 tokens.
  olivine bench --model llama-4bit -n 64 --batch 8 --json
      Eight texts at once, as one line of JSON.";

/// Measure how fast a model reads prompts and writes tokens.
///
/// Prompts are made of arbitrary tokens; nothing is sampled. Times are medians over the runs.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// The model: a folder, or a name on the hub [default: the shipped model]
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// Tokens of the prompt
    #[arg(short, long, value_name = "N", default_value_t = 512)]
    prompt: usize,

    /// Tokens to write
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    generate: usize,

    /// Tokens read before the prompt, whose time is not counted
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    depth: usize,

    /// Runs, after one that is not counted
    #[arg(short, long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// Texts that are written at once
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    batch: usize,

    /// Threads [default: as many as there are cores]
    #[arg(short, long, value_name = "N")]
    threads: Option<usize>,

    #[command(flatten)]
    kv: KvArgs,

    #[command(flatten)]
    compute: ComputeArgs,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// The times of one run, in seconds.
struct Run {
    prefill: f64,
    first: f64,
    decode: f64,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let interrupt = Interrupt::watch()?;
        if let Some(threads) = self.threads {
            olivine::set_num_threads(threads.max(1));
        }
        let folder = self.compute.open(self.model.as_deref(), &interrupt)?;
        let loading = Instant::now();
        let model = models::load(&folder)?;
        let bytes: usize = model
            .parameters()
            .values()
            .map(olivine::Array::nbytes)
            .sum();
        let loaded = loading.elapsed().as_secs_f64();
        let name = folder
            .path()
            .file_name()
            .unwrap_or(folder.path().as_os_str());
        let name = if self.model.is_some() {
            name.display().to_string()
        } else {
            "olivine-tiny-stories".to_owned()
        };
        let options = self.kv.options(None)?;

        let mut runs = Vec::new();
        for number in 0..=self.runs.max(1) {
            let run = self.measure(&*model, &options)?;
            if interrupt.pressed() {
                return Ok(Exit::Interrupted);
            }
            if number > 0 {
                runs.push(run);
            }
        }
        let over = |of: fn(&Run) -> f64| {
            let mut times: Vec<f64> = runs.iter().map(of).collect();
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2], times[0], times[times.len() - 1])
        };
        let (prefill, first, decode) = (
            over(|run| run.prefill),
            over(|run| run.first),
            over(|run| run.decode),
        );
        let written = (self.batch.max(1) * self.generate) as f64;
        let threads = olivine::num_threads();
        let peak = peak_memory().map(|bytes| bytes as f64 / 1e9);
        if self.json {
            let line = json!({
                "model": name,
                "size_gb": bytes as f64 / 1e9,
                "threads": threads,
                "prompt": self.prompt,
                "generate": self.generate,
                "depth": self.depth,
                "batch": self.batch,
                "prefill_tps": self.prompt as f64 / prefill.0,
                "decode_tps": written / decode.0,
                "ttft_ms": first.0 * 1e3,
                "load_ms": loaded * 1e3,
                "peak_rss_gb": peak,
            });
            writeln!(std::io::stdout(), "{line}").map_err(CliError::Write)?;
            return Ok(Exit::Success);
        }
        let mut out = std::io::stdout().lock();
        let mut row = |cells: [&str; 6]| {
            let [name, size, threads, test, speed, range] = cells;
            writeln!(
                out,
                "| {name:<28} | {size:>9} | {threads:>7} | {test:>16} | {speed:>9} | {range:>15} |"
            )
            .map_err(CliError::Write)
        };
        let size = format!("{:.2} GB", bytes as f64 / 1e9);
        let context = if self.depth > 0 {
            format!(" @ {}", self.depth)
        } else {
            String::new()
        };
        row(["model", "size", "threads", "test", "tokens/s", "range"])?;
        row(["---", "---:", "---:", "---:", "---:", "---:"])?;
        let mut speed = |test: String, count: f64, (median, least, most): (f64, f64, f64)| {
            let cells = [count / median, count / most, count / least];
            let range = format!("{:.1} to {:.1}", cells[1], cells[2]);
            row([
                &name,
                &size,
                &threads.to_string(),
                &test,
                &format!("{:.2}", cells[0]),
                &range,
            ])
        };
        if self.prompt > 0 {
            speed(
                format!("read {}{context}", self.prompt),
                self.prompt as f64,
                prefill,
            )?;
        }
        if self.generate > 0 {
            let texts = if self.batch > 1 {
                format!("{} x ", self.batch)
            } else {
                String::new()
            };
            speed(
                format!("write {texts}{}{context}", self.generate),
                written,
                decode,
            )?;
        }
        let peak = peak.map_or(String::new(), |peak| format!(", peak memory {peak:.2} GB"));
        say(&format!(
            "first token after {:.1} ms, loaded in {:.1} ms{peak}",
            first.0 * 1e3,
            loaded * 1e3
        ));
        Ok(Exit::Success)
    }

    fn measure(
        &self,
        model: &dyn LanguageModel,
        options: &GeneratorOptions,
    ) -> Result<Run, CliError> {
        // Any tokens will do, as long as they are not all the same.
        let size = model.vocab_size() as u64;
        let tokens = |count: usize, salt: u64| -> Vec<u32> {
            (0..count as u64)
                .map(|i| ((i * 7919 + salt * 104_729 + 13) % size) as u32)
                .collect()
        };
        let depth = tokens(self.depth, 1);
        let mut prompt = depth.clone();
        prompt.extend(tokens(self.prompt.max(1), 2));
        let generator =
            || Generator::with_options(model, &prompt, SamplerOptions::greedy(), options.clone());
        let mut text = generator()?;
        if self.depth > 0 {
            let mut before = depth;
            before.push(prompt[self.depth]);
            let mut reader =
                Generator::with_options(model, &before, SamplerOptions::greedy(), options.clone())?;
            reader.prefill(&mut |_, _| true)?;
            text = text.after(reader.into_cache());
        }
        let start = Instant::now();
        text.next().transpose()?;
        let prefill = start.elapsed().as_secs_f64();
        let decode = if self.batch > 1 {
            self.batched(model, options, &tokens)?
        } else {
            let start = Instant::now();
            for choice in text.by_ref().take(self.generate) {
                choice?;
            }
            start.elapsed().as_secs_f64()
        };
        Ok(Run {
            prefill,
            first: prefill,
            decode,
        })
    }

    /// The seconds in which several texts get their tokens, prompts not counted.
    fn batched(
        &self,
        model: &dyn LanguageModel,
        options: &GeneratorOptions,
        tokens: &dyn Fn(usize, u64) -> Vec<u32>,
    ) -> Result<f64, CliError> {
        let mut batch = Batch::new(model, options.clone());
        for text in 0..self.batch {
            let prompt = tokens((self.depth + self.prompt).max(1), 3 + text as u64);
            batch.add(&prompt, SamplerOptions::greedy())?;
        }
        while batch.step()?.len() < self.batch {}
        let start = Instant::now();
        for _ in 0..self.generate {
            batch.step()?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}
