//! The parameters of a query string.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

#[cfg(test)]
mod tests;

/// A query string's parameters in the order they came: names in lower case, values percent-decoded, `+` a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<Parameter>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    name: String,
    value: String,
    /// The value with `+` taken for itself; `None` where it holds none.
    plus_kept: Option<String>,
}

/// A parameter is there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

// === impl Query ===

impl Query {
    /// Reads a query string, without the `?`. Any text is one: what is not percent-encoded properly stands for
    /// itself, bytes that are not UTF-8 become U+FFFD.
    pub fn parse(raw: &str) -> Self {
        let parameters = raw.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Parameter {
                name: decode(&plus_to_space(name)).to_lowercase(),
                value: decode(&plus_to_space(value)),
                plus_kept: value.contains('+').then(|| decode(value)),
            }
        });
        Self(parameters.collect())
    }

    /// The first value of a parameter; its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs().find(|&(n, _)| n == name).map(|(_, value)| value)
    }

    /// All values of a parameter that is a list: `name[]=a&name[]=b`, `name[0]=a&name[1]=b` or several times `name=a`.
    pub fn list<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs().filter(move |(n, _)| list_name(n).unwrap_or(n) == name).map(|(_, value)| value)
    }

    /// All of them, in the order they came.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()))
    }

    pub(super) fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let parameter = |&(name, value): &(&str, &str)| Parameter {
            name: name.to_lowercase(),
            value: value.to_owned(),
            plus_kept: None,
        };
        Self(pairs.iter().map(parameter).collect())
    }

    /// The value of a parameter that may be there once.
    pub(super) fn only(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.pairs().filter(|&(n, _)| n == name).map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() { Err(Repeated) } else { Ok(first) }
    }

    /// What is signed: all but the signature.
    pub(super) fn signed_pairs(&self) -> Vec<(&str, &str)> {
        self.pairs().filter(|&(name, _)| name != "auth_signature").collect()
    }

    /// The same with every `+` taken for itself; `None` where that is no difference.
    pub(super) fn signed_pairs_plus_kept(&self) -> Option<Vec<(&str, &str)>> {
        self.0.iter().any(|parameter| parameter.plus_kept.is_some()).then(|| {
            let signed = self.0.iter().filter(|parameter| parameter.name != "auth_signature");
            signed.map(|p| (p.name.as_str(), p.plus_kept.as_deref().unwrap_or(&p.value))).collect()
        })
    }
}

/// The name of a list in an element's name: `channels` in `channels[]` and `channels[3]`.
pub(super) fn list_name(name: &str) -> Option<&str> {
    let (list, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    index.bytes().all(|b| b.is_ascii_digit()).then_some(list)
}

fn plus_to_space(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
