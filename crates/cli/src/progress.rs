//! Owns showing a download: bars on a terminal, a line per file elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressStyle};
use olivine_lm::{HubModel, Notice, PlannedFile, Progress};

use crate::error::say;
use crate::interrupt::Interrupt;

const BAR: &str = "{msg:26!} {wide_bar} {decimal_bytes:>9}/{decimal_total_bytes:<9} {decimal_bytes_per_sec:>11} {eta:>4}";

/// Shows the download of one model on standard error.
pub(crate) struct Download<'a> {
    model: &'a HubModel,
    interrupt: &'a Interrupt,
    /// Absent where standard error is no terminal.
    bars: Option<MultiProgress>,
    files: Mutex<BTreeMap<String, Line>>,
    total: Mutex<Option<ProgressBar>>,
}

/// What is shown of one file.
struct Line {
    size: u64,
    position: u64,
    bar: Option<ProgressBar>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(model: &'a HubModel, interrupt: &'a Interrupt) -> Self {
        Self {
            model,
            interrupt,
            bars: std::io::stderr().is_terminal().then(MultiProgress::new),
            files: Mutex::default(),
            total: Mutex::default(),
        }
    }

    /// Takes the bars away, so that what is printed next stands where they were.
    pub(crate) fn end(&self) {
        if let Some(bars) = &self.bars {
            bars.clear().ok();
        }
    }

    fn say(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| say(line)),
            None => say(line),
        }
    }
}

impl Progress for Download<'_> {
    fn begin(&self, files: &[PlannedFile]) {
        let size: u64 = files.iter().map(|file| file.size).sum();
        let present: u64 = files.iter().map(|file| file.present).sum();
        if files.is_empty() {
            return;
        }
        let there = match present {
            0 => String::new(),
            bytes => format!(", {} of it here already", DecimalBytes(bytes)),
        };
        self.say(&format!(
            "downloading {}: {} file{}, {}{there}",
            self.model,
            files.len(),
            if files.len() == 1 { "" } else { "s" },
            DecimalBytes(size),
        ));
        *lock(&self.files) = files
            .iter()
            .map(|file| {
                let line = Line {
                    size: file.size,
                    position: file.present,
                    bar: None,
                };
                (file.name.clone(), line)
            })
            .collect();
        if let Some(bars) = &self.bars
            && files.len() > 1
        {
            let bar = bars.add(bar("all files", size, present));
            *lock(&self.total) = Some(bar);
        }
    }

    fn position(&self, file: &str, bytes: u64) {
        let mut files = lock(&self.files);
        // What was in the cache before is not shown.
        let Some(line) = files.get_mut(file) else {
            return;
        };
        line.position = bytes;
        if let Some(bars) = &self.bars {
            let total = lock(&self.total);
            let size = line.size;
            let bar = line.bar.get_or_insert_with(|| match &*total {
                Some(total) => bars.insert_before(total, bar(file, size, bytes)),
                None => bars.add(bar(file, size, bytes)),
            });
            bar.set_position(bytes);
            if let Some(total) = &*total {
                total.set_position(files.values().map(|line| line.position).sum());
            }
        }
    }

    fn finished(&self, file: &str) {
        let mut files = lock(&self.files);
        let Some(line) = files.get_mut(file) else {
            return;
        };
        match line.bar.take() {
            Some(bar) => bar.finish_and_clear(),
            None => say(&format!("{file}: {}", DecimalBytes(line.size))),
        }
    }

    fn notice(&self, notice: &Notice) {
        self.say(&format!("note: {notice}"));
    }

    fn cancelled(&self) -> bool {
        self.interrupt.pressed()
    }
}

/// A bar whose speed and remaining time count only what comes from now on.
fn bar(name: &str, size: u64, position: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).expect("the template is well-formed");
    ProgressBar::new(size)
        .with_style(style)
        .with_message(name.to_owned())
        .with_position(position)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_say_bytes_speed_and_time() {
        let bar = bar("model.safetensors", 2_000_000, 1_000_000);
        assert_eq!((bar.length(), bar.position()), (Some(2_000_000), 1_000_000));
        assert_eq!(bar.message(), "model.safetensors");
    }
}
