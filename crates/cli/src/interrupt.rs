//! Owns Ctrl-C: the first press asks the work to end cleanly, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::CliError;

/// Whether Ctrl-C was pressed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts watching; call once per process.
    pub(crate) fn watch() -> Result<Self, CliError> {
        let interrupt = Self::default();
        let seen = interrupt.clone();
        ctrlc::set_handler(move || {
            if seen.press() {
                std::process::exit(130);
            }
        })
        .map_err(CliError::Interrupt)?;
        Ok(interrupt)
    }

    /// Notes one press; true when it is not the first.
    pub(crate) fn press(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Forgets earlier presses, where each ends only a part of the work.
    pub(crate) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
