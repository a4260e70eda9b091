//! Owns the processes that time benchmarks when asked, and the line protocol spoken with them.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use clap::ValueEnum;
use serde::Deserialize;

use crate::setup;

/// A library to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// PyTorch on the CPU, eager.
    Torch,
    /// MLX on the CPU.
    Mlx,
    /// llama.cpp: only products with 4-bit matrices, by calling its library ggml directly. Its
    /// format is Q4_0, and it rounds the rows to 8 bits.
    Llamacpp,
}

impl Peer {
    /// The peer's name in options, results and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Torch => "torch",
            Peer::Mlx => "mlx",
            Peer::Llamacpp => "llamacpp",
        }
    }

    /// The program that times it.
    pub(crate) fn script(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("peers")
            .join(format!("{}_bench.py", self.name()))
    }
}

/// What a process says when it starts.
#[derive(Deserialize)]
struct Greeting {
    version: String,
    benchmarks: Vec<String>,
}

/// A running process that times one benchmark at a time.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The version of its library.
    pub(crate) version: String,
    benchmarks: Vec<String>,
}

impl Process {
    /// Starts a peer.
    pub(crate) fn peer(peer: Peer, given: &[String]) -> Result<Process, String> {
        let mut command = Command::new(setup::python(peer, given)?);
        command
            .arg(peer.script())
            .arg("--interactive")
            .env("BENCH_THREADS", olivine_cpu::num_threads().to_string());
        Process::start(&mut command).map_err(|error| format!("{}: {error}", peer.name()))
    }

    /// Starts a process that speaks the protocol, and waits for its greeting.
    pub(crate) fn start(command: &mut Command) -> Result<Process, String> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} did not start: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(format!("{command:?} has no pipes"));
        };
        let mut process = Process {
            child,
            input,
            output: BufReader::new(output),
            version: String::new(),
            benchmarks: Vec::new(),
        };
        let line = process.line()?;
        let greeting: Greeting =
            serde_json::from_str(&line).map_err(|error| format!("it said {line:?}: {error}"))?;
        process.version = greeting.version;
        process.benchmarks = greeting.benchmarks;
        Ok(process)
    }

    fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err("its process has ended; its last words are above".to_owned()),
            Ok(_) => Ok(line),
            Err(error) => Err(format!("its process is gone: {error}")),
        }
    }

    /// True if the library has a benchmark.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.benchmarks.iter().any(|own| own == name)
    }

    /// Milliseconds of one call of a benchmark.
    pub(crate) fn run(&mut self, name: &str) -> Result<f64, String> {
        writeln!(self.input, "{name}")
            .and_then(|()| self.input.flush())
            .map_err(|error| format!("its process is gone: {error}"))?;
        let line = self.line()?;
        let reply: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| format!("it said {line:?}: {error}"))?;
        reply["ms"]
            .as_f64()
            .ok_or_else(|| format!("it said {}", reply["error"]))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Best effort: the process also ends by itself when its input closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
