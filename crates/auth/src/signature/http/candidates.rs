//! The texts that a sender may have signed.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::SignedRequest;
use super::query::{Query, list_name};

/// Every text that an SDK would have signed for this request, the documented one first. There is at least one, and at most
/// 24: 6 paths, with `+` for a space or for itself, with lists as they came or joined.
pub(super) fn strings_to_sign(request: &SignedRequest<'_>, query: &Query) -> Vec<String> {
    let mut queries = vec![canonical(&query.signed_pairs())];
    if let Some(plus_kept) = query.signed_pairs_plus_kept() {
        queries.push(canonical(&plus_kept));
    }
    // The PHP SDK signs `channels=a,b` and sends `channels[0]=a&channels[1]=b`.
    if let Some(joined) = joined_lists(&query.signed_pairs()) {
        queries.push(canonical(&joined));
    }
    if let Some(joined) = query.signed_pairs_plus_kept().and_then(|pairs| joined_lists(&pairs)) {
        queries.push(canonical(&joined));
    }
    let paths = paths(request.path, request.path_prefix);
    let texts = queries
        .iter()
        .flat_map(|query| paths.iter().map(move |path| format!("{}\n{path}\n{query}", request.method)));
    texts.collect()
}

/// The documented text.
pub(super) fn string_to_sign(method: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    format!("{method}\n{path}\n{}", canonical(pairs))
}

/// The path as it was sent and with the prefix taken off or put on, each also percent-decoded.
fn paths<'a>(path: &'a str, prefix: &str) -> Vec<Cow<'a, str>> {
    let mut paths: Vec<Cow<'a, str>> = Vec::with_capacity(6);
    let mut add = |path: Cow<'a, str>| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    let other = match path.strip_prefix(prefix) {
        Some(stripped) => Cow::Borrowed(stripped),
        None => Cow::Owned(format!("{prefix}{path}")),
    };
    for path in [Cow::Borrowed(path), other] {
        let decoded = percent_decode_str(&path).decode_utf8().ok().map(Cow::into_owned);
        add(path);
        if let Some(decoded) = decoded {
            add(Cow::Owned(decoded));
        }
    }
    paths
}

/// Parameters sorted by name, those of one name as they came.
fn canonical<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    let mut pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
    pairs.sort_by_key(|&(name, _)| name);
    let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 2).sum());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// The parameters with each list joined by commas; `None` where there is no list.
fn joined_lists(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    if !pairs.iter().any(|(name, _)| list_name(name).is_some()) {
        return None;
    }
    let mut joined: Vec<(String, String)> = Vec::with_capacity(pairs.len());
    for &(name, value) in pairs {
        let list = list_name(name);
        match joined.last_mut() {
            // Elements of one list are sent one after the other.
            Some((last, values)) if list == Some(last.as_str()) => {
                values.push(',');
                values.push_str(value);
            }
            _ => joined.push((list.unwrap_or(name).to_owned(), value.to_owned())),
        }
    }
    Some(joined)
}
