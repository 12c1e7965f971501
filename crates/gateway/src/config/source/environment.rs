//! The variables.

use std::collections::BTreeMap;

use super::guess;
use crate::config::problem::{Place, Problem};
use crate::config::{CONFIG_VARIABLE, apps, documented_sections};

/// What the name of every variable of ours begins with.
pub(in crate::config) const ENVIRONMENT_PREFIX: &str = "COURANT_";

/// What is ours and sets nothing here: where the file is, what the build notes, what the load generator tells its workers.
const OTHERS: [&str; 3] = [CONFIG_VARIABLE, "COURANT_REVISION", "COURANT_BENCH_"];

/// The variables that concern Courant.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Keeps what is ours. An empty variable counts as not set, because compose files and charts can't leave one out.
    pub(in crate::config) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_ours = |(name, value): &(String, String)| {
            name.starts_with(ENVIRONMENT_PREFIX)
                && !value.is_empty()
                && !OTHERS.iter().any(|other| name.starts_with(other))
                && !is_service_link(name, value)
        };
        Self(variables.into_iter().filter(is_ours).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn has(&self, prefix: &str) -> bool {
        self.0.keys().any(|name| name.starts_with(prefix))
    }

    /// A problem for each variable that sets nothing.
    pub(super) fn unknown(&self) -> Vec<Problem> {
        let sections = documented_sections().into_iter().chain(apps::documented());
        let known: Vec<String> = sections
            .flat_map(|section| {
                let prefix = section.environment_prefix;
                section.settings.into_iter().map(move |setting| setting.variable(prefix)).collect::<Vec<_>>()
            })
            .collect();
        let unknown = self.0.keys().filter(|name| !known.contains(name));
        let problem = |name: &String| Problem {
            place: Place::Variable(name.clone()),
            key: String::new(),
            value: None,
            message: format!("no setting has this variable{}", guess(name, known.iter().map(String::as_str))),
        };
        unknown.map(problem).collect()
    }
}

/// Whether Kubernetes made the variable, for a service whose name begins with `courant`: it sets `COURANT_SERVICE_HOST`,
/// `COURANT_PORT`, `COURANT_PORT_6001_TCP_ADDR` and the like in every pod of the namespace.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port_detail = name.split_once("_PORT_").is_some_and(|(_, detail)| {
        let mut words = detail.split('_');
        words.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || is_port_detail
        || (name.ends_with("_PORT") && value.contains("://"))
}
