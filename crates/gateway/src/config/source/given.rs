//! Where settings were given.

use std::collections::HashMap;

use crate::config::problem::{Place, Problem};

/// Where the settings of a section were given, so that a later check can name the place.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Given {
    section: String,
    settings: HashMap<&'static str, (Place, Option<String>)>,
    place: Option<Place>,
}

// === impl Given ===

impl Given {
    /// Nothing yet, of a section and the table that it is.
    pub(super) fn new(section: String, place: Option<Place>) -> Self {
        Self { section, settings: HashMap::new(), place }
    }

    /// Notes a setting: where it is, and its value if that may be shown.
    pub(super) fn note(&mut self, setting: &'static str, place: Place, shown: Option<String>) {
        self.settings.insert(setting, (place, shown));
    }

    /// A problem with a setting, at the place where it was given, or else where its table is.
    pub(in crate::config) fn problem(&self, setting: &str, message: impl Into<String>) -> Problem {
        let (place, value) = match self.settings.get(setting) {
            Some((place, value)) => (place.clone(), value.clone()),
            None => (self.place.clone().unwrap_or(Place::Nowhere), None),
        };
        Problem { place, key: self.key(setting), value, message: message.into() }
    }

    /// A problem with a setting that contradicts another one. Where it was left at its default, the place is that of the
    /// other one, which needs it to be changed.
    pub(in crate::config) fn contradiction(
        &self,
        setting: &str,
        other: &str,
        message: impl Into<String>,
    ) -> Problem {
        let problem = self.problem(setting, message);
        match self.settings.get(other) {
            Some((place, _)) if !self.has(setting) => Problem { place: place.clone(), ..problem },
            _ => problem,
        }
    }

    /// Whether the setting was given, rather than left at its default.
    pub(in crate::config) fn has(&self, setting: &str) -> bool {
        self.settings.contains_key(setting)
    }

    /// The setting's name with its section's.
    pub(super) fn key(&self, setting: &str) -> String {
        format!("{}.{setting}", self.section)
    }
}
