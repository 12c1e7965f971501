//! Lists. From the environment their elements are separated by commas; `[]` is the empty list.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::{AddressKind, Input, Kind, NotAllowed, quoted};

/// One address with a port, or several.
pub(in crate::config) struct AddressesKind;

/// Networks; an address alone is the network of itself.
pub(in crate::config) struct NetworksKind;

/// Texts.
pub(in crate::config) struct TextsKind {
    pub(super) allowed: &'static str,
}

/// HTTP headers: a table of names and values.
pub(in crate::config) struct HeadersKind;

/// The elements, read by `read`.
fn elements<T>(input: &Input, read: impl Fn(&str) -> Result<T, NotAllowed>) -> Result<Vec<T>, NotAllowed> {
    match input {
        Input::Untyped(text) => split(text).map(read).collect(),
        Input::List(list) => list
            .iter()
            .map(|element| match element {
                Input::Text(text) => read(text),
                _ => Err(NotAllowed),
            })
            .collect(),
        _ => Err(NotAllowed),
    }
}

fn split(untyped: &str) -> impl Iterator<Item = &str> {
    let list = if untyped.trim() == "[]" { "" } else { untyped };
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

fn list_toml(untyped: &str) -> String {
    format!("[{}]", split(untyped).map(quoted).collect::<Vec<_>>().join(", "))
}

// === impl AddressesKind ===

impl Kind for AddressesKind {
    type Value = Vec<SocketAddr>;

    fn read(&self, input: &Input) -> Result<Vec<SocketAddr>, NotAllowed> {
        let read = |text: &str| AddressKind.read(&Input::Untyped(text.to_owned()));
        let addresses = match input {
            Input::Text(text) => vec![read(text)?],
            _ => elements(input, read)?,
        };
        if addresses.is_empty() { Err(NotAllowed) } else { Ok(addresses) }
    }

    fn allowed(&self) -> String {
        format!("{}, or a list of such", AddressKind.allowed())
    }

    fn toml(&self, untyped: &str) -> String {
        list_toml(untyped)
    }
}

// === impl NetworksKind ===

impl Kind for NetworksKind {
    type Value = Vec<IpNet>;

    fn read(&self, input: &Input) -> Result<Vec<IpNet>, NotAllowed> {
        elements(input, |text| {
            let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
            text.parse().or_else(|_| address()).map_err(|_: std::net::AddrParseError| NotAllowed)
        })
    }

    fn allowed(&self) -> String {
        "a list of networks or addresses, such as [\"10.0.0.0/8\", \"::1\"]".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        list_toml(untyped)
    }
}

// === impl TextsKind ===

impl Kind for TextsKind {
    type Value = Vec<String>;

    fn read(&self, input: &Input) -> Result<Vec<String>, NotAllowed> {
        elements(input, |text| Ok(text.to_owned()))
    }

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        list_toml(untyped)
    }
}

// === impl HeadersKind ===

impl Kind for HeadersKind {
    type Value = Vec<(String, String)>;

    fn read(&self, input: &Input) -> Result<Self::Value, NotAllowed> {
        match input {
            Input::Table(entries) => entries
                .iter()
                .map(|(name, value)| match value {
                    Input::Text(value) => Ok((name.clone(), value.clone())),
                    _ => Err(NotAllowed),
                })
                .collect(),
            Input::Untyped(text) => split(text)
                .map(|pair| {
                    let (name, value) = pair.split_once('=').ok_or(NotAllowed)?;
                    Ok((name.trim().to_owned(), value.trim().to_owned()))
                })
                .collect(),
            _ => Err(NotAllowed),
        }
    }

    fn allowed(&self) -> String {
        "a table of header names and texts, such as { \"X-Source\" = \"courant\" }".to_owned()
    }

    fn toml(&self, untyped: &str) -> String {
        let entry = |(name, value): (&str, &str)| format!("{} = {}", quoted(name), quoted(value));
        let entries: Vec<String> =
            split(untyped).filter_map(|pair| pair.split_once('=')).map(entry).collect();
        if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
    }

    // Receivers are authorised with headers.
    fn is_secret(&self) -> bool {
        true
    }
}
