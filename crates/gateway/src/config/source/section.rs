//! Reading the settings of one table.

use toml_edit::TableLike;

use super::input::input;
use super::{Given, Reader, file, guess};
use crate::config::kinds::{Input, Kind};
use crate::config::problem::{Place, Problem};

/// Reads the settings of one table.
pub(in crate::config) struct SectionReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    table: Option<&'a dyn TableLike>,
    environment_prefix: Option<&'static str>,
    given: Given,
    known: Vec<&'static str>,
}

// === impl SectionReader ===

impl<'r, 'a> SectionReader<'r, 'a> {
    pub(super) fn new(
        reader: &'r mut Reader<'a>,
        table: Option<&'a dyn TableLike>,
        environment_prefix: Option<&'static str>,
        given: Given,
        others: &[&'static str],
    ) -> Self {
        Self { reader, table, environment_prefix, given, known: others.to_vec() }
    }

    /// Reads a setting: from the environment, else from the file, else the default. Wrong values are reported wherever
    /// they are, also where they are overridden.
    pub(in crate::config) fn read<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        default: &str,
    ) -> K::Value {
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
        self.given.note(name, place, shown);
        let value = kind.read(input).ok();
        if value.is_none() {
            let problem = self.given.problem(name, format!("allowed is {}", kind.allowed()));
            self.reader.problems.push(problem);
        }
        value
    }

    /// Reports what no setting was read for, and says where the others were.
    pub(super) fn finish(self) -> Given {
        for (name, item) in self.table.into_iter().flat_map(TableLike::iter) {
            if self.known.contains(&name) {
                continue;
            }
            let span =
                self.table.and_then(|table| table.key(name)).and_then(toml_edit::Key::span).or(item.span());
            let guess = guess(name, self.known.iter().copied());
            self.reader.problems.push(Problem {
                place: self.reader.place(span),
                key: self.given.key(name),
                value: None,
                message: format!("there is no such setting{guess}"),
            });
        }
        self.given
    }
}
