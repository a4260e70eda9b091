//! Owns the table of medians and ratios, and its JSON.

use std::{fs, path::Path};

use serde_json::json;

/// Measurements of one benchmark on one library, in milliseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// The middle measurement.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }
}

/// One benchmark's measurements on every library, round by round.
pub(crate) struct Row {
    name: &'static str,
    pub(crate) ours: Times,
    peers: Vec<(&'static str, Times)>,
}

impl Row {
    pub(crate) fn new(name: &'static str, peers: impl Iterator<Item = &'static str>) -> Row {
        let peers = peers.map(|peer| (peer, Times::default())).collect();
        Row {
            name,
            ours: Times::default(),
            peers,
        }
    }

    /// Adds one round.
    pub(crate) fn add(&mut self, ours: f64, theirs: &[f64]) {
        self.ours.0.push(ours);
        for ((_, times), &time) in self.peers.iter_mut().zip(theirs) {
            times.0.push(time);
        }
    }

    /// The median over rounds of a peer's time divided by ours: above 1, Olivine is faster.
    fn ratio(&self, theirs: &Times) -> f64 {
        Times(
            theirs
                .0
                .iter()
                .zip(&self.ours.0)
                .map(|(their, our)| their / our)
                .collect(),
        )
        .median()
    }
}

/// Prints the table.
pub(crate) fn print(rows: &[Row]) {
    print!("\n{:<18} {:>12}", "benchmark", "olivine ms");
    if let Some(row) = rows.first() {
        for (peer, _) in &row.peers {
            print!(" {:>12} {:>8}", format!("{peer} ms"), "ratio");
        }
    }
    println!();
    for row in rows {
        print!("{:<18} {:>12.3}", row.name, row.ours.median());
        for (_, times) in &row.peers {
            print!(" {:>12.3} {:>7.2}x", times.median(), row.ratio(times));
        }
        println!();
    }
    println!("\nA ratio above 1 means that Olivine is faster.");
}

/// Writes every measurement as JSON.
pub(crate) fn write(rows: &[Row], path: &Path) -> Result<(), String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let peers: serde_json::Map<_, _> = row
                .peers
                .iter()
                .map(|(peer, times)| {
                    let value = json!({ "median_ms": times.median(), "runs": times.0, "ratio": row.ratio(times) });
                    ((*peer).to_owned(), value)
                })
                .collect();
            json!({ "name": row.name, "median_ms": row.ours.median(), "runs": row.ours.0, "peers": peers })
        })
        .collect();
    let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
    let fail = |error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    fs::write(path, text).map_err(fail)
}
