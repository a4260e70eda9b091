//! Owns `cargo xtask bench`: the same work on Olivine and its peers, in turn, in one sitting.

mod jobs;
mod machine;
mod markdown;
mod ours;
mod peer;
mod plot;
mod report;
mod scaling;
mod setup;
mod table;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Parser;

use jobs::Job;
use machine::Machine;
use peer::{Peer, Process};
use report::{OLIVINE, Results, Row};
use scaling::Scaling;

/// Time Olivine against its peers and print ratios.
///
/// Each round runs every library once, so that all meet the same state of the machine. The table
/// shows medians and quartiles, Olivine's speed beside what the machine can do, and for each peer
/// its time divided by Olivine's. Close other programs first.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
struct Cli {
    /// Only benchmarks (or kernels, with --scaling) whose name contains this.
    #[arg(default_value = "", hide_default_value = true)]
    filter: String,
    /// The peers to compare with; each is set up in an environment of its own when first used.
    #[arg(long, value_delimiter = ',')]
    against: Vec<Peer>,
    /// Rounds per benchmark.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// A Python that has the peer already: `torch=/path/to/python`.
    #[arg(long, value_name = "PEER=PATH")]
    python: Vec<String>,
    /// Measure Olivine alone from 2^10 to 2^28 elements, on one thread and on all, and draw the
    /// speeds. The largest sizes want 6 GiB of memory.
    #[arg(long, conflicts_with = "against")]
    scaling: bool,
    /// Where --scaling draws its picture.
    #[arg(long, default_value = "docs/scaling.svg", value_name = "FILE")]
    svg: PathBuf,
    /// Where the results are written as JSON [default: target/bench/results.json, or scaling.json].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables between the marks of this page anew.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Measure nothing: print, draw and write what an earlier run left in its JSON.
    #[arg(long)]
    again: bool,
    /// Keep what the JSON, if there is one, has of other benchmarks of the same machine and libraries.
    #[arg(long, conflicts_with = "again")]
    add: bool,
    /// Print the names of the benchmarks and stop.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let outcome = if std::env::args().nth(1).as_deref() == Some(scaling::CHILD) {
        scaling::serve()
    } else {
        run(&Cli::parse())
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    if cli.scaling && !cli.list {
        return scale(cli);
    }
    let jobs: Vec<_> = jobs::ALL
        .iter()
        .filter(|job| job.name.contains(&cli.filter))
        .collect();
    if jobs.is_empty() {
        return Err("no benchmark has that in its name; --list shows them".to_owned());
    }
    if cli.list {
        for job in jobs {
            println!("{:<20} {}", job.name, job.what);
        }
        return Ok(());
    }
    let json = cli
        .json
        .as_deref()
        .unwrap_or(Path::new("target/bench/results.json"));
    let results = if cli.again {
        report::read(json)?
    } else {
        compare(cli, &jobs, json)?
    };
    print!(
        "{}\n{}",
        results.conditions().text(),
        results.table().text()
    );
    println!("In parentheses: how many times Olivine's time; above 1, Olivine is faster.");
    if let Some(page) = &cli.markdown {
        let tables = [
            ("machine", results.conditions()),
            ("ratios", results.table()),
        ];
        markdown::write(page, &tables)?;
    }
    Ok(())
}

/// Times benchmarks on Olivine and its peers; what is known is written after each.
fn compare(cli: &Cli, jobs: &[&Job], json: &Path) -> Result<Results, String> {
    let mut peers = Vec::new();
    let mut versions = BTreeMap::from([(OLIVINE.to_owned(), version())]);
    for &peer in &cli.against {
        let process = Process::peer(peer, &cli.python)?;
        versions.insert(peer.name().to_owned(), process.version.clone());
        peers.push((peer.name(), process));
    }
    let mut results = Results {
        machine: machine(),
        versions,
        rows: Vec::new(),
    };
    if cli.add && json.exists() {
        results.add(report::read(json)?)?;
    }
    for job in jobs {
        eprint!("{} ", job.name);
        let row = time(job, cli.runs, &mut peers, &results.machine)
            .map_err(|error| format!("{}: {error}", job.name))?;
        results.put(row);
        eprintln!();
        report::write(&results, json)?;
    }
    Ok(results)
}

/// A peer that takes longer than this, in milliseconds, is measured in fewer rounds.
const SLOW: f64 = 2000.0;

/// As many rounds as show that it is slow.
const SLOW_RUNS: usize = 3;

/// Times a benchmark, a round of all libraries after the other.
fn time(
    job: &Job,
    runs: usize,
    peers: &mut [(&'static str, Process)],
    machine: &Machine,
) -> Result<Row, String> {
    let mut work = (job.setup)().map_err(|error| error.to_string())?;
    let mut ours = Vec::new();
    let mut theirs: Vec<_> = peers
        .iter_mut()
        .filter(|(_, process)| process.has(job.name))
        .map(|(name, process)| (*name, process, runs.max(1), Vec::new()))
        .collect();
    for round in 0..=runs.max(1) {
        // The first round warms everything up.
        let counts = round > 0;
        rest();
        let ms = ours::time(&mut work).map_err(|error| error.to_string())?;
        if counts {
            ours.push(ms);
        }
        for (name, process, runs, samples) in &mut theirs {
            if round > *runs {
                continue;
            }
            rest();
            let ms = process
                .run(job.name)
                .map_err(|error| format!("{name}: {error}"))?;
            if counts {
                samples.push(ms);
            } else if ms > SLOW {
                *runs = SLOW_RUNS.min(*runs);
            }
        }
        eprint!(".");
    }
    let theirs = theirs
        .into_iter()
        .map(|(name, _, _, samples)| (name, samples))
        .collect();
    Ok(Row::new(job, machine, ours, theirs))
}

/// Waits until the threads of the library that ran last have stopped looking for work.
fn rest() {
    std::thread::sleep(std::time::Duration::from_millis(250));
}

/// Measures and draws speed against size.
fn scale(cli: &Cli) -> Result<(), String> {
    let json = cli
        .json
        .as_deref()
        .unwrap_or(Path::new("target/bench/scaling.json"));
    let scaling: Scaling = if cli.again {
        report::read(json)?
    } else {
        let scaling = scaling::measure(machine(), version(), &cli.filter, cli.runs)?;
        report::write(&scaling, json)?;
        scaling
    };
    println!("GB/s read and written, on so many threads");
    print!("{}", scaling.table(|_| true).text());
    let svg = &cli.svg;
    std::fs::write(svg, scaling.svg()).map_err(|error| format!("{}: {error}", svg.display()))?;
    if let Some(page) = &cli.markdown {
        markdown::write(page, &[("scaling", scaling.table(|size| size % 2 == 0))])?;
    }
    Ok(())
}

/// Measures the machine and prints what it can do.
fn machine() -> Machine {
    let machine = Machine::measure();
    for (name, value) in machine.lines() {
        eprintln!("{name}: {value}");
    }
    machine
}

/// Olivine's version, with the commit where git knows it.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match git {
        Ok(output) if output.status.success() => {
            let commit = String::from_utf8_lossy(&output.stdout);
            format!("{version} ({})", commit.trim())
        }
        _ => version.to_owned(),
    }
}
