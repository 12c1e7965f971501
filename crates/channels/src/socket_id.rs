//! Socket ids: `\d+\.\d+`, as every SDK validates them.

use std::fmt;
use std::str::FromStr;

use courant_cluster::SubscriberId;

/// The id that a connection is told when it opens, and that the application signs.
///
/// Both halves stay below 2^53, since clients may read them as floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(SubscriberId);

/// The bound of each half of an id that is made here.
const HALF: u64 = 1 << 53;

impl SocketId {
    /// A new id. It is hard to guess: who knows it can have its connection left out of a publish.
    pub fn random() -> Self {
        Self(SubscriberId { high: rand::random_range(1..1 << 32), low: rand::random_range(1..HALF) })
    }

    /// The subscriber that has this socket id.
    pub fn subscriber(self) -> SubscriberId {
        self.0
    }
}

impl From<SubscriberId> for SocketId {
    fn from(id: SubscriberId) -> Self {
        Self(id)
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.high, self.0.low)
    }
}

impl FromStr for SocketId {
    type Err = NotASocketId;

    fn from_str(text: &str) -> Result<Self, NotASocketId> {
        let (high, low) = text.split_once('.').ok_or(NotASocketId)?;
        Ok(Self(SubscriberId { high: half(high)?, low: half(low)? }))
    }
}

fn half(digits: &str) -> Result<u64, NotASocketId> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotASocketId);
    }
    // Well-formed but beyond any id that is given out: it names nobody, which is no error.
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// The text is not two numbers with a dot between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a socket id")]
pub struct NotASocketId;

#[cfg(test)]
mod tests {
    use super::SocketId;

    #[test]
    fn an_id_survives_its_text() {
        for _ in 0..100 {
            let id = SocketId::random();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn only_two_numbers_with_a_dot_are_an_id() {
        for bad in ["", ".", "1", "1.", ".1", "1.2.3", "a.b", "1.-2", "+1.2", " 1.2", "1.2\n", "１.2"] {
            assert!(bad.parse::<SocketId>().is_err(), "{bad:?}");
        }
        assert!("99999999999999999999999999.1".parse::<SocketId>().is_ok());
    }
}
