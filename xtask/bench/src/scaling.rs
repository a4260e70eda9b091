//! Owns cost against size: a few kernels over ever more elements, on one thread and on all.
//!
//! How many threads there are is settled when a process starts, so each number of threads has a
//! process of its own, and they measure in turn.

use std::{
    env, io,
    io::{BufRead, Write},
    process::Command,
};

use olivine::{memory, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    machine::Machine,
    ours::{self, Work},
    peer::Process,
    plot::{Chart, Line},
    report::quantile,
    table::Table,
};

/// The argument that makes this program one of the processes that measure.
pub(crate) const CHILD: &str = "--scaling-process";

/// The smallest and the largest size, as powers of two.
const SIZES: std::ops::RangeInclusive<u32> = 10..=28;

/// The length of the rows of kernels that work on rows.
const ROW: usize = 1024;

/// A function over arrays of any size.
struct Kernel {
    name: &'static str,
    /// Bytes that it reads and writes at least, for each element.
    bytes: usize,
    setup: fn(usize) -> Result<Work>,
}

const KERNELS: &[Kernel] = &[
    kernel("copy", 8, |n| {
        let x = filled([n])?;
        Ok(ours::work(move || x.contiguous()))
    }),
    kernel("add", 12, |n| {
        let (x, y) = (filled([n])?, filled([n])?);
        Ok(ours::work(move || x.add(&y)))
    }),
    kernel("exp", 8, |n| {
        let x = filled([n])?;
        Ok(ours::work(move || x.exp()))
    }),
    kernel("sum", 4, |n| {
        let x = filled([n])?;
        Ok(ours::work(move || x.sum(..)))
    }),
    kernel("softmax", 8, |n| {
        let x = filled([n / ROW, ROW])?;
        Ok(ours::work(move || x.softmax(-1)))
    }),
];

const fn kernel(name: &'static str, bytes: usize, setup: fn(usize) -> Result<Work>) -> Kernel {
    Kernel { name, bytes, setup }
}

/// An array of one half. Random numbers would take longer to make than to measure, and no kernel
/// here asks what the numbers are.
fn filled<const N: usize>(shape: [usize; N]) -> Result<Array> {
    let x = Array::full(shape, 0.5f32)?.contiguous()?;
    x.eval()?;
    Ok(x)
}

/// Everything that a run found.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    machine: Machine,
    version: String,
    points: Vec<Point>,
}

/// A kernel on a number of threads over a number of elements.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    kernel: String,
    threads: usize,
    elements: usize,
    ns_per_element: f64,
    /// Bytes read and written at least, in 10⁹ a second.
    gb_s: f64,
    samples_ms: Vec<f64>,
}

/// Times the kernels whose names contain `filter`.
pub(crate) fn measure(
    machine: Machine,
    version: String,
    filter: &str,
    runs: usize,
) -> std::result::Result<Scaling, String> {
    let kernels: Vec<_> = KERNELS
        .iter()
        .filter(|kernel| kernel.name.contains(filter))
        .collect();
    if kernels.is_empty() {
        let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        return Err(format!(
            "no kernel has that in its name; there are {}",
            names.join(", ")
        ));
    }
    let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let mut counts = vec![1, machine.threads];
    counts.dedup();
    let mut processes = Vec::new();
    for threads in counts {
        let mut command = Command::new(&program);
        command
            .arg(CHILD)
            .env("OLIVINE_NUM_THREADS", threads.to_string());
        processes.push((threads, Process::start(&mut command)?));
    }
    let mut points = Vec::new();
    for kernel in kernels {
        eprint!("{} ", kernel.name);
        for size in SIZES {
            let elements = 1 << size;
            let name = format!("{} {elements}", kernel.name);
            let mut samples = vec![Vec::new(); processes.len()];
            for round in 0..=runs.max(1) {
                for ((_, process), samples) in processes.iter_mut().zip(&mut samples) {
                    let ms = process
                        .run(&name)
                        .map_err(|error| format!("{name}: {error}"))?;
                    // The first round warms everything up.
                    if round > 0 {
                        samples.push(ms);
                    }
                }
            }
            for ((threads, _), samples_ms) in processes.iter().zip(samples) {
                let ns = quantile(&samples_ms, 0.5) * 1e6;
                points.push(Point {
                    kernel: kernel.name.to_owned(),
                    threads: *threads,
                    elements,
                    ns_per_element: ns / elements as f64,
                    gb_s: (kernel.bytes * elements) as f64 / ns,
                    samples_ms,
                });
            }
            eprint!(".");
        }
        eprintln!();
    }
    Ok(Scaling {
        machine,
        version,
        points,
    })
}

/// Times what is asked for, a line each, with the threads that this process has.
pub(crate) fn serve() -> std::result::Result<(), String> {
    let say = |value: serde_json::Value| {
        println!("{value}");
        io::stdout().flush()
    };
    let fail = |error: io::Error| format!("standard input and output: {error}");
    say(json!({ "version": env!("CARGO_PKG_VERSION"), "benchmarks": [] })).map_err(fail)?;
    let mut current: Option<(String, Work)> = None;
    for line in io::stdin().lock().lines() {
        let name = line.map_err(fail)?;
        let reply = match timed(&mut current, &name) {
            Ok(ms) => json!({ "ms": ms }),
            Err(error) => json!({ "error": error }),
        };
        say(reply).map_err(fail)?;
    }
    Ok(())
}

/// Milliseconds of a kernel over so many elements: `add 1024`.
fn timed(current: &mut Option<(String, Work)>, name: &str) -> std::result::Result<f64, String> {
    let describe = |error: Error| error.to_string();
    if current.as_ref().is_none_or(|(own, _)| own != name) {
        // The inputs of the last one make room first.
        *current = None;
        memory::of(Device::Cpu).map_err(describe)?.clear_cache();
        let (kernel, elements) = name
            .split_once(' ')
            .and_then(|(kernel, elements)| Some((kernel, elements.parse().ok()?)))
            .ok_or("a kernel and a number of elements are wanted")?;
        let kernel = KERNELS
            .iter()
            .find(|known| known.name == kernel)
            .ok_or("no such kernel")?;
        *current = Some((name.to_owned(), (kernel.setup)(elements).map_err(describe)?));
    }
    let Some((_, work)) = current else {
        return Err("nothing is set up".to_owned());
    };
    ours::time(work).map_err(describe)
}

impl Scaling {
    /// The kernels in the order they were measured, each with its numbers of threads.
    fn lines(&self) -> Vec<(&str, usize)> {
        let mut lines = Vec::new();
        for point in &self.points {
            let line = (point.kernel.as_str(), point.threads);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    /// The points of a line.
    fn points(&self, (kernel, threads): (&str, usize)) -> impl Iterator<Item = &Point> {
        self.points
            .iter()
            .filter(move |point| point.kernel == kernel && point.threads == threads)
    }

    /// Speeds in GB/s: a row for each size that `wanted` accepts, as a power of two.
    pub(crate) fn table(&self, wanted: impl Fn(u32) -> bool) -> Table {
        let lines = self.lines();
        let head = std::iter::once("elements".to_owned())
            .chain(lines.iter().map(|line| label(*line)))
            .collect();
        let row = |size: u32| {
            let speed = |line: &(&str, usize)| {
                let point = self.points(*line).find(|point| point.elements == 1 << size);
                point.map_or_else(String::new, |point| format!("{:.1}", point.gb_s))
            };
            std::iter::once(power(size))
                .chain(lines.iter().map(speed))
                .collect()
        };
        Table {
            numbers: true,
            head,
            rows: SIZES.filter(|size| wanted(*size)).map(row).collect(),
        }
    }

    /// The picture of speed against size.
    pub(crate) fn svg(&self) -> String {
        let mut kernels: Vec<&str> = self.lines().iter().map(|(kernel, _)| *kernel).collect();
        kernels.dedup();
        let lines = self.lines().into_iter().map(|line| Line {
            name: label(line),
            color: kernels
                .iter()
                .position(|kernel| *kernel == line.0)
                .unwrap_or(0),
            dashed: line.1 == 1,
            points: self
                .points(line)
                .map(|point| (point.elements as f64, point.gb_s))
                .collect(),
        });
        Chart {
            title: "Speed of kernels by size",
            x: "float32 elements",
            y: "GB/s read and written",
            lines: lines.collect(),
            limit: Some(("copy limit", self.machine.copy_gb_s)),
        }
        .svg()
    }
}

/// A line's name: `add, 1`.
fn label((kernel, threads): (&str, usize)) -> String {
    format!("{kernel}, {threads}")
}

/// A power of two with its exponent: `2¹⁰`.
pub(crate) fn power(exponent: u32) -> String {
    let digits = exponent.to_string();
    let raised = digits
        .bytes()
        .map(|digit| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][usize::from(digit - b'0')]);
    std::iter::once('2').chain(raised).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up run of two kernels on one and two threads.
    pub(crate) fn scaling() -> Scaling {
        let mut points = Vec::new();
        for (kernel, speed) in [("add", 2.0), ("sum", 4.0)] {
            for size in [10, 11, 12] {
                for threads in [1, 2] {
                    points.push(Point {
                        kernel: kernel.to_owned(),
                        threads,
                        elements: 1 << size,
                        ns_per_element: 1.0,
                        gb_s: speed * f64::from(size) * threads as f64,
                        samples_ms: vec![1.0],
                    });
                }
            }
        }
        let machine = crate::report::tests::results().machine;
        Scaling {
            machine,
            version: "0.1.0".to_owned(),
            points,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_size_and_a_column_for_each_line() {
        let table = scaling().table(|size| size % 2 == 0 && size < 14);
        assert_eq!(
            table.head,
            ["elements", "add, 1", "add, 2", "sum, 1", "sum, 2"]
        );
        assert_eq!(table.rows.len(), 2);
        assert_eq!(table.rows[0], ["2¹⁰", "20.0", "40.0", "40.0", "80.0"]);
        assert_eq!(table.rows[1], ["2¹²", "24.0", "48.0", "48.0", "96.0"]);
    }

    #[test]
    fn every_kernel_runs_over_the_smallest_size_and_reports_a_time() {
        let mut current = None;
        for kernel in KERNELS {
            let ms = timed(&mut current, &format!("{} {ROW}", kernel.name)).unwrap();
            assert!(ms > 0.0, "{}", kernel.name);
        }
        assert!(timed(&mut current, "nothing 1024").is_err());
    }
}
