//! Owns `cargo xtask test`: all tests here, and the same on other processors and under checkers.

use std::process::Command;

use clap::Args;

use crate::{Outcome, cargo, check::target_installed, differential, python, run};

/// Which tests to run. Without a flag: every test and doctest of the workspace, and a comparison with
/// the reference package, which is installed into the target folder.
#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// Which random cases the reference package is asked for.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Handed to `cargo test`, such as a filter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Where else tests can run than as they are, here.
#[derive(Args)]
#[group(multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are one choice, spelled as flags"
)]
struct Elsewhere {
    /// Cross-build core, numeric, cpu, io and conformance for 64-bit Arm; run their tests under qemu-user
    /// once for each instruction set.
    #[arg(long)]
    aarch64: bool,
    /// Run the stress tests under ThreadSanitizer (needs a nightly toolchain with rust-src).
    #[arg(long)]
    tsan: bool,
    /// Run core's and io's tests under Miri (needs a nightly toolchain with miri).
    #[arg(long)]
    miri: bool,
    /// Run the tests once for each instruction set this processor has.
    #[arg(long)]
    isa: bool,
    /// Build the Python package's wheel, install it in an environment of its own and run its tests.
    #[arg(long)]
    python: bool,
}

pub(crate) fn all(options: &Options) -> Outcome {
    let arguments = &options.arguments;
    match options.elsewhere {
        Elsewhere { aarch64: true, .. } => aarch64(arguments),
        Elsewhere { tsan: true, .. } => tsan(arguments),
        Elsewhere { miri: true, .. } => miri(arguments),
        Elsewhere { isa: true, .. } => each_isa(arguments),
        Elsewhere { python: true, .. } => python::test(),
        Elsewhere { .. } => here(arguments, options.seed),
    }
}

/// Every test; without a filter also those that compare with the reference package.
fn here(arguments: &[String], seed: u64) -> Outcome {
    let mut test = cargo(&["test", "--workspace"]);
    test.args(arguments);
    if !arguments.is_empty() {
        return run(&mut test);
    }
    match differential::prepare(seed)? {
        None => run(&mut test)?,
        Some(reference) => {
            run(test.env("OLIVINE_DIFFERENTIAL", &reference.cases))?;
            reference.check_files()?;
        }
    }
    python::test()
}

/// The crates whose kernels and layouts differ between processors.
const PORTED: [&str; 10] = [
    "--package",
    "olivine-core",
    "--package",
    "olivine-numeric",
    "--package",
    "olivine-cpu",
    "--package",
    "olivine-io",
    "--package",
    "olivine-conformance",
];

fn aarch64(arguments: &[String]) -> Outcome {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    const RUNNER: &str = "qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu";
    if !target_installed(TARGET) {
        return Err(format!(
            "install the target first: rustup target add {TARGET}"
        ));
    }
    for (tool, package) in [
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("qemu-aarch64", "qemu-user"),
    ] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Err(format!("{tool} is missing: apt-get install {package}"));
        }
    }
    for level in ["portable", "dot", "bf16"] {
        let mut test = cargo(&["test", "--target", TARGET, "--lib", "--tests"]);
        test.args(PORTED)
            .args(arguments)
            .env("OLIVINE_ISA", level)
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
                "aarch64-linux-gnu-gcc",
            )
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER)
            // For tests that start programs of their own.
            .env("OLIVINE_TEST_RUNNER", RUNNER);
        run(&mut test)?;
    }
    Ok(())
}

fn tsan(arguments: &[String]) -> Outcome {
    let mut test = rustup_nightly(&[
        "test",
        "-Zbuild-std",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]);
    test.args(["--package", "olivine-conformance", "--test", "stress"])
        .args(arguments)
        .env("RUSTFLAGS", "-Zsanitizer=thread")
        .env("CARGO_TARGET_DIR", "target/tsan");
    run(&mut test)
}

fn miri(arguments: &[String]) -> Outcome {
    let mut test = rustup_nightly(&["miri", "test", "--lib", "--tests"]);
    test.args(["--package", "olivine-core", "--package", "olivine-io"])
        .args(arguments)
        .env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-ignore-leaks")
        .env("CARGO_TARGET_DIR", "target/miri");
    run(&mut test)
}

/// A cargo command of the nightly toolchain, in the repository's root.
fn rustup_nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .args(arguments)
        .current_dir(crate::root());
    command
}

fn each_isa(arguments: &[String]) -> Outcome {
    for level in ["portable", "v3", "v4", "bf16"] {
        let mut test = cargo(&["test", "--lib", "--tests"]);
        run(test.args(PORTED).args(arguments).env("OLIVINE_ISA", level))?;
    }
    Ok(())
}
