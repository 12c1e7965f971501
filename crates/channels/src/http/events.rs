//! Publishing.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use courant_auth::AppLimits;
use courant_auth::signature::http::Query;
use courant_cluster::SubscriberId;
use courant_telemetry::metrics::labels::{Limit, PublishError, PublishSource};
use courant_telemetry::trace::{publish_span, traceparent_of};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::attributes::Attributes;
use super::channels::{parse, unavailable};
use super::error::ApiError;
use super::request::{Named, Signed, signed};
use super::{accepted, empty, json};
use crate::SocketId;
use crate::message::{decoded_len, object, quoted};
use crate::name::ChannelName;
use crate::publish::Event;
use crate::service::{Channels, Tenant, channel_key};

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// An event as it is asked for, in a body of its own or in a batch.
#[derive(Default, Deserialize)]
struct EventBody<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    channels: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    channel: Option<Text<'a>>,
    #[serde(borrow, default)]
    socket_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    info: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct BatchBody<'a> {
    #[serde(borrow, default)]
    batch: Option<Vec<EventBody<'a>>>,
}

/// An event that may be published.
struct CheckedEvent<'a> {
    name: Cow<'a, str>,
    /// A JSON string.
    data: Cow<'a, str>,
    channels: Vec<ChannelName>,
    except: Option<SubscriberId>,
    attributes: Attributes,
}

/// `POST /apps/{app}/events`: one event to up to a hundred channels.
pub(super) async fn publish(
    State(channels): State<Arc<Channels>>,
    Named(app): Named<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    let body: EventBody<'_> =
        if request.body.is_empty() { EventBody::default() } else { from_json(&request.body)? };
    let event = check(body, Some(&request.query), &request.tenant.app.limits)
        .inspect_err(|error| count_refusal(&channels, error))?;
    publish_event(&channels, &request, &event).await?;
    if !event.attributes.any() {
        return Ok(empty());
    }
    let mut members = Vec::with_capacity(event.channels.len());
    for channel in &event.channels {
        let info = info(&channels, &request.tenant, channel, event.attributes).await?;
        members.push(format!("{}:{{{info}}}", quoted(channel.as_str())));
    }
    Ok(json(format!(r#"{{"channels":{{{}}}}}"#, members.join(","))))
}

/// `POST /apps/{app}/batch_events`: up to ten events, to a channel each.
pub(super) async fn publish_batch(
    State(channels): State<Arc<Channels>>,
    Named(app): Named<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    let events = check_batch(&request).inspect_err(|error| count_refusal(&channels, error))?;
    let mut infos = Vec::with_capacity(events.len());
    for event in &events {
        publish_event(&channels, &request, event).await?;
    }
    if !events.iter().any(|event| event.attributes.any()) {
        return Ok(empty());
    }
    for event in &events {
        let info = match event.channels.first() {
            Some(channel) => info(&channels, &request.tenant, channel, event.attributes).await?,
            None => String::new(),
        };
        infos.push(format!("{{{info}}}"));
    }
    Ok(json(format!(r#"{{"batch":[{}]}}"#, infos.join(","))))
}

/// `POST /apps/{app}/channels/{channel}/events?name=…`: the body is the data. Deprecated by Pusher, still sent by old SDKs.
pub(super) async fn publish_raw(
    State(channels): State<Arc<Channels>>,
    Named((app, channel)): Named<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    let Signed { tenant, query, body, .. } = &request;
    let data = std::str::from_utf8(body).map_err(|error| ApiError::InvalidBody(error.to_string()))?;
    let data = quoted(data);
    let name = query.get("name").ok_or(ApiError::Missing("name"))?;
    check_sizes(name, &data, &tenant.app.limits).inspect_err(|error| count_refusal(&channels, error))?;
    let event = CheckedEvent {
        name: name.into(),
        data: data.into(),
        channels: vec![parse(&channel)?],
        except: socket_id(query.get("socket_id"))?,
        attributes: Attributes::default(),
    };
    publish_event(&channels, &request, &event).await?;
    Ok(accepted())
}

fn check_batch(request: &Signed) -> Result<Vec<CheckedEvent<'_>>, ApiError> {
    let limits = &request.tenant.app.limits;
    let body: BatchBody<'_> = from_json(&request.body)?;
    let batch = body.batch.ok_or(ApiError::Missing("batch"))?;
    if batch.len() > limits.batch_max {
        return Err(ApiError::BatchTooLarge { given: batch.len(), events_max: limits.batch_max });
    }
    // All or none: nothing is published before everything was checked.
    batch.into_iter().map(|body| check(body, None, limits)).collect()
}

/// Checks an event. What the body lacks may be in the query.
fn check<'a>(
    body: EventBody<'a>,
    query: Option<&'a Query>,
    limits: &AppLimits,
) -> Result<CheckedEvent<'a>, ApiError> {
    let parameter = |name: &str| query.and_then(|query| query.get(name));
    let text = |text: Option<Text<'a>>, name: &str| {
        text.map(|text| text.0).or_else(|| parameter(name).map(Cow::from))
    };
    let name = text(body.name, "name").ok_or(ApiError::Missing("name"))?;
    let mut names: Vec<Cow<'a, str>> = match body.channels {
        Some(channels) => channels.into_iter().map(|channel| channel.0).collect(),
        None => query
            .map(|query| query.list("channels").map(|name| Cow::from(name.to_owned())).collect())
            .unwrap_or_default(),
    };
    names.extend(text(body.channel, "channel"));
    if names.is_empty() {
        return Err(ApiError::Missing("channel"));
    }
    let channels_max = limits.channels_per_publish_max;
    if names.len() > channels_max {
        return Err(ApiError::TooManyChannels { given: names.len(), channels_max });
    }
    let data = match (body.data, parameter("data")) {
        (Some(data), _) if data.get().starts_with('"') => Cow::from(data.get()),
        (Some(_), _) => return Err(ApiError::DataNotAString),
        (None, Some(data)) => Cow::from(quoted(data)),
        (None, None) => return Err(ApiError::Missing("data")),
    };
    check_sizes(&name, &data, limits)?;
    let mut channels = Vec::with_capacity(names.len());
    for name in &names {
        let channel = parse(name)?;
        if channel.server_to_user().is_none() && name.len() > limits.channel_name_bytes_max {
            return Err(ApiError::InvalidChannel(name.to_string()));
        }
        channels.push(channel);
    }
    // Naming a channel twice does not send to it twice.
    let mut seen = HashSet::with_capacity(channels.len());
    channels.retain(|channel| seen.insert(channel.clone()));
    let except = socket_id(text(body.socket_id, "socket_id").as_deref())?;
    let attributes = Attributes::parse(text(body.info, "info").as_deref())?;
    Ok(CheckedEvent { name, data, channels, except, attributes })
}

fn check_sizes(name: &str, data: &str, limits: &AppLimits) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::Missing("name"));
    }
    if name.len() > limits.event_name_bytes_max {
        return Err(ApiError::NameTooLong { bytes_max: limits.event_name_bytes_max });
    }
    if decoded_len(data).is_none_or(|length| length > limits.event_bytes_max) {
        return Err(ApiError::DataTooLarge { bytes_max: limits.event_bytes_max });
    }
    Ok(())
}

fn socket_id(text: Option<&str>) -> Result<Option<SubscriberId>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let id: SocketId = text.parse().map_err(|_| ApiError::InvalidSocketId(text.to_owned()))?;
    Ok(Some(id.subscriber()))
}

async fn publish_event(
    channels: &Channels,
    request: &Signed,
    event: &CheckedEvent<'_>,
) -> Result<(), ApiError> {
    let (tenant, count, bytes) = (&request.tenant, event.channels.len(), event.data.len());
    let span = publish_span(request.trace, tenant.app.id.as_str(), PublishSource::Http, count, bytes);
    let outgoing = Event {
        name: &event.name,
        data: &event.data,
        except: event.except,
        user_id: None,
        source: PublishSource::Http,
        trace: traceparent_of(&span),
    };
    for channel in &event.channels {
        channels.publish(tenant, channel, outgoing).await.map_err(|error| {
            channels.metrics.publish_errors.of(PublishError::Unavailable).inc();
            warn!(%error, "an event was not published");
            ApiError::Unavailable
        })?;
    }
    Ok(())
}

async fn info(
    channels: &Channels,
    tenant: &Tenant,
    channel: &ChannelName,
    attributes: Attributes,
) -> Result<String, ApiError> {
    let key = channel_key(tenant.app.id.as_str(), channel);
    let counts = channels.state.counts(&key).await.map_err(unavailable)?;
    Ok(attributes.members(channel.kind(), counts))
}

fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| ApiError::InvalidBody(error.to_string()))?;
    object(text).map_err(|error| ApiError::InvalidBody(error.to_string()))
}

fn count_refusal(channels: &Channels, error: &ApiError) {
    let (reason, limit) = match error {
        ApiError::DataTooLarge { .. } => (PublishError::TooLarge, Some(Limit::EventBytes)),
        ApiError::NameTooLong { .. } => (PublishError::TooLarge, Some(Limit::EventName)),
        ApiError::TooManyChannels { .. } => (PublishError::TooLarge, Some(Limit::ChannelsPerPublish)),
        ApiError::BatchTooLarge { .. } => (PublishError::TooLarge, Some(Limit::BatchEvents)),
        _ => (PublishError::Invalid, None),
    };
    channels.metrics.publish_errors.of(reason).inc();
    if let Some(limit) = limit {
        channels.metrics.limit_hits.of(limit).inc();
    }
}
