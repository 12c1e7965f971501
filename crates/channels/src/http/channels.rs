//! Asking about channels.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use courant_cluster::StateError;
use tracing::warn;

use super::attributes::{Attributes, cache};
use super::error::ApiError;
use super::json;
use super::request::{Named, signed};
use crate::message::quoted;
use crate::name::{ChannelName, kind};
use crate::service::{Channels, channel_key};

/// `GET /apps/{app}/channels`: the occupied channels.
pub(super) async fn list(
    State(channels): State<Arc<Channels>>,
    Named(app): Named<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    let prefix = request.query.get("filter_by_prefix").unwrap_or_default();
    let attributes = Attributes::parse(request.query.get("info"))?;
    if attributes.user_count && !prefix.starts_with("presence-") {
        return Err(ApiError::UserCountNeedsPrefix);
    }
    let found = channels.state.channels(&app, prefix).await.map_err(unavailable)?;
    let mut answer = String::from(r#"{"channels":{"#);
    for (at, (name, counts)) in found.iter().enumerate() {
        if at > 0 {
            answer.push(',');
        }
        answer.push_str(&format!("{}:{{{}}}", quoted(name), attributes.members(kind(name), *counts)));
    }
    answer.push_str("}}");
    Ok(json(answer))
}

/// `GET /apps/{app}/channels/{channel}`: one channel, occupied or not.
pub(super) async fn show(
    State(channels): State<Arc<Channels>>,
    Named((app, channel)): Named<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    let name = parse(&channel)?;
    let attributes = Attributes::parse(request.query.get("info"))?;
    if attributes.user_count && !name.kind().is_presence() {
        return Err(ApiError::UserCountNeedsPresence);
    }
    let key = channel_key(&app, &name);
    let counts = channels.state.counts(&key).await.map_err(unavailable)?;
    let mut answer = format!(r#"{{"occupied":{}"#, counts.subscription_count > 0);
    let members = attributes.members(name.kind(), counts);
    if !members.is_empty() {
        answer.push(',');
        answer.push_str(&members);
    }
    if attributes.cache {
        let cached = channels.state.cached(&key).await.map_err(unavailable)?;
        answer.push_str(&format!(r#","cache":{}"#, cache(cached.as_ref())));
    }
    answer.push('}');
    Ok(json(answer))
}

/// `GET /apps/{app}/channels/{channel}/users`: who is in a presence channel.
pub(super) async fn users(
    State(channels): State<Arc<Channels>>,
    Named((app, channel)): Named<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    signed(&channels, Some(&app), request).await?;
    let name = parse(&channel)?;
    if !name.kind().is_presence() {
        return Err(ApiError::UsersNeedPresence);
    }
    let members = channels.state.members(&channel_key(&app, &name)).await.map_err(unavailable)?;
    let users: Vec<String> =
        members.iter().map(|member| format!(r#"{{"id":{}}}"#, quoted(&member.user_id))).collect();
    Ok(json(format!(r#"{{"users":[{}]}}"#, users.join(","))))
}

/// `GET /apps/{app}/channels/{channel}/stats`: deprecated by Pusher, still sent by old SDKs.
pub(super) async fn stats(
    State(channels): State<Arc<Channels>>,
    Named((app, channel)): Named<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    signed(&channels, Some(&app), request).await?;
    let name = parse(&channel)?;
    let counts = channels.state.counts(&channel_key(&app, &name)).await.map_err(unavailable)?;
    let (connections, users) = (counts.subscription_count, counts.user_count);
    let user_count =
        if name.kind().is_presence() { format!(r#""user_count":{users},"#) } else { String::new() };
    let occupied = connections > 0;
    Ok(json(format!(r#"{{"occupied":{occupied},{user_count}"connection_count":{connections}}}"#)))
}

pub(super) fn parse(channel: &str) -> Result<ChannelName, ApiError> {
    ChannelName::parse(channel).map_err(|_| ApiError::InvalidChannel(channel.to_owned()))
}

pub(super) fn unavailable(error: StateError) -> ApiError {
    warn!(%error, "a request can't be answered");
    ApiError::Unavailable
}
