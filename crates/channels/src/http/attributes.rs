//! The `info` parameter: what is to be told of channels.

use courant_cluster::{CachedEvent, ChannelCounts};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::name::ChannelKind;

/// The attributes that were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) user_count: bool,
    pub(super) subscription_count: bool,
    pub(super) cache: bool,
}

impl Attributes {
    /// Reads a comma-separated list.
    pub(super) fn parse(info: Option<&str>) -> Result<Self, ApiError> {
        let mut attributes = Self::default();
        let names = info.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        for name in names {
            match name {
                "user_count" => attributes.user_count = true,
                "subscription_count" => attributes.subscription_count = true,
                "cache" => attributes.cache = true,
                other => return Err(ApiError::InvalidInfo(other.to_owned())),
            }
        }
        Ok(attributes)
    }

    pub(super) fn any(self) -> bool {
        self != Self::default()
    }

    /// The attributes of a channel as the members of a JSON object, without the braces. `user_count` is left out where
    /// there is no presence.
    pub(super) fn members(self, kind: ChannelKind, counts: ChannelCounts) -> String {
        let mut members = Vec::with_capacity(2);
        if self.user_count && kind.is_presence() {
            members.push(format!(r#""user_count":{}"#, counts.user_count));
        }
        if self.subscription_count {
            members.push(format!(r#""subscription_count":{}"#, counts.subscription_count));
        }
        members.join(",")
    }
}

/// The `cache` attribute: `{"data":"…","ttl":seconds}`, or `null`.
pub(super) fn cache(cached: Option<&CachedEvent>) -> String {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let Some(cached) = cached else { return "null".into() };
    match serde_json::from_slice::<Event<'_>>(&cached.event) {
        Ok(event) => format!(r#"{{"data":{},"ttl":{}}}"#, event.data, cached.ttl.as_secs()),
        Err(_) => "null".into(),
    }
}
