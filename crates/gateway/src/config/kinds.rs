//! The kinds of values that a setting has: how one is read, what is allowed, and how a default is written in TOML.

mod list;
mod number;
mod text;

pub(super) use list::{AddressesKind, HeadersKind, NetworksKind, TextsKind};
pub(super) use number::{CountKind, Integer, OptionalKind, RatioKind, SizeKind, SwitchKind, TimeKind};
pub(super) use text::{AddressKind, CheckedTextKind, Choice, ChoiceKind, PathKind, SecretKind};

#[cfg(test)]
mod tests;

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Input {
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// `true` or `false`.
    Switch(bool),
    /// A text that was written as one.
    Text(String),
    /// A text from the environment, which has no types: it may stand for any kind.
    Untyped(String),
    /// A list.
    List(Vec<Input>),
    /// A table.
    Table(Vec<(String, Input)>),
    /// Something no setting is: a date.
    Other,
}

/// A value is not of the kind; what is allowed is said by the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAllowed;

/// A kind of values.
pub(super) trait Kind {
    /// What a setting of this kind becomes.
    type Value;

    /// Reads a value.
    fn read(&self, input: &Input) -> Result<Self::Value, NotAllowed>;

    /// Which values are allowed, as a noun phrase.
    fn allowed(&self) -> String;

    /// An untyped value as TOML.
    fn toml(&self, untyped: &str) -> String;

    /// Whether the value must not be shown.
    fn is_secret(&self) -> bool {
        false
    }
}

/// A whole number in a range.
pub(super) const fn count<T: Integer>(min: i64, max: i64) -> CountKind<T> {
    CountKind::new(min, max)
}

/// A number of bytes in a range, such as `"64KiB"`.
pub(super) const fn size(min: &'static str, max: &'static str) -> SizeKind {
    SizeKind { min, max }
}

/// A length of time in a range, such as `"10s"`.
pub(super) const fn time(min: &'static str, max: &'static str) -> TimeKind {
    TimeKind { min, max }
}

/// `true` or `false`.
pub(super) const fn switch() -> SwitchKind {
    SwitchKind
}

/// A number from 0 to 1.
pub(super) const fn ratio() -> RatioKind {
    RatioKind
}

/// Another kind, or this value for "none".
pub(super) const fn or_none<K>(none: &'static str, kind: K) -> OptionalKind<K> {
    OptionalKind { none, kind }
}

/// Any text.
pub(super) const fn text(allowed: &'static str) -> CheckedTextKind {
    CheckedTextKind { allowed, is_allowed: |_| true }
}

/// A text that fulfils a condition.
pub(super) const fn text_where(allowed: &'static str, is_allowed: fn(&str) -> bool) -> CheckedTextKind {
    CheckedTextKind { allowed, is_allowed }
}

/// A text that is not shown.
pub(super) const fn secret() -> SecretKind {
    SecretKind
}

/// A path of a file or folder.
pub(super) const fn path() -> PathKind {
    PathKind
}

/// One of the variants of an enum.
pub(super) const fn choice<C: Choice>() -> ChoiceKind<C> {
    ChoiceKind::new()
}

/// An address with a port.
pub(super) const fn address() -> AddressKind {
    AddressKind
}

/// One address with a port, or several.
pub(super) const fn addresses() -> AddressesKind {
    AddressesKind
}

/// Networks, such as `10.0.0.0/8`.
pub(super) const fn networks() -> NetworksKind {
    NetworksKind
}

/// Texts.
pub(super) const fn texts(allowed: &'static str) -> TextsKind {
    TextsKind { allowed }
}

/// HTTP headers.
pub(super) const fn headers() -> HeadersKind {
    HeadersKind
}

/// A text as TOML.
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
