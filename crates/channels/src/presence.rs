//! The members of presence channels, as clients describe them.

use std::sync::Arc;

use courant_auth::AppLimits;
use courant_cluster::Member;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::object;

#[derive(Deserialize)]
struct ChannelData<'a> {
    #[serde(borrow)]
    user_id: &'a RawValue,
    #[serde(borrow, default)]
    user_info: Option<&'a RawValue>,
}

/// Reads `channel_data`: `{"user_id": string or number, "user_info": any JSON?}`.
///
/// Numbers become their text, so that `10` and `"10"` are one user: the documentation's own example signs a number, and
/// clients that track members by id compare texts.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn parse_member(channel_data: &str, limits: &AppLimits) -> Result<Member, String> {
    if channel_data.len() > limits.member_bytes_max {
        return Err(format!(
            "it has {} bytes, at most {} are allowed",
            channel_data.len(),
            limits.member_bytes_max
        ));
    }
    let data: ChannelData<'_> = object(channel_data).map_err(|error| error.to_string())?;
    let user_id = text_of(data.user_id.get()).ok_or("user_id must be a string or a number")?;
    let user_info = info(data.user_info);
    check_member(&user_id, user_info.as_deref(), limits)?;
    Ok(Member { user_id: user_id.into(), user_info })
}

/// Checks a member's bounds, wherever the member came from.
///
/// # Errors
/// Says in words what is wrong with it.
pub fn check_member(user_id: &str, user_info: Option<&str>, limits: &AppLimits) -> Result<(), String> {
    if user_id.is_empty() {
        return Err("user_id is empty".into());
    }
    let (given, bytes_max) = (user_id.len(), limits.member_id_bytes_max);
    if given > bytes_max {
        return Err(format!("user_id has {given} bytes, at most {bytes_max} are allowed"));
    }
    let (given, bytes_max) = (user_info.map_or(0, str::len), limits.member_bytes_max);
    if given > bytes_max {
        return Err(format!("user_info has {given} bytes, at most {bytes_max} are allowed"));
    }
    Ok(())
}

/// JSON kept as it came; `null` is as if it were not there.
pub(crate) fn info(value: Option<&RawValue>) -> Option<Arc<str>> {
    value.map(RawValue::get).filter(|json| *json != "null").map(Arc::from)
}

fn text_of(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use courant_auth::AppLimits;

    use super::parse_member;

    #[test]
    fn ids_are_texts_or_numbers_and_become_texts() {
        let limits = AppLimits::default();
        for (data, id, info) in [
            (r#"{"user_id":"10"}"#, "10", None),
            (
                r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#,
                "10",
                Some(r#"{"name":"Mr. Channels"}"#),
            ),
            (r#"{"user_id":-1.5,"user_info":null}"#, "-1.5", None),
            (r#"{"user_id":"\u00e9","user_info":[]}"#, "é", Some("[]")),
            (r#"{"user_info":1,"other":2,"user_id":"a"}"#, "a", Some("1")),
        ] {
            let member = parse_member(data, &limits).expect(data);
            assert_eq!((&*member.user_id, member.user_info.as_deref()), (id, info));
        }
    }

    #[test]
    fn anything_else_is_no_member() {
        let limits = AppLimits::default();
        let long = format!(r#"{{"user_id":"{}"}}"#, "x".repeat(129));
        let large = format!(r#"{{"user_id":"1","user_info":"{}"}}"#, "x".repeat(1024));
        for data in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"user_id":null}"#,
            r#"{"user_id":""}"#,
            r#"{"user_id":{}}"#,
            &long,
            &large,
        ] {
            assert!(parse_member(data, &limits).is_err(), "{data}");
        }
    }
}
