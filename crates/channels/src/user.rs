//! Signed-in users, as clients describe them.

use std::sync::Arc;

use courant_auth::AppLimits;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::object;
use crate::presence::info;

/// Who a connection acts for after `pusher:signin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id, not empty.
    pub id: Arc<str>,
    /// `user_info` as JSON text: what a presence channel shows if the connection brings no `channel_data`.
    pub info: Option<Arc<str>>,
    /// Whose coming and going the user wants to hear of, each once, up to the bound.
    pub watchlist: Vec<Arc<str>>,
    /// How many the list had before it was cut.
    pub watchlist_given: usize,
}

#[derive(Deserialize)]
struct UserData<'a> {
    id: String,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
    #[serde(default)]
    watchlist: Option<Vec<String>>,
}

/// Reads `user_data`: `{"id": non-empty string, "user_info": any JSON?, "watchlist": [ids]?}`.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_user(user_data: &str, limits: &AppLimits) -> Result<User, String> {
    let data: UserData<'_> = object(user_data).map_err(|error| error.to_string())?;
    if data.id.is_empty() {
        return Err("id is empty".into());
    }
    if data.id.len() > limits.user_id_bytes_max {
        return Err(format!(
            "id has {} bytes, at most {} are allowed",
            data.id.len(),
            limits.user_id_bytes_max
        ));
    }
    if data.id.chars().any(char::is_control) {
        return Err("id has a control character".into());
    }
    let mut watchlist = data.watchlist.unwrap_or_default();
    let watchlist_given = watchlist.len();
    watchlist.truncate(limits.watchlist_max);
    watchlist.sort_unstable();
    watchlist.dedup();
    Ok(User {
        id: data.id.into(),
        info: info(data.user_info),
        watchlist: watchlist.into_iter().map(Arc::from).collect(),
        watchlist_given,
    })
}

#[cfg(test)]
mod tests {
    use courant_auth::AppLimits;

    use super::parse_user;

    #[test]
    fn a_user_has_an_id_and_perhaps_more() {
        let limits = AppLimits { watchlist_max: 3, ..AppLimits::default() };
        let user =
            parse_user(r#"{"id":"7","user_info":{"a":1},"watchlist":["b","a","b","c"]}"#, &limits).unwrap();
        assert_eq!((&*user.id, user.info.as_deref()), ("7", Some(r#"{"a":1}"#)));
        assert_eq!(user.watchlist.iter().map(|id| &**id).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(user.watchlist_given, 4);
        let user = parse_user(r#"{"id":"7"}"#, &limits).unwrap();
        assert_eq!((user.info, user.watchlist.len()), (None, 0));
    }

    #[test]
    fn an_id_is_a_text_that_is_not_empty() {
        let limits = AppLimits::default();
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(201));
        for data in [
            "",
            "{}",
            r#"{"id":""}"#,
            r#"{"id":7}"#,
            r#"{"id":null}"#,
            r#"{"id":"a\u0000"}"#,
            r#"{"id":"1","watchlist":"a"}"#,
            &long,
        ] {
            assert!(parse_user(data, &limits).is_err(), "{data}");
        }
    }
}
