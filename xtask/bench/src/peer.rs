//! Owns the peers' processes: their Python environments and the line protocol spoken with them.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::Peer;

/// A running peer that times one benchmark at a time.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The peer's Python: one given on the command line, or an environment made for it.
fn python(peer: Peer, given: &[String]) -> Result<PathBuf, String> {
    let prefix = format!("{}=", peer.name());
    if let Some(path) = given.iter().find_map(|entry| entry.strip_prefix(&prefix)) {
        return Ok(path.into());
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/bench")
        .join(peer.name());
    let python = home.join("bin/python");
    let ready = home.join("ready");
    if ready.exists() {
        return Ok(python);
    }
    eprintln!("setting up {} in {}", peer.name(), home.display());
    step(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let requirements = folder().join(format!("requirements-{}.txt", peer.name()));
    step(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "-r"])
            .arg(requirements),
    )?;
    std::fs::write(&ready, "").map_err(|error| format!("{}: {error}", ready.display()))?;
    Ok(python)
}

fn step(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?} did not start: {error}")),
    }
}

impl Process {
    /// Starts a peer in interactive mode.
    pub(crate) fn start(peer: Peer, given: &[String]) -> Result<Process, String> {
        let script = folder().join(format!("{}_bench.py", peer.name()));
        let mut child = Command::new(python(peer, given)?)
            .arg(script)
            .arg("--interactive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} did not start: {error}", peer.name()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(format!("{} has no pipes", peer.name()));
        };
        Ok(Process {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Milliseconds of one run of a benchmark.
    pub(crate) fn run(&mut self, name: &str) -> Result<f64, String> {
        let fail = |why: String| format!("{name}: the peer {why}");
        writeln!(self.input, "{name}").map_err(|error| fail(format!("is gone: {error}")))?;
        self.input
            .flush()
            .map_err(|error| fail(format!("is gone: {error}")))?;
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| fail(format!("is gone: {error}")))?;
        let reply: serde_json::Value =
            serde_json::from_str(&line).map_err(|error| fail(format!("said {line:?}: {error}")))?;
        reply["ms"]
            .as_f64()
            .ok_or_else(|| fail(format!("said {}", reply["error"])))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Best effort: the process also ends by itself when its input closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
