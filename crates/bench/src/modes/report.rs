//! The report: a table for people as it grows, JSON for programs at the end.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use serde::Serialize;
use serde_json::{Map, Value};

use super::write_file;
use crate::args::CommonArgs;
use crate::latency::Quantiles;
use crate::proc::Machine;

/// A result that can be shown as a table.
pub(super) trait Table: Serialize {
    /// Name and value of each row.
    fn rows(&self) -> Vec<(&'static str, String)>;
}

/// Everything a run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    tool: &'static str,
    version: &'static str,
    label: String,
    url: String,
    arguments: Vec<String>,
    started_unix_s: u64,
    machine: Machine,
    results: Map<String, Value>,
    /// What was wrong with the server: each fails the run.
    failures: Vec<String>,
    /// What may have shaped the figures.
    notes: Vec<String>,
}

impl Report {
    /// The report of a run that begins now.
    pub(crate) fn new(common: &CommonArgs) -> Self {
        Self {
            tool: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            label: common.label.clone(),
            url: common.url.clone(),
            arguments: arguments_without_secret(std::env::args().skip(1)),
            started_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            machine: Machine::describe(),
            results: Map::new(),
            failures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a result and prints its table.
    ///
    /// # Errors
    /// Never, unless a result can't be written as JSON, which would be a defect.
    pub(super) fn add(&mut self, name: &str, title: &str, result: &impl Table) -> anyhow::Result<()> {
        self.results.insert(name.to_owned(), serde_json::to_value(result)?);
        println!("\n{} · {title}", self.label);
        let rows = result.rows();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in rows {
            println!("  {name:<width$}  {value}");
        }
        Ok(())
    }

    /// Records that the server did something wrong.
    pub(super) fn fail(&mut self, failures: impl IntoIterator<Item = String>) {
        self.failures.extend(failures);
    }

    /// Records what may have shaped the figures, once.
    pub(super) fn note(&mut self, notes: impl IntoIterator<Item = String>) {
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Prints notes and failures, writes the JSON file, and fails if the server did.
    ///
    /// # Errors
    /// If there were failures that are not allowed, or the file can't be written.
    pub(crate) fn conclude(&self, common: &CommonArgs) -> anyhow::Result<()> {
        for note in &self.notes {
            println!("\nnote: {note}");
        }
        if let Some(path) = &common.json {
            write_file(path, &(serde_json::to_string_pretty(self)? + "\n"))?;
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        let failures = self.failures.join("; ");
        if common.allow_loss {
            println!("\nallowed: {failures}");
            return Ok(());
        }
        bail!("the run failed: {failures}");
    }
}

/// A latency distribution in one cell.
pub(super) fn latency_cell(of: &Quantiles) -> String {
    format!(
        "p50 {:.2}  p90 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.2} ms",
        of.p50_ms, of.p90_ms, of.p99_ms, of.p999_ms, of.max_ms
    )
}

/// The command line, fit to be shown.
fn arguments_without_secret(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_secret = false;
    arguments
        .map(|argument| {
            let shown = match argument.split_once('=') {
                _ if is_secret => "...".to_owned(),
                Some(("--secret", _)) => "--secret=...".to_owned(),
                _ => argument.clone(),
            };
            is_secret = argument == "--secret";
            shown
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_reported() {
        let arguments = ["fanout", "--secret", "s1", "--secret=s2", "--key", "k"].map(str::to_owned);
        let shown = arguments_without_secret(arguments.into_iter());
        assert_eq!(shown, ["fanout", "--secret", "...", "--secret=...", "--key", "k"]);
    }
}
