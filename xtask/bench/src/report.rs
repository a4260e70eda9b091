//! Owns the results: their statistics, the table of medians and ratios, and the JSON.

use std::{collections::BTreeMap, fs, path::Path};

use clap::ValueEnum;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    jobs::{self, Job, Rate},
    machine::Machine,
    peer::Peer,
    table::Table,
};

/// The name of this library among the others.
pub(crate) const OLIVINE: &str = "olivine";

/// Everything that a run of the benchmarks found.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// The versions of the libraries by their names.
    pub(crate) versions: BTreeMap<String, String>,
    pub(crate) rows: Vec<Row>,
}

/// One benchmark's measurements on every library that has it, Olivine first.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) what: String,
    /// Olivine's speed by its median.
    pub(crate) rate: Option<Rate>,
    pub(crate) libraries: Vec<Measured>,
}

/// The measurements of one benchmark on one library, in milliseconds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) library: String,
    pub(crate) median_ms: f64,
    pub(crate) lower_quartile_ms: f64,
    pub(crate) upper_quartile_ms: f64,
    pub(crate) min_ms: f64,
    /// The median over rounds of its time divided by Olivine's: above 1, Olivine is faster.
    pub(crate) ratio: Option<f64>,
    /// Every measurement, round by round.
    pub(crate) samples_ms: Vec<f64>,
}

/// The value that a part of the samples lies below, interpolated between neighbours.
pub(crate) fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = part * last as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

impl Measured {
    /// Sums up a library's samples; `ours` are Olivine's of the same rounds, if it is another.
    fn new(library: &str, samples: Vec<f64>, ours: Option<&[f64]>) -> Measured {
        let ratio = ours.map(|ours| {
            let ratios: Vec<_> = samples
                .iter()
                .zip(ours)
                .map(|(its, our)| its / our)
                .collect();
            quantile(&ratios, 0.5)
        });
        Measured {
            library: library.to_owned(),
            median_ms: quantile(&samples, 0.5),
            lower_quartile_ms: quantile(&samples, 0.25),
            upper_quartile_ms: quantile(&samples, 0.75),
            min_ms: quantile(&samples, 0.0),
            ratio,
            samples_ms: samples,
        }
    }
}

impl Row {
    /// Sums up a benchmark's samples, Olivine's and those of the peers that have it.
    pub(crate) fn new(
        job: &Job,
        machine: &Machine,
        ours: Vec<f64>,
        peers: Vec<(&str, Vec<f64>)>,
    ) -> Row {
        let peers: Vec<_> = peers
            .into_iter()
            .map(|(peer, samples)| Measured::new(peer, samples, Some(&ours)))
            .collect();
        let own = Measured::new(OLIVINE, ours, None);
        Row {
            name: job.name.to_owned(),
            what: job.what.to_owned(),
            rate: job.cost.rate(own.median_ms, machine),
            libraries: std::iter::once(own).chain(peers).collect(),
        }
    }

    /// A library's measurements.
    pub(crate) fn of(&self, library: &str) -> Option<&Measured> {
        self.libraries
            .iter()
            .find(|measured| measured.library == library)
    }
}

impl Results {
    /// Takes over what an earlier run found, with the limits that its speeds were compared with.
    pub(crate) fn add(&mut self, earlier: Results) -> Result<(), String> {
        let place = |machine: &Machine| (machine.cpu.clone(), machine.isa.clone(), machine.threads);
        if place(&earlier.machine) != place(&self.machine) {
            return Err("the earlier run was on another machine: leave out --add".to_owned());
        }
        for (library, version) in &earlier.versions {
            let now = self
                .versions
                .entry(library.clone())
                .or_insert_with(|| version.clone());
            if now != version {
                return Err(format!(
                    "the earlier run was with {library} {version}, this is {now}: leave out --add"
                ));
            }
        }
        self.machine = earlier.machine;
        self.rows = earlier.rows;
        Ok(())
    }

    /// Puts a row in its place among the others, or in that of an earlier one of its name.
    pub(crate) fn put(&mut self, row: Row) {
        self.rows.retain(|other| other.name != row.name);
        self.rows.push(row);
        self.rows
            .sort_by_key(|row| jobs::ALL.iter().position(|job| job.name == row.name));
    }

    /// The peers in the order of the tables.
    pub(crate) fn peers(&self) -> Vec<&str> {
        Peer::value_variants()
            .iter()
            .map(|peer| peer.name())
            .filter(|name| self.versions.contains_key(*name))
            .collect()
    }

    /// Olivine's times and speeds, and each peer's time with its ratio.
    pub(crate) fn table(&self) -> Table {
        let peers = self.peers();
        let mut head: Vec<String> = ["benchmark", "Olivine, ms", "quartiles", "speed", "of limit"]
            .map(str::to_owned)
            .into();
        head.extend(peers.iter().map(|peer| title(peer).to_owned()));
        let cells = |row: &Row| {
            let mut cells = vec![row.name.clone()];
            let ours = row.of(OLIVINE);
            cells.push(ours.map_or_else(String::new, |ours| milliseconds(ours.median_ms)));
            cells.push(ours.map_or_else(String::new, |ours| {
                let ends = [ours.lower_quartile_ms, ours.upper_quartile_ms];
                ends.map(milliseconds).join("–")
            }));
            let rate = row.rate.as_ref();
            cells.push(rate.map_or_else(String::new, |rate| {
                format!("{:.1} {}", rate.value, rate.unit)
            }));
            cells.push(
                rate.map_or_else(String::new, |rate| format!("{:.0}%", rate.of_limit * 100.0)),
            );
            cells.extend(peers.iter().map(|peer| {
                row.of(peer).map_or_else(String::new, |its| {
                    let ratio = its.ratio.unwrap_or(f64::NAN);
                    format!("{} ({ratio:.2}×)", milliseconds(its.median_ms))
                })
            }));
            cells
        };
        Table {
            numbers: true,
            head,
            rows: self.rows.iter().map(cells).collect(),
        }
    }

    /// The machine and the versions of the libraries.
    pub(crate) fn conditions(&self) -> Table {
        let order = std::iter::once(OLIVINE).chain(self.peers());
        let versions: Vec<_> = order
            .filter_map(|name| Some(format!("{} {}", title(name), self.versions.get(name)?)))
            .collect();
        let versions = ["versions".to_owned(), versions.join(", ")];
        let lines = self.machine.lines();
        let lines = lines
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value]);
        Table {
            numbers: false,
            head: vec!["machine".to_owned(), String::new()],
            rows: lines.chain([versions.to_vec()]).collect(),
        }
    }
}

/// A library's name as its makers write it.
fn title(library: &str) -> &str {
    match library {
        "torch" => "PyTorch",
        "mlx" => "MLX",
        "llamacpp" => "llama.cpp",
        _ => "Olivine",
    }
}

/// A time with the digits that mean something.
fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.3}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// Writes results as JSON, and the folder they are in.
pub(crate) fn write(results: &impl Serialize, path: &Path) -> Result<(), String> {
    let text = serde_json::to_string_pretty(results).map_err(|error| error.to_string())?;
    let fail = |error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    fs::write(path, text + "\n").map_err(fail)
}

/// Reads results that were written before.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::jobs::Cost;

    /// Results of two made-up benchmarks, of which one peer has the first only.
    pub(crate) fn results() -> Results {
        let machine = Machine {
            cpu: "Some | processor".to_owned(),
            cores: 4,
            isa: "v3".to_owned(),
            threads: 4,
            copy_gb_s: 20.0,
            f32_gflop_s: 100.0,
        };
        let job = |name, cost| Job {
            name,
            what: "a product",
            cost,
            setup: || unreachable!("nothing is measured here"),
        };
        let first = Row::new(
            &job("first", Cost::Flops(1e8)),
            &machine,
            vec![2.0, 4.0, 1.0],
            vec![
                ("torch", vec![4.0, 4.0, 1.0]),
                ("mlx", vec![20.0, 8.0, 4.0]),
            ],
        );
        let torch = vec![("torch", vec![1.0, 1.0])];
        let second = Row::new(&job("second", Cost::Other), &machine, vec![2.0, 3.0], torch);
        let versions = [("mlx", "0.32.4"), ("olivine", "0.1.0"), ("torch", "2.13.0")];
        Results {
            machine,
            versions: versions.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            rows: vec![first, second],
        }
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), 2.5);
        assert_eq!(quantile(&[10.0, 30.0, 20.0], 0.25), 15.0);
        assert_eq!(quantile(&[10.0, 30.0, 20.0], 0.0), 10.0);
        assert_eq!(quantile(&[7.0], 0.75), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn ratios_are_medians_of_rounds_not_ratios_of_medians() {
        let results = results();
        let row = &results.rows[0];
        assert_eq!(row.of("mlx").unwrap().ratio, Some(4.0));
        assert_eq!(row.of("torch").unwrap().ratio, Some(1.0));
        assert_eq!(row.of(OLIVINE).unwrap().ratio, None);
        assert_eq!(row.rate.as_ref().unwrap().value, 50.0);
        assert_eq!(row.rate.as_ref().unwrap().of_limit, 0.5);
    }

    #[test]
    fn the_table_has_a_column_for_each_peer_and_nothing_where_it_has_nothing() {
        let table = results().table();
        assert_eq!(table.head[5..], ["PyTorch", "MLX"]);
        let first = ["first", "2.000", "1.500–3.000", "50.0 GFLOP/s", "50%"];
        assert_eq!(table.rows[0][..5], first);
        assert_eq!(table.rows[0][5..], ["4.000 (1.00×)", "8.000 (4.00×)"]);
        assert_eq!(table.rows[1][3..], ["", "", "1.000 (0.42×)", ""]);
    }

    #[test]
    fn conditions_name_the_machine_and_every_version() {
        let rows = results().conditions().rows;
        assert_eq!(rows[0], ["processor", "Some | processor, 4 cores"]);
        assert_eq!(rows[4][1], "Olivine 0.1.0, PyTorch 2.13.0, MLX 0.32.4");
    }

    #[test]
    fn rows_are_added_to_those_of_the_same_machine_and_libraries_only() {
        let mut now = results();
        now.rows.truncate(1);
        now.add(results()).unwrap();
        assert_eq!(now, results());
        let row = |name: &str| Row {
            name: name.to_owned(),
            ..results().rows.swap_remove(0)
        };
        for name in ["train_step", "matmul_512", "first"] {
            now.put(row(name));
        }
        let names: Vec<_> = now.rows.iter().map(|row| &row.name[..]).collect();
        assert_eq!(names, ["second", "first", "matmul_512", "train_step"]);

        let mut other = results();
        "0.2.0".clone_into(other.versions.get_mut("olivine").unwrap());
        assert!(
            other
                .add(results())
                .unwrap_err()
                .contains("olivine 0.1.0, this is 0.2.0")
        );
        other.machine.threads = 2;
        assert!(
            other
                .add(results())
                .unwrap_err()
                .contains("another machine")
        );
    }

    #[test]
    fn results_are_read_back_as_they_were_written() {
        let path = std::env::temp_dir().join(format!("olivine-bench-{}", std::process::id()));
        write(&results(), &path.join("a/b.json")).unwrap();
        assert_eq!(read::<Results>(&path.join("a/b.json")).unwrap(), results());
        fs::remove_dir_all(path).unwrap();
    }
}
