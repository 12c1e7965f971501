//! What is wrong with a configuration, and where.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// Where a value was given. The order is that of reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File(PathBuf),
    /// A line of the file, counted from 1.
    Line(PathBuf, usize),
    /// A variable.
    Variable(String),
    /// Nowhere: it is missing, or the default.
    Nowhere,
}

/// Characters that are shown of the name of a setting or variable, which may be any text.
const NAME_CHARS_MAX: usize = 100;

/// Characters that are shown of a message. None of ours is so long, but some quote what was given.
const MESSAGE_CHARS_MAX: usize = 600;

/// A text with control characters escaped, because they would break the line or steer the terminal, and no longer than so
/// many characters.
struct Printable<'a>(&'a str, usize);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The setting, as `section.key`; empty where it is about none.
    pub key: String,
    /// The value as it was given; `None` where there is none to show, and always for secrets.
    pub value: Option<String>,
    /// What is wrong with it or what is allowed.
    pub message: String,
}

/// Everything that is wrong: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

// === impl Problem ===

impl Problem {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self {
            place: Place::File(path.to_owned()),
            key: String::new(),
            value: None,
            message: format!("the configuration can't be read: {error}"),
        }
    }
}

/// One line, whatever names and values hold.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(path, line) => write!(f, "{}:{line}: ", path.display())?,
            Place::File(path) => write!(f, "{}: ", path.display())?,
            Place::Variable(name) => write!(f, "{}: ", Printable(name, NAME_CHARS_MAX))?,
            Place::Nowhere => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}", Printable(&self.key, NAME_CHARS_MAX))?;
            if let Some(value) = &self.value {
                write!(f, " = {}", Printable(value, NAME_CHARS_MAX))?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", Printable(&self.message, MESSAGE_CHARS_MAX))
    }
}

// === impl Printable ===

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self(text, chars_max) = self;
        let mut chars_left = chars_max;
        for character in text.chars() {
            let escaped = character.is_control().then(|| character.escape_default());
            let chars = escaped.as_ref().map_or(1, ExactSizeIterator::len);
            let Some(left) = chars_left.checked_sub(chars) else { return f.write_str("...") };
            chars_left = left;
            match escaped {
                Some(escaped) => write!(f, "{escaped}")?,
                None => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// `None` where there is no problem.
    pub(super) fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Each problem.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
