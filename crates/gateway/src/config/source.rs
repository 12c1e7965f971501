//! Reading sections out of the file and the environment.

mod environment;
mod file;
mod given;
mod input;
mod section;

use std::collections::HashMap;
use std::path::Path;

use toml_edit::TableLike;

use super::problem::{ConfigErrors, Place, Problem};
use super::settings::Section;
use super::{ReadFile, documented_sections};

pub(super) use environment::{ENVIRONMENT_PREFIX, Environment};
pub(super) use file::File;
pub(super) use given::Given;
pub(super) use section::SectionReader;

/// Reads everything and collects what is wrong.
pub(super) struct Reader<'a> {
    file: Option<&'a File>,
    environment: &'a Environment,
    read_file: ReadFile<'a>,
    given: HashMap<&'static str, Given>,
    problems: Vec<Problem>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(file: Option<&'a File>, environment: &'a Environment, read_file: ReadFile<'a>) -> Self {
        Self { file, environment, read_file, given: HashMap::new(), problems: Vec::new() }
    }

    /// Reads a table that is there once.
    pub(super) fn section<S: Section>(&mut self) -> S {
        let item = self.file.and_then(|file| file.root().get_key_value(S::NAME));
        let table = item.and_then(|(_, item)| item.as_table_like());
        if let (Some((key, item)), None) = (item, table) {
            self.problems.push(Problem {
                place: self.place(key.span().or(item.span())),
                key: S::NAME.to_owned(),
                value: None,
                message: format!("it must be a table, written [{}]", S::NAME),
            });
        }
        let place = item.map(|(key, _)| self.place(key.span()));
        let (section, given) = self.table(S::NAME.to_owned(), place, table, true, &[]);
        self.given.insert(S::NAME, given);
        section
    }

    /// Reads a table wherever it is. Keys in `others` are left to the caller.
    pub(super) fn table<S: Section>(
        &mut self,
        name: String,
        place: Option<Place>,
        table: Option<&'a dyn TableLike>,
        with_environment: bool,
        others: &[&'static str],
    ) -> (S, Given) {
        let prefix = with_environment.then_some(S::ENVIRONMENT_PREFIX);
        let mut section = SectionReader::new(self, table, prefix, Given::new(name, place), others);
        let value = S::read(&mut section);
        (value, section.finish())
    }

    /// The tables of a list of tables, each with its place.
    pub(super) fn tables(
        &mut self,
        table: Option<&'a dyn TableLike>,
        name: &'static str,
        section: &str,
    ) -> Vec<(Place, &'a dyn TableLike)> {
        let Some((key, item)) = table.and_then(|table| table.get_key_value(name)) else { return Vec::new() };
        if let Some(tables) = item.as_array_of_tables() {
            return tables.iter().map(|table| (self.place(table.span()), table as &dyn TableLike)).collect();
        }
        let inline = item.as_array().map(|array| {
            let table = |value: &'a toml_edit::Value| value.as_inline_table();
            array.iter().map(table).collect::<Option<Vec<_>>>()
        });
        if let Some(Some(tables)) = inline {
            return tables
                .into_iter()
                .map(|table| (self.place(table.span()), table as &dyn TableLike))
                .collect();
        }
        self.problems.push(Problem {
            place: self.place(key.span()),
            key: section.to_owned(),
            value: None,
            message: format!("it must be a list of tables, each written [[{section}]]"),
        });
        Vec::new()
    }

    /// The root of the file.
    pub(super) fn root(&self) -> Option<&'a dyn TableLike> {
        self.file.map(|file| file.root() as &dyn TableLike)
    }

    /// Whether a variable is set that begins so.
    pub(super) fn environment_has(&self, prefix: &str) -> bool {
        self.environment.has(prefix)
    }

    /// The content of a file that a setting names, without the line end that editors add.
    pub(super) fn read_secret(&self, path: &Path) -> std::io::Result<String> {
        let content = (self.read_file)(path)?;
        let content = content.strip_suffix('\n').unwrap_or(&content);
        Ok(content.strip_suffix('\r').unwrap_or(content).to_owned())
    }

    /// Reports tables and variables that are none of ours.
    pub(super) fn report_unknown(&mut self) {
        let sections = documented_sections();
        let mut names: Vec<&str> = sections.iter().map(|section| section.name).collect();
        names.push("apps");
        for (name, _) in self.file.into_iter().flat_map(|file| file.root().iter()) {
            if names.contains(&name) {
                continue;
            }
            let span = self.file.and_then(|file| file.root().key(name)).and_then(toml_edit::Key::span);
            let guess = guess(name, names.iter().copied());
            self.problems.push(Problem {
                place: self.place(span),
                key: name.to_owned(),
                value: None,
                message: format!("there is no such table{guess}"),
            });
        }
        self.problems.extend(self.environment.unknown());
    }

    /// Reports something about a setting of a section.
    pub(super) fn report(
        &mut self,
        section: &'static str,
        setting: &'static str,
        message: impl Into<String>,
    ) {
        let given = self.given.get(section).cloned().unwrap_or_default();
        self.problems.push(given.problem(setting, message));
    }

    /// Reports that a setting of a section contradicts another one of it.
    pub(super) fn report_contradiction(
        &mut self,
        section: &'static str,
        setting: &'static str,
        other: &'static str,
        message: impl Into<String>,
    ) {
        let given = self.given.get(section).cloned().unwrap_or_default();
        self.problems.push(given.contradiction(setting, other, message));
    }

    /// Adds a problem.
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Fails if anything was wrong.
    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        match ConfigErrors::new(self.problems) {
            Some(errors) => Err(errors),
            None => Ok(()),
        }
    }

    fn place(&self, span: Option<std::ops::Range<usize>>) -> Place {
        self.file.map_or(Place::Nowhere, |file| file.place(span))
    }
}

/// `; did you mean x?` if one of the names is near, else nothing.
fn guess<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> String {
    const SIMILARITY_MIN: f64 = 0.8;
    let similar = names.map(|name| (strsim::jaro_winkler(wrong, name), name));
    let nearest = similar.max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILARITY_MIN => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}
