//! Owns the `olivine` command: parsing the command line and ending with one clear line on failure.

#![expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]

mod bench;
mod cache;
mod chat;
mod convert;
mod embed;
mod error;
mod generate;
mod inspect;
mod interrupt;
mod kv;
mod model;
mod models;
mod output;
mod perplexity;
mod progress;
mod sampling;

// The facade links the backends.
use olivine as _;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{CliError, Exit};

/// Runs language models on this machine.
#[derive(Debug, Parser)]
#[command(name = "olivine", version)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(Box<generate::Generate>),
    Chat(Box<chat::Chat>),
    Embed(embed::Embed),
    Convert(convert::Convert),
    Cache(cache::Cache),
    Inspect(inspect::Inspect),
    Bench(bench::Bench),
    Perplexity(perplexity::Perplexity),
    Models(models::Models),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(generate) => generate.run(),
        Command::Chat(chat) => chat.run(),
        Command::Embed(embed) => embed.run(),
        Command::Convert(convert) => convert.run(),
        Command::Cache(cache) => cache.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Bench(bench) => bench.run(),
        Command::Perplexity(perplexity) => perplexity.run(),
        Command::Models(models) => models.run(),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever was reading has left, as `olivine … | head` does; that is no failure of ours.
        Err(CliError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Exit::Success.into()
        }
        Err(error) => {
            error.print();
            error.exit().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
