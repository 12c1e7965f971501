//! The HTTP fallback transports of pusher-js, `xhr_streaming` and `xhr_polling`: the same protocol where a proxy lets no
//! WebSocket through. A subset of SockJS, as pusher-js speaks it (`src/core/http`).
//!
//! | request | answer |
//! |---|---|
//! | `POST {prefix}/pusher/app/{key}/{server}/{session}/xhr_streaming` | opens the session, or goes on with it: an endless body |
//! | `POST …/xhr` | the same; the body ends with the first thing there is to tell, and the client asks again |
//! | `POST …/xhr_send` | a JSON array of messages, each a string |
//!
//! A body is made of lines: `o` open, `a["…"]` messages, `h` heartbeat, `c[code,"reason"]` close. A second `o` would tell
//! pusher-js that the session was lost, so it is sent once for each session.

mod receive;
mod session;
mod sessions;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use courant_telemetry::metrics::labels::{Limit, RejectReason, Transport};
use http::{HeaderMap, StatusCode, header};

use crate::close::Refusal;
use crate::connection::Parameters;
use crate::http::error::ApiError;
use crate::http::{ClientInfo, Named};
use crate::message::{ServerEvent, quoted};
use crate::service::Channels;
use receive::Receiving;
use sessions::{Opening, SessionKey};

pub(crate) use sessions::Sessions;

/// The routes of the fallback.
pub fn routes() -> Router<Arc<Channels>> {
    Router::new()
        .route("/pusher/app/{key}/{server}/{session}/xhr_streaming", post(streaming).options(preflight))
        .route("/pusher/app/{key}/{server}/{session}/xhr", post(polling).options(preflight))
        .route("/pusher/app/{key}/{server}/{session}/xhr_send", post(send).options(preflight))
}

/// The longest names that clients give to a server and a session; pusher-js has 3 digits and 8 characters.
const SESSION_NAME_BYTES_MAX: usize = 64;

type SessionPath = Named<(String, String, String)>;

async fn streaming(
    state: State<Arc<Channels>>,
    path: SessionPath,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    receive(state, path, Parameters::parse(query.as_deref()), request, Transport::XhrStreaming).await
}

async fn polling(
    state: State<Arc<Channels>>,
    path: SessionPath,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    receive(state, path, Parameters::parse(query.as_deref()), request, Transport::XhrPolling).await
}

async fn receive(
    State(channels): State<Arc<Channels>>,
    Named((key, server, id)): SessionPath,
    parameters: Parameters,
    request: Request,
    transport: Transport,
) -> Response {
    if server.len() > SESSION_NAME_BYTES_MAX || id.len() > SESSION_NAME_BYTES_MAX {
        return with_cors(ApiError::NotFound.into_response());
    }
    let session_key = SessionKey { key, server, id };
    let session = match channels.fallback.get(&session_key) {
        Some(session) => session,
        None if channels.is_draining() => {
            channels.metrics.connections_rejected.of(RejectReason::Draining).inc();
            return with_cors(ApiError::Unavailable.into_response());
        }
        None => {
            let Some(client) = request.extensions().get::<ClientInfo>().copied() else {
                return with_cors(StatusCode::INTERNAL_SERVER_ERROR.into_response());
            };
            let origin = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok());
            let opening = Opening { parameters, origin: origin.map(str::to_owned), client, transport };
            if let Err((refusal, reason)) = channels.check(&opening.hello(&session_key)) {
                channels.metrics.connections_rejected.of(reason).inc();
                return with_cors(refused(&refusal));
            }
            let Ok(guard) = channels.addresses.admit(client.address, Instant::now()) else {
                channels.metrics.connections_rejected.of(RejectReason::ConnectionsPerAddress).inc();
                channels.metrics.limit_hits.of(Limit::ConnectionsPerAddress).inc();
                return with_cors(
                    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "5")]).into_response(),
                );
            };
            match sessions::open(&channels, &session_key, opening, guard) {
                Some(session) => session,
                None => {
                    channels.metrics.limit_hits.of(Limit::FallbackSessions).inc();
                    return with_cors(ApiError::Unavailable.into_response());
                }
            }
        }
    };
    let body = Receiving::attach(session, transport == Transport::XhrStreaming);
    with_cors(lines(axum::body::Body::new(body)))
}

/// An answer of lines.
fn lines(body: axum::body::Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/javascript; charset=UTF-8"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        // nginx would hold back what is meant to stream.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

/// The whole life of a session that may not be: it costs nothing to keep.
fn refused(refusal: &Refusal) -> Response {
    let (code, reason) = (refusal.code.code(), quoted(&refusal.message));
    let error = ServerEvent::Error { code: Some(code), message: &refusal.message }.json();
    lines(format!("o\na[{}]\nc[{code},{reason}]\n", quoted(&error)).into())
}

/// Takes messages from a client. The answer says that they arrived; what they do comes through the session.
async fn send(
    State(channels): State<Arc<Channels>>,
    Named((key, server, id)): SessionPath,
    request: Request,
) -> Response {
    let Some(session) = channels.fallback.get(&SessionKey { key, server, id }) else {
        return with_cors(ApiError::NotFound.into_response());
    };
    let body = match crate::http::read_body(&channels, request.into_body()).await {
        Ok(body) => body,
        Err(error) => return with_cors(error.into_response()),
    };
    let messages: Vec<String> = match serde_json::from_slice(&body) {
        Ok(messages) => messages,
        Err(error) => return with_cors(ApiError::InvalidBody(error.to_string()).into_response()),
    };
    channels.metrics.received_bytes.inc_by(body.len() as u64);
    if !session.take(messages).await {
        return with_cors(ApiError::NotFound.into_response());
    }
    with_cors(StatusCode::NO_CONTENT.into_response())
}

/// Browsers ask first, because the requests carry `Content-Type: application/json`.
async fn preflight() -> Response {
    with_cors(StatusCode::NO_CONTENT.into_response())
}

/// Any page may ask: what decides is the application's list of origins, at the opening of a session, and there are no
/// cookies to protect.
fn with_cors(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "POST, OPTIONS"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", "86400"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}
