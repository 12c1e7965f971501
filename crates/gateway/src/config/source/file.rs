//! The file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, Table};

use crate::config::problem::{ConfigErrors, Place, Problem};

/// Characters of a value that messages show.
const SHOWN_CHARS_MAX: usize = 60;

/// A file that is valid TOML.
#[derive(Debug)]
pub(in crate::config) struct File {
    path: PathBuf,
    document: Document<String>,
}

impl File {
    pub(in crate::config) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigErrors> {
        let problem = |place, message: String| {
            ConfigErrors::from(Problem { place, key: String::new(), value: None, message })
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = line_of(bytes, error.valid_up_to());
            problem(Place::Line(path.to_owned(), line), "the file is not UTF-8 from here on".to_owned())
        })?;
        let document = Document::parse(text.to_owned()).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(bytes, span.start));
            let message = format!("the file is not valid TOML: {}", error.message().replace('\n', ", "));
            problem(Place::Line(path.to_owned(), line), message)
        })?;
        Ok(Self { path: path.to_owned(), document })
    }

    pub(super) fn root(&self) -> &Table {
        self.document.as_table()
    }

    /// The line in which a span begins.
    pub(super) fn place(&self, span: Option<Range<usize>>) -> Place {
        match span {
            Some(span) => Place::Line(self.path.clone(), line_of(self.document.raw().as_bytes(), span.start)),
            None => Place::File(self.path.clone()),
        }
    }

    /// A value as it is written, shortened.
    pub(super) fn shown(&self, item: &Item) -> String {
        let written = item.span().and_then(|span| self.document.raw().get(span)).unwrap_or("...");
        shorten(written.trim())
    }
}

/// At most [`SHOWN_CHARS_MAX`] characters of the first line.
pub(super) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.len() < text.len() => format!("{line}..."),
        None => line.to_owned(),
    }
}

/// The line of an offset, from 1.
fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
