//! The configuration: defaults, then a TOML file, then the environment.
//!
//! Each setting is declared once, in `sections` or `apps`: its name, type, default, allowed values and what it does.
//! The parser, the messages, `docs/configuration.md` and `courant.example.toml` all come from that declaration.
//!
//! Nothing is fixed silently: an unknown key or variable, a value out of its range, or two settings that contradict each
//! other make the start fail, and all problems are reported at once.

mod apps;
mod checks;
mod kinds;
mod problem;
mod reference;
mod sections;
mod settings;
mod source;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use courant_auth::Apps;

pub use problem::{ConfigErrors, Place, Problem};
pub use reference::{example_toml, reference_markdown};
pub use sections::{
    Compatibility, Drain, Limits, Liveness, Log, LogFormat, Metrics, ProxyProtocol, Server, Trace, Webhooks,
};

use settings::Section;
use source::{Environment, File, Reader};

#[cfg(test)]
mod tests;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[liveness]`
    pub liveness: Liveness,
    /// `[drain]`
    pub drain: Drain,
    /// `[webhooks]`
    pub webhooks: Webhooks,
    /// `[log]`
    pub log: Log,
    /// `[trace]`
    pub trace: Trace,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[compatibility]`
    pub compatibility: Compatibility,
    /// `[[apps]]`, or the development application where there are none.
    pub apps: Arc<Apps>,
    /// Whether [`Config::apps`] is the development application.
    pub is_development: bool,
}

/// The configuration file's path as the environment gives it; `--config` comes first.
pub const CONFIG_VARIABLE: &str = "COURANT_CONFIG";

/// Credentials that everybody knows: what a server without any application starts with, on loopback only.
pub mod development {
    /// The application's id.
    pub const APP_ID: &str = "1001";
    /// Its key.
    pub const KEY: &str = "courant-key";
    /// Its secret.
    pub const SECRET: &str = "courant-secret";
}

/// Reads a file that a setting names, such as `secret_file`.
type ReadFile<'a> = &'a dyn Fn(&Path) -> std::io::Result<String>;

impl Config {
    /// Reads the file, if a path is given, and applies the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let read_file: ReadFile<'_> = &|path| std::fs::read_to_string(path);
        let Some(path) = path else { return Self::parse(None, environment, read_file) };
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(Some((path, &bytes)), environment, read_file),
            Err(error) => Err(ConfigErrors::from(Problem::unreadable(path, &error))),
        }
    }

    /// The same without touching the disk: `file` is the path, for messages, and the content. Total for any bytes.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn parse(
        file: Option<(&Path, &[u8])>,
        environment: impl IntoIterator<Item = (String, String)>,
        read_file: ReadFile<'_>,
    ) -> Result<Self, ConfigErrors> {
        let file = file.map(|(path, bytes)| File::parse(path, bytes)).transpose()?;
        let environment = Environment::new(environment);
        let mut reader = Reader::new(file.as_ref(), &environment, read_file);

        let server = reader.section::<Server>();
        let limits = reader.section::<Limits>();
        let liveness = reader.section::<Liveness>();
        let drain = reader.section::<Drain>();
        let webhooks = reader.section::<Webhooks>();
        let log = reader.section::<Log>();
        let trace = reader.section::<Trace>();
        let metrics = reader.section::<Metrics>();
        let compatibility = reader.section::<Compatibility>();
        let declared = apps::read(&mut reader);
        reader.report_unknown();

        checks::server(&server, &mut reader);
        checks::limits(&limits, &mut reader);
        checks::times(&liveness, &drain, &webhooks, &mut reader);
        checks::apps(&declared, &limits, &mut reader);
        let (apps, is_development) = apps::build(&declared, &server, &mut reader);

        reader.finish()?;
        Ok(Self {
            server,
            limits,
            liveness,
            drain,
            webhooks,
            log,
            trace,
            metrics,
            compatibility,
            apps: Arc::new(apps),
            is_development,
        })
    }
}

/// The variables of this process that concern Courant, and the path of the file if they name one.
///
/// Values that are not UTF-8 keep what is readable of them, and then fail as values do.
pub fn process_environment() -> (Option<PathBuf>, Vec<(String, String)>) {
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let ours = variables.filter(|(name, _)| name.starts_with(source::ENVIRONMENT_PREFIX)).collect();
    (std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from), ours)
}

/// Every section but the applications, in the order of the documents.
fn documented_sections() -> Vec<settings::Documented> {
    vec![
        Server::documented(),
        Limits::documented(),
        Liveness::documented(),
        Drain::documented(),
        Webhooks::documented(),
        Log::documented(),
        Trace::documented(),
        Metrics::documented(),
        Compatibility::documented(),
    ]
}
