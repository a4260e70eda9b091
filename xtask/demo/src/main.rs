//! Owns the command line of the maker of the shipped model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use olivine_demo::corpus::{Split, document};
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
    let Command::Data(arguments) = Arguments::parse().command;
    let done = match arguments.preview {
        Some(count) => {
            preview(arguments.seed, count);
            Ok(())
        }
        None => write_data(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
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
