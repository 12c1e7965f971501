//! Channel names and what their prefixes mean.

use std::fmt;
use std::sync::Arc;

/// The prefix of the channels that carry events for one user.
pub const SERVER_TO_USER_PREFIX: &str = "#server-to-user-";

/// The longest channel name, in bytes. The documentation says 164, the official SDKs let 200 through.
pub const CHANNEL_NAME_BYTES_MAX: usize = 200;

/// The longest user id in a `#server-to-user-` channel (SDKs: `sendToUser`).
const USER_ID_BYTES_MAX: usize = 200;

/// A valid channel name.
///
/// Letters, digits and `_-=@,.;` (Pusher docs, "Channel naming conventions"), or `#server-to-user-` and a user id.
/// Cloning counts a reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// What a channel asks of its subscribers and keeps of its events, told by anchored prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelKind {
    /// Who may subscribe.
    pub access: Access,
    /// The last event is kept for who comes later.
    pub cached: bool,
}

/// Who may subscribe to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Connections with a signature of the application.
    Private,
    /// The same; the payload is encrypted between application and clients, and opaque here.
    Encrypted,
    /// The same, and the subscriber has a user id and is shown to the others.
    Presence,
    /// Connections that are signed in as the user in the name.
    ServerToUser,
}

impl ChannelName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        let valid = match name.strip_prefix(SERVER_TO_USER_PREFIX) {
            Some(user) => {
                !user.is_empty() && user.len() <= USER_ID_BYTES_MAX && !user.chars().any(char::is_control)
            }
            None => {
                !name.is_empty() && name.len() <= CHANNEL_NAME_BYTES_MAX && name.bytes().all(is_name_byte)
            }
        };
        if valid { Ok(Self(name.into())) } else { Err(InvalidName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// What the prefix says.
    pub fn kind(&self) -> ChannelKind {
        kind(&self.0)
    }

    /// The user that a `#server-to-user-` channel is for.
    pub fn server_to_user(&self) -> Option<&str> {
        self.0.strip_prefix(SERVER_TO_USER_PREFIX)
    }
}

impl ChannelKind {
    /// Clients may send events to each other.
    pub fn allows_client_events(self) -> bool {
        matches!(self.access, Access::Private | Access::Encrypted | Access::Presence)
    }

    /// A subscription needs a signature.
    pub fn needs_auth(self) -> bool {
        self.allows_client_events()
    }

    /// Subscribers are members.
    pub fn is_presence(self) -> bool {
        self.access == Access::Presence
    }
}

/// What a name's prefix says. Prefixes count at the start only: `my-cache-x` is an ordinary public channel.
pub fn kind(name: &str) -> ChannelKind {
    let (access, rest) = if let Some(rest) = name.strip_prefix("private-encrypted-") {
        (Access::Encrypted, rest)
    } else if let Some(rest) = name.strip_prefix("private-") {
        (Access::Private, rest)
    } else if let Some(rest) = name.strip_prefix("presence-") {
        (Access::Presence, rest)
    } else if name.starts_with(SERVER_TO_USER_PREFIX) {
        return ChannelKind { access: Access::ServerToUser, cached: false };
    } else {
        (Access::Public, name)
    };
    ChannelKind { access, cached: rest.starts_with("cache-") }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte)
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name is empty, too long or has a character that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a channel name")]
pub struct InvalidName;

#[cfg(test)]
mod tests {
    use super::{Access, ChannelName, kind};

    #[test]
    fn prefixes_are_anchored_and_combine() {
        let table = [
            ("chat", Access::Public, false),
            ("cache-chat", Access::Public, true),
            ("my-cache-chat", Access::Public, false),
            ("my-private-chat", Access::Public, false),
            ("private-chat", Access::Private, false),
            ("private-cache-chat", Access::Private, true),
            ("private-encrypted-chat", Access::Encrypted, false),
            ("private-encrypted-cache-chat", Access::Encrypted, true),
            ("private-my-cache-chat", Access::Private, false),
            ("presence-chat", Access::Presence, false),
            ("presence-cache-chat", Access::Presence, true),
            ("#server-to-user-7", Access::ServerToUser, false),
            ("Private-chat", Access::Public, false),
        ];
        for (name, access, cached) in table {
            let kind = kind(name);
            assert_eq!((kind.access, kind.cached), (access, cached), "{name}");
        }
    }

    #[test]
    fn names_hold_the_documented_characters_only() {
        for good in ["a", "A-z_0=@,.;", "#server-to-user-some user ü", &"x".repeat(200)] {
            assert!(ChannelName::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "#", "#other", "#server-to-user-", "a b", "a/b", "a:b", "ä", "a\n", "a#", &"x".repeat(201)]
        {
            assert!(ChannelName::parse(bad).is_err(), "{bad}");
        }
    }
}
