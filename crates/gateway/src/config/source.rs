//! Reading sections out of the file and the environment.

mod environment;
mod file;

use std::collections::HashMap;
use std::path::Path;

use toml_edit::{Item, TableLike};

use super::kinds::{Input, Kind};
use super::problem::{ConfigErrors, Place, Problem};
use super::settings::Section;
use super::{ReadFile, documented_sections};

pub(super) use environment::{ENVIRONMENT_PREFIX, Environment};
pub(super) use file::File;

/// Reads everything and collects what is wrong.
pub(super) struct Reader<'a> {
    file: Option<&'a File>,
    environment: &'a Environment,
    read_file: ReadFile<'a>,
    given: HashMap<&'static str, Given>,
    problems: Vec<Problem>,
}

/// Where the settings of a section were given, so that a later check can name the place.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    section: String,
    settings: HashMap<&'static str, (Place, Option<String>)>,
    place: Option<Place>,
}

/// Reads the settings of one table.
pub(super) struct SectionReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    table: Option<&'a dyn TableLike>,
    environment_prefix: Option<&'static str>,
    given: Given,
    known: Vec<&'static str>,
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
        let mut section = SectionReader {
            reader: self,
            table,
            environment_prefix: with_environment.then_some(S::ENVIRONMENT_PREFIX),
            given: Given { section: name, settings: HashMap::new(), place },
            known: others.to_vec(),
        };
        let value = S::read(&mut section);
        section.report_unknown();
        (value, section.given)
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
        let problem = match self.given.get(section) {
            Some(given) => given.problem(setting, message),
            None => Given::default().problem(setting, message),
        };
        self.problems.push(problem);
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

// === impl Given ===

impl Given {
    /// A problem with a setting, at the place where it was given, or else where its table is.
    pub(super) fn problem(&self, setting: &str, message: impl Into<String>) -> Problem {
        let (place, value) = match self.settings.get(setting) {
            Some((place, value)) => (place.clone(), value.clone()),
            None => (self.place.clone().unwrap_or(Place::Nowhere), None),
        };
        Problem { place, key: format!("{}.{setting}", self.section), value, message: message.into() }
    }

    /// Whether the setting was given, rather than left at its default.
    pub(super) fn has(&self, setting: &str) -> bool {
        self.settings.contains_key(setting)
    }
}

// === impl SectionReader ===

impl SectionReader<'_, '_> {
    /// Reads a setting: from the environment, else from the file, else the default. Wrong values are reported wherever
    /// they are, also where they are overridden.
    pub(super) fn read<K: Kind>(&mut self, name: &'static str, kind: &K, default: &str) -> K::Value {
        self.known.push(name);
        let from_file = self.read_file(name, kind);
        let from_environment = self.read_environment(name, kind);
        from_environment.or(from_file).unwrap_or_else(|| {
            let default = Input::Untyped(default.to_owned());
            kind.read(&default).unwrap_or_else(|_| unreachable!("the default of {name} is not allowed"))
        })
    }

    fn read_file<K: Kind>(&mut self, name: &'static str, kind: &K) -> Option<K::Value> {
        let (key, item) = self.table?.get_key_value(name)?;
        let file = self.reader.file?;
        let place = file.place(key.span().or(item.span()));
        let shown = (!kind.is_secret()).then(|| file.shown(item));
        self.accept(name, place, shown, kind, &input(item))
    }

    fn read_environment<K: Kind>(&mut self, name: &'static str, kind: &K) -> Option<K::Value> {
        let variable = format!("{}{}", self.environment_prefix?, name.to_uppercase());
        let text = self.reader.environment.get(&variable)?;
        let shown = (!kind.is_secret()).then(|| file::shorten(&format!("{text:?}")));
        let input = Input::Untyped(text.to_owned());
        self.accept(name, Place::Variable(variable), shown, kind, &input)
    }

    fn accept<K: Kind>(
        &mut self,
        name: &'static str,
        place: Place,
        shown: Option<String>,
        kind: &K,
        input: &Input,
    ) -> Option<K::Value> {
        self.given.settings.insert(name, (place, shown));
        let value = kind.read(input).ok();
        if value.is_none() {
            let problem = self.given.problem(name, format!("allowed is {}", kind.allowed()));
            self.reader.problems.push(problem);
        }
        value
    }

    fn report_unknown(&mut self) {
        let Some(table) = self.table else { return };
        for (name, item) in table.iter() {
            if self.known.contains(&name) {
                continue;
            }
            let span = table.key(name).and_then(toml_edit::Key::span).or(item.span());
            let guess = guess(name, self.known.iter().copied());
            self.reader.problems.push(Problem {
                place: self.reader.place(span),
                key: format!("{}.{name}", self.given.section),
                value: None,
                message: format!("there is no such setting{guess}"),
            });
        }
    }
}

/// What a TOML value says.
fn input(item: &Item) -> Input {
    match item {
        Item::Value(value) => value_input(value),
        Item::Table(table) => Input::Table(table.iter().map(|(k, v)| (k.to_owned(), input(v))).collect()),
        Item::None | Item::ArrayOfTables(_) => Input::Other,
    }
}

fn value_input(value: &toml_edit::Value) -> Input {
    use toml_edit::Value;
    match value {
        Value::String(text) => Input::Text(text.value().clone()),
        Value::Integer(number) => Input::Integer(*number.value()),
        Value::Float(number) => Input::Float(*number.value()),
        Value::Boolean(on) => Input::Switch(*on.value()),
        Value::Array(array) => Input::List(array.iter().map(value_input).collect()),
        Value::InlineTable(table) => {
            Input::Table(table.iter().map(|(k, v)| (k.to_owned(), value_input(v))).collect())
        }
        Value::Datetime(_) => Input::Other,
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
