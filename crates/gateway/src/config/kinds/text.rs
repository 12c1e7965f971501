//! Texts, paths, addresses, choices.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Input, Kind, NotAllowed, quoted};

/// A text that fulfils a condition.
pub(in crate::config) struct CheckedTextKind {
    pub(super) allowed: &'static str,
    pub(super) is_allowed: fn(&str) -> bool,
}

/// A text that is not shown.
pub(in crate::config) struct SecretKind;

/// A path; whether something is there is found out when it is used.
pub(in crate::config) struct PathKind;

/// An address with a port.
pub(in crate::config) struct AddressKind;

/// An enum whose variants have names.
pub(in crate::config) trait Choice: Copy + 'static {
    /// All variants with their names.
    const ALL: &'static [(&'static str, Self)];
}

/// One of the variants of an enum.
pub(in crate::config) struct ChoiceKind<C>(PhantomData<C>);

fn any_text(input: &Input) -> Result<&str, NotAllowed> {
    match input {
        Input::Text(text) | Input::Untyped(text) => Ok(text),
        _ => Err(NotAllowed),
    }
}

// === impl CheckedTextKind ===

impl Kind for CheckedTextKind {
    type Value = String;

    fn read(&self, input: &Input) -> Result<String, NotAllowed> {
        let text = any_text(input)?;
        if (self.is_allowed)(text) { Ok(text.to_owned()) } else { Err(NotAllowed) }
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }
}

// === impl SecretKind ===

impl Kind for SecretKind {
    type Value = String;

    fn read(&self, input: &Input) -> Result<String, NotAllowed> {
        any_text(input).map(str::to_owned)
    }

    fn allowed(&self) -> String {
        "a text".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }

    fn is_secret(&self) -> bool {
        true
    }
}

// === impl PathKind ===

impl Kind for PathKind {
    type Value = PathBuf;

    fn read(&self, input: &Input) -> Result<PathBuf, NotAllowed> {
        let text = any_text(input)?;
        // A NUL ends a path for the operating system, which would then open another file.
        if text.is_empty() || text.contains('\0') { Err(NotAllowed) } else { Ok(PathBuf::from(text)) }
    }

    fn allowed(&self) -> String {
        "a path".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }
}

// === impl AddressKind ===

impl Kind for AddressKind {
    type Value = SocketAddr;

    fn read(&self, input: &Input) -> Result<SocketAddr, NotAllowed> {
        any_text(input)?.trim().parse().map_err(|_| NotAllowed)
    }

    fn allowed(&self) -> String {
        "an IP address with a port, such as \"127.0.0.1:6001\" or \"[::]:6001\"".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }
}

// === impl ChoiceKind ===

impl<C> ChoiceKind<C> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<C: Choice> Kind for ChoiceKind<C> {
    type Value = C;

    fn read(&self, input: &Input) -> Result<C, NotAllowed> {
        let text = any_text(input)?;
        let choice = C::ALL.iter().find(|(name, _)| *name == text);
        choice.map(|&(_, choice)| choice).ok_or(NotAllowed)
    }

    fn allowed(&self) -> String {
        let names: Vec<String> = C::ALL.iter().map(|(name, _)| quoted(name)).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            _ => names.concat(),
        }
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }
}
