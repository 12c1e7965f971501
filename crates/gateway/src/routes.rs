//! What is at which path of the public addresses.

use std::sync::Arc;
use std::time::Instant;

use ::http::{HeaderMap, header};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use courant_channels::http::ClientInfo;
use courant_channels::http::error::{ApiError, ErrorText};
use courant_channels::{fallback, http};
use courant_telemetry::metrics::labels::{Endpoint, Status};

use crate::gateway::{Admission, Gateway, asks_for_websocket};
use crate::websocket;

/// All public routes. With a prefix they are there as well as at the root, because some SDKs can't be told a prefix.
pub fn public(gateway: Arc<Gateway>, path_prefix: &str) -> Router {
    let routes = Router::new()
        .route("/app/{key}", get(websocket::app))
        .with_state(gateway.clone())
        .merge(http::routes().merge(fallback::routes()).with_state(gateway.channels.clone()));
    let mut router = routes.clone().route("/", get(welcome));
    if !path_prefix.is_empty() {
        router = router.nest(path_prefix, routes);
    }
    router
        .fallback(elsewhere)
        .with_state(gateway.clone())
        .layer(middleware::from_fn_with_state(gateway, around))
}

/// Somebody opened the address in a browser, or a load balancer asks whether anybody is there.
async fn welcome(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if asks_for_websocket(request.headers()) {
        return websocket::elsewhere(gateway, request);
    }
    "courant\n".into_response()
}

async fn elsewhere(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    if asks_for_websocket(request.headers()) {
        return websocket::elsewhere(gateway, request);
    }
    ApiError::NotFound.into_response()
}

/// Tells handlers who asks, and counts.
async fn around(State(gateway): State<Arc<Gateway>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let endpoint = endpoint(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    if let Some(admission) = request.extensions().get::<Arc<Admission>>() {
        let address = gateway.client_of(admission, request.headers());
        let tls = gateway.is_tls(admission, request.headers());
        request.extensions_mut().insert(ClientInfo { address, tls });
    }
    let wants_json = gateway.json_errors && accepts_json(request.headers());
    let mut response = next.run(request).await;
    if wants_json && let Some(text) = response.extensions_mut().remove::<ErrorText>() {
        response = text.json_response(response.status());
    }
    let status = Status::from(response.status().as_u16());
    gateway.metrics.http_requests.of(endpoint, status).inc();
    gateway.metrics.http_request_seconds.of(endpoint).observe(begun.elapsed().as_secs_f64());
    response
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split([',', ';'])).any(|part| part.trim() == "application/json")
}

/// The label of a route; prefixes make no difference.
fn endpoint(matched: Option<&str>) -> Endpoint {
    let Some(path) = matched else { return Endpoint::Other };
    let table = [
        ("/xhr_streaming", Endpoint::XhrStreaming),
        ("/xhr_send", Endpoint::XhrSend),
        ("/xhr", Endpoint::Xhr),
        ("/batch_events", Endpoint::BatchEvents),
        ("/channels/{channel}/events", Endpoint::ChannelEvents),
        ("/channels/{channel}/users", Endpoint::ChannelUsers),
        ("/channels/{channel}/stats", Endpoint::ChannelStats),
        ("/channels/{channel}", Endpoint::Channel),
        ("/channels", Endpoint::Channels),
        ("/events", Endpoint::Events),
        ("/terminate_connections", Endpoint::TerminateConnections),
        ("/app/{key}", Endpoint::Upgrade),
    ];
    table.iter().find(|(end, _)| path.ends_with(end)).map_or(Endpoint::Other, |(_, endpoint)| *endpoint)
}
