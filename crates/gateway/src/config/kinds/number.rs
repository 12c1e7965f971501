//! Numbers, sizes, times, switches.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Input, Kind, NotAllowed, quoted};

/// A whole number in a range, both ends included.
pub(in crate::config) struct CountKind<T> {
    min: i64,
    max: i64,
    integer: PhantomData<T>,
}

/// The integers that counts become.
pub(in crate::config) trait Integer: TryFrom<i64> {}
impl Integer for u32 {}
impl Integer for u64 {}
impl Integer for usize {}

/// A number of bytes in a range, both ends included.
pub(in crate::config) struct SizeKind {
    pub(super) min: &'static str,
    pub(super) max: &'static str,
}

/// A length of time in a range, both ends included.
pub(in crate::config) struct TimeKind {
    pub(super) min: &'static str,
    pub(super) max: &'static str,
}

/// `true` or `false`.
pub(in crate::config) struct SwitchKind;

/// A number from 0 to 1.
pub(in crate::config) struct RatioKind;

/// Another kind, or a value for "none".
pub(in crate::config) struct OptionalKind<K> {
    pub(super) none: &'static str,
    pub(super) kind: K,
}

// === impl CountKind ===

impl<T> CountKind<T> {
    pub(super) const fn new(min: i64, max: i64) -> Self {
        Self { min, max, integer: PhantomData }
    }
}

impl<T: Integer> Kind for CountKind<T> {
    type Value = T;

    fn read(&self, input: &Input) -> Result<T, NotAllowed> {
        let number = match input {
            Input::Integer(number) => *number,
            Input::Untyped(text) => text.trim().parse().map_err(|_| NotAllowed)?,
            _ => return Err(NotAllowed),
        };
        if !(self.min..=self.max).contains(&number) {
            return Err(NotAllowed);
        }
        T::try_from(number).map_err(|_| NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn toml(&self, untyped: &str) -> String {
        untyped.to_owned()
    }
}

// === impl SizeKind ===

impl Kind for SizeKind {
    type Value = usize;

    fn read(&self, input: &Input) -> Result<usize, NotAllowed> {
        let bytes = match input {
            Input::Integer(bytes) => u64::try_from(*bytes).ok(),
            Input::Untyped(text) | Input::Text(text) => parse_size(text),
            _ => None,
        };
        let range = parse_size(self.min).unwrap_or(0)..=parse_size(self.max).unwrap_or(u64::MAX);
        let bytes = bytes.filter(|bytes| range.contains(bytes)).ok_or(NotAllowed)?;
        usize::try_from(bytes).map_err(|_| NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("a size from {} to {}, such as 65536 or \"64KiB\"", self.min, self.max)
    }

    fn toml(&self, untyped: &str) -> String {
        if untyped.bytes().all(|b| b.is_ascii_digit()) { untyped.to_owned() } else { quoted(untyped) }
    }
}

/// Bytes, or kibi-, mebi-, gibibytes by suffix. `KB` and the like mean 1000 to some and 1024 to others, so they are not
/// taken.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits_end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

// === impl TimeKind ===

impl Kind for TimeKind {
    type Value = Duration;

    fn read(&self, input: &Input) -> Result<Duration, NotAllowed> {
        let (Input::Text(text) | Input::Untyped(text)) = input else { return Err(NotAllowed) };
        let parse = |text: &str| humantime::parse_duration(text).ok();
        let range = parse(self.min).unwrap_or_default()..=parse(self.max).unwrap_or(Duration::MAX);
        parse(text).filter(|time| range.contains(time)).ok_or(NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("a time from {} to {}, such as \"250ms\", \"10s\" or \"5min\"", self.min, self.max)
    }

    fn toml(&self, untyped: &str) -> String {
        quoted(untyped)
    }
}

// === impl SwitchKind ===

impl Kind for SwitchKind {
    type Value = bool;

    fn read(&self, input: &Input) -> Result<bool, NotAllowed> {
        match input {
            Input::Switch(on) => Ok(*on),
            Input::Untyped(text) => text.trim().parse().map_err(|_| NotAllowed),
            _ => Err(NotAllowed),
        }
    }

    fn allowed(&self) -> String {
        "true or false".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        untyped.to_owned()
    }
}

// === impl RatioKind ===

impl Kind for RatioKind {
    type Value = f64;

    fn read(&self, input: &Input) -> Result<f64, NotAllowed> {
        let ratio = match input {
            Input::Float(ratio) => *ratio,
            Input::Integer(ratio) => *ratio as f64,
            Input::Untyped(text) => text.trim().parse().map_err(|_| NotAllowed)?,
            _ => return Err(NotAllowed),
        };
        if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err(NotAllowed) }
    }

    fn allowed(&self) -> String {
        "a number from 0 to 1".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        untyped.to_owned()
    }
}

// === impl OptionalKind ===

impl<K: Kind> OptionalKind<K> {
    fn is_none(&self, input: &Input) -> bool {
        match input {
            Input::Text(text) | Input::Untyped(text) => text.trim() == self.none,
            Input::Integer(number) => number.to_string() == self.none,
            _ => false,
        }
    }
}

impl<K: Kind> Kind for OptionalKind<K> {
    type Value = Option<K::Value>;

    fn read(&self, input: &Input) -> Result<Self::Value, NotAllowed> {
        if self.is_none(input) { Ok(None) } else { self.kind.read(input).map(Some) }
    }

    fn allowed(&self) -> String {
        let none = if self.none.is_empty() { "\"\"" } else { self.none };
        format!("{}, or {none}", self.kind.allowed())
    }

    fn toml(&self, untyped: &str) -> String {
        self.kind.toml(untyped)
    }

    fn is_secret(&self) -> bool {
        self.kind.is_secret()
    }
}
