//! Which web pages may connect.

use std::fmt;

#[cfg(test)]
mod tests;

/// An allowed origin.
///
/// | written | matches |
/// |---|---|
/// | `https://app.example.com` | exactly this scheme, host and port (443 where it is not written) |
/// | `app.example.com` | this host, with any scheme and port |
/// | `*.example.com` | every host below `example.com`, not itself; a scheme and a port may stand around it |
/// | `*` | everything |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    written: String,
    scheme: Option<String>,
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    Exactly(String),
    /// Of `.example.com`, with its dot: hosts that end with it.
    Below(String),
}

/// Why a text is no pattern of origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no origin; write it like https://app.example.com, app.example.com, *.example.com or *")]
pub struct OriginError(String);

/// The parts of an origin; the host is in lower case.
struct Parts {
    scheme: Option<String>,
    host: String,
    port: Option<u16>,
}

// === impl OriginPattern ===

impl OriginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is none of the forms above; a path or a trailing slash, for instance, is not part of an origin.
    pub fn new(written: &str) -> Result<Self, OriginError> {
        let error = || OriginError(written.to_owned());
        let Parts { scheme, host, port } = split(written).ok_or_else(error)?;
        let host = match host.strip_prefix('*') {
            None if host.contains('*') => return Err(error()),
            None => Host::Exactly(host),
            Some("") => Host::Any,
            Some(below) if below.len() > 1 && below.starts_with('.') && !below.contains('*') => {
                Host::Below(below.to_owned())
            }
            Some(_) => return Err(error()),
        };
        Ok(Self { written: written.to_owned(), scheme, host, port })
    }

    /// Whether the value of an `Origin` header matches. `null`, what sandboxed pages and files send, matches only `*`.
    pub fn matches(&self, origin: &str) -> bool {
        if self.scheme.is_none() && self.port.is_none() && self.host == Host::Any {
            return true;
        }
        let Some(Parts { scheme: Some(scheme), host, port }) = split(origin) else { return false };
        let host_matches = match &self.host {
            Host::Any => true,
            Host::Exactly(exactly) => host == *exactly,
            Host::Below(below) => host.len() > below.len() && host.ends_with(below.as_str()),
        };
        let scheme_matches = self.scheme.as_ref().is_none_or(|pattern| scheme == *pattern);
        // A pattern with a scheme and no port means the scheme's own port; one with neither means any.
        let port_matches = match (self.port, &self.scheme) {
            (None, None) => true,
            (pattern, _) => port.or(default_port(&scheme)) == pattern.or(default_port(&scheme)),
        };
        host_matches && scheme_matches && port_matches
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Splits `[scheme://]host[:port]`; `None` where it is not of that form.
fn split(text: &str) -> Option<Parts> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let scheme_is_valid = scheme.is_none_or(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    // The colons of an IPv6 address are inside brackets.
    let port_at = rest.rfind(':').filter(|&at| !rest[at..].contains(']'));
    let (host, port) = match port_at {
        Some(at) => (&rest[..at], Some(rest[at + 1..].parse().ok()?)),
        None => (rest, None),
    };
    let host_is_valid = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '*'))
        }
    };
    (scheme_is_valid && host_is_valid).then(|| Parts {
        scheme: scheme.map(str::to_ascii_lowercase),
        host: host.to_ascii_lowercase(),
        port,
    })
}
