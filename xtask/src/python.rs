//! Owns the Python package's tests: its wheel, built and installed in an environment made for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, root, run};

/// The packages that building and testing need.
const REQUIREMENTS: &str = "python/tests/requirements.txt";

/// Builds the wheel, installs it in a fresh environment and runs the Python tests and doctests.
///
/// Where packages cannot be installed this is a warning; with `CI` set it is an error.
pub(crate) fn test() -> Outcome {
    let target = root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let folder = target.join("python");
    let python = match environment(&folder.join("venv"), &root().join(REQUIREMENTS)) {
        Ok(python) => python,
        Err(message) if env::var_os("CI").is_none() => {
            eprintln!(
                "warning: {message}\nwarning: the Python package is NOT tested; set CI=true to make \
                 this an error"
            );
            return Ok(());
        }
        Err(message) => return Err(message),
    };
    let wheels = folder.join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels).map_err(|error| format!("{}: {error}", wheels.display()))?;
    }
    // The profile that the other tests were built with, so that little is built twice.
    let build = ["-m", "maturin", "build", "--profile", "dev", "--out"];
    run(Command::new(&python)
        .args(build)
        .arg(&wheels)
        .current_dir(root()))?;
    let wheel = fs::read_dir(&wheels)
        .map_err(|error| format!("{}: {error}", wheels.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("{}: maturin left no wheel", wheels.display()))?;
    run(pip(&python).arg("--no-deps").arg(&wheel))?;
    // What is tested is what was installed, not the sources.
    let tests = [
        "-m",
        "pytest",
        "-q",
        "--import-mode=importlib",
        "--doctest-modules",
        "--pyargs",
    ];
    run(Command::new(&python)
        .args(tests)
        .args(["olivine", "python/tests"])
        .env_remove("PYTHONPATH")
        .current_dir(root()))?;
    stubs(&python)
}

/// Checks the typed stubs against the module, and the package and a program against the stubs.
fn stubs(python: &Path) -> Outcome {
    let check = |arguments: &[&str]| {
        run(Command::new(python)
            .args(["-m"])
            .args(arguments)
            .env_remove("PYTHONPATH")
            .current_dir(root()))
    };
    check(&[
        "mypy.stubtest",
        "olivine.core",
        "--allowlist",
        "python/tests/stubtest.txt",
    ])?;
    check(&["mypy", "--strict", "-p", "olivine"])?;
    check(&["mypy", "--strict", "python/tests/typed_sample.py"])
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    command
}

/// The Python of a new environment that has the listed packages.
pub(crate) fn environment(folder: &Path, listed: &Path) -> Result<PathBuf, String> {
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder))?;
    let python = interpreter(folder);
    run(pip(&python).arg("-r").arg(listed))?;
    Ok(python)
}

/// Where an environment has its Python.
pub(crate) fn interpreter(folder: &Path) -> PathBuf {
    folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}
