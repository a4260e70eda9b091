//! Owns `cargo xtask gen`: files made from the list of ops.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use olivine_core::{
    Kind,
    ops::{Family, Gradient, OpInfo, ops},
};

use crate::{Outcome, bindings, root, stubs};

const INDEX: &str = "docs/ops.md";

/// Writes the generated files, or only checks that they are current.
pub(crate) fn run(check: bool) -> Outcome {
    let written = fs::read_to_string(root().join(stubs::PATH))
        .map_err(|error| format!("{}: {error}", stubs::PATH))?;
    let files = [
        (INDEX, index(ops())),
        (
            bindings::PATH,
            formatted(&bindings::source(ops()).map_err(|error| error.to_string())?)?,
        ),
        (stubs::PATH, stubs::with_ops(&written, ops())?),
    ];
    for (name, text) in files {
        let path = root().join(name);
        if check {
            match fs::read_to_string(&path) {
                Ok(found) if found == text => {}
                Ok(_) => return Err(format!("{name} is out of date: run `cargo xtask gen`")),
                Err(error) => return Err(format!("{name}: {error}: run `cargo xtask gen`")),
            }
        } else {
            fs::write(&path, text).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(())
}

/// Rust source in the project's layout.
fn formatted(source: &str) -> Result<String, String> {
    let fail = |error: std::io::Error| format!("rustfmt: {error}");
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    let mut input = child
        .stdin
        .take()
        .expect("its input was asked to be a pipe");
    input.write_all(source.as_bytes()).map_err(fail)?;
    drop(input);
    let output = child.wait_with_output().map_err(fail)?;
    if !output.status.success() {
        return Err("rustfmt did not take the generated bindings".to_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}

fn index(ops: &[OpInfo]) -> String {
    let mut families: Vec<Family> = ops.iter().map(|op| op.family).collect();
    families.sort_unstable();
    families.dedup();
    let mut text = String::from(
        "# Operations\n\nEvery public operation, made from the list in the code by \
         `cargo xtask gen`. Arguments are written as in Python.\n",
    );
    for family in families {
        let _ = write!(
            text,
            "\n## {family:?}\n\n| op | what it computes | dtypes | gradient |\n"
        );
        text.push_str("|---|---|---|---|\n");
        let mut listed: Vec<&OpInfo> = ops.iter().filter(|op| op.family == family).collect();
        listed.sort_unstable_by_key(|op| op.name);
        for op in listed {
            let kinds = kinds(op.kinds);
            let gradient = match op.gradient {
                Gradient::Smooth => "yes",
                Gradient::Zero => "zero",
                Gradient::Estimated(reason) | Gradient::None(reason) => reason,
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {kinds} | {gradient} |",
                op.signature, op.doc
            );
        }
    }
    text
}

fn kinds(kinds: &[Kind]) -> String {
    if kinds.len() == 5 {
        return "all".to_owned();
    }
    let names: Vec<&str> = kinds
        .iter()
        .map(|kind| match kind {
            Kind::Bool => "bool",
            Kind::Unsigned => "unsigned",
            Kind::Signed => "signed",
            Kind::Float => "float",
            Kind::Complex => "complex",
        })
        .collect();
    names.join(", ")
}
