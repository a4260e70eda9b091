//! Owns the list of failures of a check, so that one run shows all of them.

use std::{collections::BTreeMap, fmt::Display};

/// Failures gathered over many cases.
#[derive(Debug, Default)]
pub struct Report {
    failures: Vec<String>,
    cases: usize,
}

impl Report {
    /// Counts a case, and keeps its failure.
    pub fn case(&mut self, name: impl Display, outcome: Result<(), impl Display>) {
        self.cases += 1;
        if let Err(failure) = outcome {
            self.failures.push(format!("{name}: {failure}"));
        }
    }

    /// Panics with every failure, or if fewer than `least` cases ran.
    pub fn finish(self, least: usize) {
        assert!(
            self.failures.is_empty(),
            "{} of {} cases failed:\n{}",
            self.failures.len(),
            self.cases,
            self.excerpt()
        );
        assert!(
            self.cases >= least || filter().is_some(),
            "only {} cases ran where {least} were expected",
            self.cases
        );
        println!("{} cases", self.cases);
    }

    /// The failures, but of one operation only the first few.
    fn excerpt(&self) -> String {
        const SHOWN: usize = 4;
        let first = |failure: &str| failure.split(' ').next().unwrap_or_default().to_owned();
        let mut lines = Vec::new();
        let mut counts = BTreeMap::new();
        for failure in &self.failures {
            let count = counts.entry(first(failure)).or_insert(0);
            *count += 1;
            if *count <= SHOWN {
                lines.push(failure.clone());
            }
        }
        let more = counts.iter().filter(|(_, count)| **count > SHOWN);
        lines.extend(more.map(|(op, count)| format!("{op}: {} more", count - SHOWN)));
        lines.join("\n")
    }
}

/// The operations to check, from `OLIVINE_OP`: all, or those of one name.
pub fn ops() -> impl Iterator<Item = &'static olivine_core::ops::OpInfo> {
    let filter = filter();
    olivine_core::ops::ops()
        .iter()
        .filter(move |op| filter.as_deref().is_none_or(|name| name == op.name))
}

fn filter() -> Option<String> {
    std::env::var("OLIVINE_OP")
        .ok()
        .filter(|name| !name.is_empty())
}
