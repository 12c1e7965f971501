//! The HTTP API (Pusher HTTP API): publishing and asking.
//!
//! Every request is signed; see [`courant_auth::signature::http`]. Successful answers are JSON, and exactly `{}` where
//! there is nothing to tell; errors are a line of plain text, whose wording SDK tests compare ([`error`]).

mod attributes;
mod channels;
pub mod error;
mod events;
mod request;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};

use crate::service::Channels;
pub(crate) use request::{Named, read as read_body};

use error::ApiError;

/// Who sent a request: set by the gateway as an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct ClientInfo {
    /// The client's address, as far as it is known.
    pub address: IpAddr,
    /// Whether the client came over TLS.
    pub tls: bool,
}

/// The routes of the HTTP API.
pub fn routes() -> Router<Arc<Channels>> {
    Router::new()
        .route("/apps/{app}/events", post(events::publish))
        .route("/apps/{app}/batch_events", post(events::publish_batch))
        .route("/apps/{app}/channels", get(channels::list))
        .route("/apps/{app}/channels/{channel}", get(channels::show))
        .route("/apps/{app}/channels/{channel}/users", get(channels::users))
        .route("/apps/{app}/channels/{channel}/stats", get(channels::stats))
        .route("/apps/{app}/channels/{channel}/events", post(events::publish_raw))
        .route("/apps/{app}/users/{user}/terminate_connections", post(users::terminate))
        // The Python SDK leaves the application out; its key tells which one it is.
        .route("/users/{user}/terminate_connections", post(users::terminate_by_key))
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
}

/// An answer of JSON text.
fn json(text: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// The answer when there is nothing to tell.
fn empty() -> Response {
    json("{}")
}

/// The answer of the deprecated publish: accepted, and nothing else.
fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}
