//! Owns the command line of the maker of the shipped model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::{Parser, Subcommand};
use olivine_demo::corpus::{Split, document};
use olivine_demo::job::{Job, Outcome, Start, Wishes};
use olivine_demo::recipe::Recipe;
use olivine_demo::stream::{TokenStream, encode_documents, token_bar};
use olivine_demo::{Error, Result, tokenizer};

#[derive(Parser)]
#[command(about = "Makes the shipped model from nothing")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the tokenizer and the packed training and held-out tokens.
    #[command(
        after_help = "Examples:\n  olivine-demo data --preview 5\n  olivine-demo data --out target/demo"
    )]
    Data(DataArguments),
    /// Train the shipped model: data, training, the model folder, samples.
    #[command(long_about = TRAIN_ABOUT, after_help = TRAIN_EXAMPLES)]
    Train(TrainArguments),
}

const TRAIN_ABOUT: &str = "\
Train the shipped model from nothing.

Writes a corpus of stories and dialogues, learns a tokenizer from it, trains a small Llama on it with
Olivine's own arrays, gradients and optimiser, and writes the finished model as a folder that
`olivine generate --model` reads: weights, configuration, tokenizer, model card and loss curve.
Equal arguments give an equal model. The defaults show it nine million tokens.

Every 200 steps the loss is measured on text that training never sees, and a checkpoint is written.
Ctrl-C finishes the current step and writes one too; --resume goes on from there as if nothing had
happened.";

const TRAIN_EXAMPLES: &str = "\
Examples:
  cargo xtask train-demo
      Everything, with the defaults.
  cargo xtask train-demo --resume
      Goes on with a run that was interrupted. After a finished one, writes the model folder again.
  cargo xtask train-demo --fresh --steps 300 --out target/short --model-dir target/short/model
      A short run beside the shipped model, to try something out.";

#[derive(clap::Args)]
struct TrainArguments {
    /// Folder for the data and the checkpoint; data of the same settings is used again
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// Folder for the finished model
    #[arg(
        long,
        value_name = "DIR",
        default_value = "models/olivine-tiny-stories"
    )]
    model_dir: PathBuf,
    /// Batches to learn from [default: 3000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Rows of a batch [default: 8]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Tokens of a row, at most 512 [default: 384]
    #[arg(long, value_name = "N")]
    seq: Option<usize>,
    /// Decides the corpus, the first weights and the order of the text [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The highest learning rate [default: 0.002]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Go on from the checkpoint in --out
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Start over, even if there is a checkpoint in --out
    #[arg(long)]
    fresh: bool,
}

#[derive(clap::Args)]
struct DataArguments {
    /// Print this many documents of each split instead of writing files.
    #[arg(long)]
    preview: Option<u64>,
    /// Folder for the files.
    #[arg(long, default_value = "target/demo")]
    out: PathBuf,
    /// Everything follows from this number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tokens to train on.
    #[arg(long, default_value_t = 10_000_000)]
    tokens: usize,
    /// Tokens to measure on.
    #[arg(long, default_value_t = 200_000)]
    held_out_tokens: usize,
    /// Documents from which the tokenizer learns.
    #[arg(long, default_value_t = 20_000)]
    tokenizer_documents: u64,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Data(DataArguments {
            preview: Some(count),
            seed,
            ..
        }) => {
            preview(seed, count);
            Ok(ExitCode::SUCCESS)
        }
        Command::Data(arguments) => write_data(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Train(arguments) => train(arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn train(arguments: TrainArguments) -> Result<ExitCode> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            // Asked twice: no longer patient enough for a checkpoint.
            std::process::exit(i32::from(INTERRUPTED));
        }
        eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        eprintln!("warning: Ctrl-C will not write a checkpoint: {error}");
    }
    let start = match (arguments.resume, arguments.fresh) {
        (true, _) => Start::Resume,
        (_, true) => Start::Fresh,
        _ => Start::New,
    };
    let again = format!(
        "cargo xtask train-demo --resume --out {} --model-dir {}",
        arguments.out.display(),
        arguments.model_dir.display()
    );
    let job = Job {
        out: arguments.out,
        model_dir: arguments.model_dir,
        start,
        wishes: Wishes {
            seed: arguments.seed,
            steps: arguments.steps,
            batch: arguments.batch,
            seq: arguments.seq,
            learning_rate: arguments.lr,
        },
        base: Recipe::default(),
        quiet: false,
    };
    match job.run(&STOP)? {
        Outcome::Finished(_) => Ok(ExitCode::SUCCESS),
        Outcome::Interrupted(progress) => {
            eprintln!(
                "stopped at step {} of {}; go on with: {again}",
                progress.step, progress.recipe.steps
            );
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn preview(seed: u64, count: u64) {
    for (split, name) in [(Split::Train, "training"), (Split::HeldOut, "held-out")] {
        for index in 0..count {
            println!(
                "--- {name} document {index}\n{}\n",
                document(seed, split, index).trim_end()
            );
        }
    }
}

fn write_data(arguments: &DataArguments) -> Result<()> {
    let begun = Instant::now();
    let out: &Path = &arguments.out;
    std::fs::create_dir_all(out).map_err(|source| Error::file(out, source))?;
    let tokenizer = tokenizer::train(arguments.seed, arguments.tokenizer_documents)?;
    tokenizer::save(&tokenizer, out)?;
    println!("tokenizer: {} tokens", tokenizer.get_vocab_size(true));
    for (split, name, wanted) in [
        (Split::Train, "train", arguments.tokens),
        (Split::HeldOut, "held-out", arguments.held_out_tokens),
    ] {
        let bar = token_bar(name);
        let tokens = encode_documents(&tokenizer, arguments.seed, split, wanted, &bar)?;
        let documents = tokens.iter().filter(|&&token| token == 0).count() - 1;
        println!("{name}: {documents} documents, {} tokens", tokens.len());
        if let Some(stream) = TokenStream::new(tokens, arguments.seed) {
            stream.save(&out.join(format!("{name}.bin")))?;
        }
    }
    println!(
        "{} in {:.1} s",
        out.display(),
        begun.elapsed().as_secs_f32()
    );
    Ok(())
}
