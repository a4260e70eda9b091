//! Owns the `olivine` command: parsing the command line and ending with one clear line on failure.

mod convert;
mod error;
mod generate;
mod interrupt;
mod model;
mod output;

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
    Convert(convert::Convert),
    Generate(generate::Generate),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Convert(convert) => convert.run(),
        Command::Generate(generate) => generate.run(model::start),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever was reading has left, as `olivine … | head` does; that is no failure of ours.
        Err(CliError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Exit::Success.into()
        }
        Err(error) => {
            error.print();
            Exit::Failure.into()
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
