//! One line on standard error that says how far a run is.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a file or a pipe gets a line; a terminal's is rewritten in place, more often.
const LINE_EVERY: Duration = Duration::from_secs(5);
const REWRITE_EVERY: Duration = Duration::from_millis(200);

/// Tells progress without flooding logs.
pub(crate) struct Progress {
    terminal: bool,
    told: Cell<Option<Instant>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), told: Cell::new(None) }
    }

    /// Says where the run is, unless it was said a moment ago.
    pub(crate) fn tell(&self, text: &str) {
        let every = if self.terminal { REWRITE_EVERY } else { LINE_EVERY };
        if self.told.get().is_some_and(|told| told.elapsed() < every) {
            return;
        }
        self.told.set(Some(Instant::now()));
        let mut out = io::stderr().lock();
        // Progress that can't be shown is no reason to end a run.
        let _ = if self.terminal { write!(out, "\r\x1b[2K  {text}") } else { writeln!(out, "  {text}") };
        let _ = out.flush();
    }

    /// Says that a new part begins, always.
    pub(crate) fn part(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let _ = writeln!(io::stderr().lock(), "{clear}{text}");
        self.told.set(Some(Instant::now()));
    }
}
