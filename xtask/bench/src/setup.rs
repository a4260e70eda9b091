//! Owns the Python environments of the peers, each made when it is first used.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::peer::Peer;

/// How llama.cpp is built: for this processor, without its parts for pictures.
const CMAKE_ARGS: &str = "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF";

/// The peer's Python: one given on the command line, or that of an environment made for it.
pub(crate) fn python(peer: Peer, given: &[String]) -> Result<PathBuf, String> {
    let prefix = format!("{}=", peer.name());
    if let Some(path) = given.iter().find_map(|entry| entry.strip_prefix(&prefix)) {
        return Ok(path.into());
    }
    let home = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/bench")
        .join(peer.name());
    let requirements = peer
        .script()
        .with_file_name(format!("requirements-{}.txt", peer.name()));
    let wanted = fs::read_to_string(&requirements)
        .map_err(|error| format!("{}: {error}", requirements.display()))?;
    let python = home.join("bin/python");
    // What was installed, so that an environment is made again when the requirements change.
    let ready = home.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let name = peer.name();
    eprintln!("setting up {name} in {}", home.display());
    let own = format!("or name a Python that has {name} already: --python {name}=PATH");
    step(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&home),
        &format!("install Python 3.10 or newer with its module venv (Debian: python3-venv), {own}"),
    )?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(&requirements);
    let mut fix = format!("pip needs the network, {own}");
    if peer == Peer::Llamacpp {
        compilers()?;
        eprintln!("llama.cpp is compiled, which takes a quarter of an hour on two cores");
        let arguments = env::var("CMAKE_ARGS").unwrap_or_else(|_| CMAKE_ARGS.to_owned());
        install.env("CMAKE_ARGS", arguments);
        "pip brings cmake and ninja where the system has none; if it cannot, install them; it needs \
         the network too"
            .clone_into(&mut fix);
    }
    step(&mut install, &fix)?;
    fs::write(&ready, wanted).map_err(|error| format!("{}: {error}", ready.display()))?;
    Ok(python)
}

/// Sees that there are a C and a C++ compiler, before minutes pass without them.
fn compilers() -> Result<(), String> {
    for (variable, usual) in [("CC", "cc"), ("CXX", "c++")] {
        let compiler = env::var(variable).unwrap_or_else(|_| usual.to_owned());
        step(
            Command::new(compiler)
                .arg("--version")
                .stdout(std::process::Stdio::null()),
            &format!(
                "llama.cpp is compiled here: install gcc and g++ (Debian: build-essential; macOS: \
                 xcode-select --install), or set {variable}"
            ),
        )?;
    }
    Ok(())
}

/// Runs a command whose failure `fix` may mend.
fn step(command: &mut Command, fix: &str) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}; {fix}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("`{program}` was not found; {fix}"))
        }
        Err(error) => Err(format!("`{program}` did not start: {error}; {fix}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_fix() {
        let error = step(&mut Command::new("no-such-tool"), "install it").unwrap_err();
        assert_eq!(error, "`no-such-tool` was not found; install it");
    }
}
