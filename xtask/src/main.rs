//! Owns the development commands: `cargo xtask check | test | bench | gen | train-demo`.

mod bindings;
mod check;
mod differential;
mod generate;
mod python;
mod stubs;
mod test;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::{Args, Parser, Subcommand};

/// The only commands needed to develop Olivine.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check formatting, lints, docs, generated files and file sizes.
    Check,
    /// Run every test.
    Test(test::Options),
    /// Time Olivine against its peers and print ratios.
    Bench(Passed),
    /// Write the files that are made from the list of ops.
    Gen {
        /// Only check that the files are current.
        #[arg(long)]
        check: bool,
    },
    /// Train the shipped model from nothing.
    TrainDemo(Passed),
}

/// Arguments handed on as they are; `--help` lists them.
#[derive(Args)]
#[command(disable_help_flag = true)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The outcome of a command: nothing, or what failed in one line.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Task::Check => check::all(),
        Task::Test(options) => test::all(&options),
        Task::Bench(passed) => release("olivine-bench", &[], &passed.arguments),
        Task::Gen { check } => generate::run(check),
        Task::TrainDemo(passed) => release("olivine-demo", &["train"], &passed.arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds a package in release mode and runs it.
fn release(package: &str, first: &[&str], arguments: &[String]) -> Outcome {
    let mut command = cargo(&["run", "--release", "--quiet", "--package", package, "--"]);
    run(command.args(first).args(arguments))
}

/// A cargo command in the repository's root.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Prints and runs a command; its output goes to the terminal.
fn run(command: &mut Command) -> Outcome {
    let shown: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let shown = shown.join(" ");
    eprintln!("$ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` did not start: {error}")),
    }
}

/// The repository's root.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}
