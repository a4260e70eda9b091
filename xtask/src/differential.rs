//! Owns the reference package: an environment of its own, and what its scripts make and check.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, python, root, run};

const SCRIPTS: &str = "crates/conformance/scripts";

/// Cases of the seed that is used unless another is asked for; enough to meet each operation often.
const CASES: &str = "3000";

/// An environment with the reference package, and the cases that it made.
pub(crate) struct Reference {
    python: PathBuf,
    /// The files of cases, without their extension.
    pub(crate) cases: PathBuf,
}

/// Makes the environment, unless there is one, and fresh cases.
///
/// Where packages cannot be installed this is a warning and `None`; with `CI` set it is an error.
pub(crate) fn prepare(seed: u64) -> Result<Option<Reference>, String> {
    // Relative ones are seen from where cargo runs.
    let target = root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    let folder = target.join("differential");
    let python = match environment(&folder.join("venv")) {
        Ok(python) => python,
        Err(message) if env::var_os("CI").is_none() => {
            eprintln!(
                "warning: {message}\nwarning: results are NOT compared with the reference package's \
                 except for the committed cases; set CI=true to make this an error"
            );
            return Ok(None);
        }
        Err(message) => return Err(message),
    };
    let reference = Reference {
        python,
        cases: folder.join("cases"),
    };
    let seed = seed.to_string();
    let cases = reference.cases.to_string_lossy().into_owned();
    reference.script(
        "names.py",
        &["--check", "crates/conformance/golden/names.txt"],
    )?;
    let options = ["--seed", &seed, "--cases", CASES, "--out", &cases];
    reference.script("differential.py", &options)?;
    Ok(Some(reference))
}

impl Reference {
    fn script(&self, name: &str, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(&self.python);
        command
            .arg(Path::new(SCRIPTS).join(name))
            .args(arguments)
            .current_dir(root());
        run(&mut command)
    }

    /// Checks that files written by the tests are read elsewhere.
    pub(crate) fn check_files(&self) -> Outcome {
        self.script("check_files.py", &[&self.cases.to_string_lossy()])
    }
}

/// The Python of an environment that has the packages of `reference.txt`, made once.
fn environment(folder: &Path) -> Result<PathBuf, String> {
    let listed = root().join(SCRIPTS).join("reference.txt");
    let wanted =
        fs::read_to_string(&listed).map_err(|error| format!("{}: {error}", listed.display()))?;
    // Written last, so that an environment that was cut short is made again.
    let stamp = folder.join("stamp.txt");
    let python = python::interpreter(folder);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && python.exists() {
        return Ok(python);
    }
    let python = python::environment(folder, &listed)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}
