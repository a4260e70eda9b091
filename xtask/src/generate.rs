//! Owns `cargo xtask gen`: files made from the list of ops.

use std::{fmt::Write as _, fs};

use olivine_core::{
    Kind,
    ops::{Family, Gradient, OpInfo, ops},
};

use crate::{Outcome, root};

const INDEX: &str = "docs/ops.md";

/// Writes the generated files, or only checks that they are current.
pub(crate) fn run(check: bool) -> Outcome {
    let path = root().join(INDEX);
    let text = index(ops());
    if check {
        return match fs::read_to_string(&path) {
            Ok(found) if found == text => Ok(()),
            Ok(_) => Err(format!("{INDEX} is out of date: run `cargo xtask gen`")),
            Err(error) => Err(format!("{INDEX}: {error}: run `cargo xtask gen`")),
        };
    }
    fs::create_dir_all(root().join("docs")).map_err(|error| format!("docs: {error}"))?;
    fs::write(&path, text).map_err(|error| format!("{INDEX}: {error}"))
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
