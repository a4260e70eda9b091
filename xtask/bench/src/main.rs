//! Owns `cargo xtask bench`: the same work on Olivine and its peers, in turn, in one sitting.

mod ours;
mod peer;
mod report;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};

use report::Row;

/// Time Olivine against its peers and print ratios.
///
/// Each round runs every library once, so that all meet the same state of the machine; the table
/// shows medians and, for each peer, its time divided by Olivine's. Close other programs first.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    /// Only benchmarks whose name contains this.
    filter: Option<String>,
    /// The peers to compare with; each is set up in an environment of its own when first used.
    #[arg(long, value_delimiter = ',')]
    against: Vec<Peer>,
    /// Rounds per benchmark.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// A Python that has the peer already: `torch=/path/to/python`.
    #[arg(long, value_name = "PEER=PATH")]
    python: Vec<String>,
    /// Where the results are written as JSON.
    #[arg(long, default_value = "target/bench/results.json")]
    json: PathBuf,
    /// Print the names of the benchmarks and stop.
    #[arg(long)]
    list: bool,
}

/// A library to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// PyTorch on the CPU.
    Torch,
    /// MLX on the CPU.
    Mlx,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Torch => "torch",
            Peer::Mlx => "mlx",
        }
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Waits until the threads of the library that ran last have stopped looking for work.
fn rest() {
    std::thread::sleep(std::time::Duration::from_millis(250));
}

fn run(cli: &Cli) -> Result<(), String> {
    let wanted = |name: &str| {
        cli.filter
            .as_deref()
            .is_none_or(|filter| name.contains(filter))
    };
    let benchmarks: Vec<_> = ours::ALL
        .iter()
        .filter(|bench| wanted(bench.name))
        .collect();
    if benchmarks.is_empty() {
        return Err("no benchmark has that in its name; --list shows them".to_owned());
    }
    if cli.list {
        for bench in benchmarks {
            println!("{:<18} {}", bench.name, bench.what);
        }
        return Ok(());
    }
    let mut peers = Vec::new();
    for &peer in &cli.against {
        peers.push((peer, peer::Process::start(peer, &cli.python)?));
    }
    let mut rows = Vec::new();
    for bench in benchmarks {
        eprint!("{} ", bench.name);
        let mut work = (bench.setup)().map_err(|error| format!("{}: {error}", bench.name))?;
        let mut row = Row::new(bench.name, peers.iter().map(|(peer, _)| peer.name()));
        for round in 0..=cli.runs.max(1) {
            rest();
            let ours = ours::time(bench, &mut work)?;
            let theirs: Vec<f64> = peers
                .iter_mut()
                .map(|(_, peer)| {
                    rest();
                    peer.run(bench.name)
                })
                .collect::<Result<_, _>>()?;
            // The first round warms everything up.
            if round > 0 {
                row.add(ours, &theirs);
            }
            eprint!(".");
        }
        eprintln!(" {:.3} ms", row.ours.median());
        rows.push(row);
    }
    report::print(&rows);
    report::write(&rows, &cli.json)
}
