//! Where log lines go, and in which form.

use std::io::{IsTerminal, stderr};
use std::str::FromStr;

use tracing::Subscriber;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::TelemetryError;
use crate::trace::SPAN_TARGET;

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level, or directives by module: `info`, `warn,courant=debug`.
    pub filter: String,
    /// The form of a line.
    pub format: Format,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: one line each, in colour on a terminal unless `NO_COLOR` is set.
    Pretty,
    /// For machines: one JSON object each, its fields at the top level.
    Json,
    /// `Pretty` on a terminal, else `Json`.
    #[default]
    Auto,
}

// === impl LogSettings ===

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: Format::Auto }
    }
}

impl LogSettings {
    /// Checks the filter without starting anything.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Filter`], with the part that can't be read.
    pub fn check(&self) -> Result<(), TelemetryError> {
        self.filter().map(drop)
    }

    /// The layer that writes to the standard error, which is never part of a command's result.
    pub(crate) fn layer<W>(&self, writer: W) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let filter = self.filter()?;
        Ok(if self.format.is_json() {
            json(writer).with_filter(filter).boxed()
        } else {
            pretty(writer, stderr().is_terminal()).with_filter(filter).boxed()
        })
    }

    /// Spans for tracing are kept out of the log whatever the filter says: they would cost each publish
    /// something even where nothing is exported.
    fn filter(&self) -> Result<EnvFilter, TelemetryError> {
        let refused = |error: &dyn ToString| TelemetryError::Filter {
            filter: self.filter.clone(),
            reason: error.to_string(),
        };
        let no_spans = format!("{SPAN_TARGET}=off").parse().map_err(|error| refused(&error))?;
        let filter = EnvFilter::try_new(&self.filter).map_err(|error| refused(&error))?;
        Ok(filter.add_directive(no_spans))
    }
}

fn pretty<S, W>(writer: W, terminal: bool) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    fmt::layer().with_writer(writer).with_ansi(colour)
}

fn json<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fmt::layer().with_writer(writer).json().flatten_event(true).with_current_span(false).with_span_list(false)
}

// === impl Format ===

impl Format {
    /// Whether lines are JSON, as things are.
    pub fn is_json(self) -> bool {
        match self {
            Self::Pretty => false,
            Self::Json => true,
            Self::Auto => !stderr().is_terminal(),
        }
    }
}

impl FromStr for Format {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pretty" => Ok(Self::Pretty),
            "json" => Ok(Self::Json),
            "auto" => Ok(Self::Auto),
            _ => Err(TelemetryError::Format { format: text.to_owned() }),
        }
    }
}
