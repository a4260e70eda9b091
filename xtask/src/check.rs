//! Owns `cargo xtask check`: everything that must hold before a change lands, short of tests.

use std::{fs, process::Command};

use crate::{Outcome, cargo, generate, root, run};

/// Files longer than this are to be split.
const LONGEST_FILE: usize = 1000;

/// A named check.
type Step = (&'static str, fn() -> Outcome);

fn run_steps(steps: &[Step]) -> Outcome {
    let mut failed = Vec::new();
    for (name, step) in steps {
        eprintln!("\n== {name}");
        if let Err(message) = step() {
            eprintln!("{message}");
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("these checks failed: {}", failed.join(", ")))
}

pub(crate) fn all() -> Outcome {
    run_steps(&[
        ("formatting", || {
            run(&mut cargo(&["fmt", "--all", "--check"]))
        }),
        ("file sizes", file_sizes),
        ("generated files", || generate::run(true)),
        ("lints", || {
            let clippy = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            run(&mut cargo(&clippy))
        }),
        ("docs", || {
            let doc = [
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ];
            run(cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("macOS", apple),
    ])
}

/// Checks the library crates for Apple's processors where that target is installed.
fn apple() -> Outcome {
    const TARGET: &str = "aarch64-apple-darwin";
    if !target_installed(TARGET) {
        eprintln!("skipped: `rustup target add {TARGET}` enables it");
        return Ok(());
    }
    let mut check = cargo(&["check", "--target", TARGET]);
    for package in ["core", "cpu", "io", "nn", "lm", "conformance"] {
        check.args(["--package", &format!("olivine-{package}")]);
    }
    run(check.args(["--package", "olivine"]))
}

/// True if rustup has installed `target`.
pub(crate) fn target_installed(target: &str) -> bool {
    let listed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    listed.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line.trim() == target)
    })
}

fn file_sizes() -> Outcome {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
            "*.py",
        ])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git did not start: {error}"))?;
    let mut long = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let Ok(text) = fs::read_to_string(root().join(path)) else {
            continue;
        };
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            long.push(format!("{path} has {lines} lines"));
        }
    }
    if long.is_empty() {
        return Ok(());
    }
    Err(format!(
        "split files over {LONGEST_FILE} lines: {}",
        long.join(", ")
    ))
}
