//! The address for operators. It must not be public.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use courant_telemetry::metrics::CONTENT_TYPE;
use http::{StatusCode, header};

use crate::gateway::Gateway;

/// All private routes.
pub fn routes(gateway: Arc<Gateway>, metrics_enabled: bool) -> Router {
    let mut router = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
    if metrics_enabled {
        router = router.route("/metrics", get(metrics));
    }
    router.with_state(gateway)
}

/// Whether the process should be left alone. It answers, so yes.
async fn livez() -> &'static str {
    "ok\n"
}

/// Whether new connections should be sent here.
async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    if gateway.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ok\n".into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    if let Some(webhooks) = gateway.channels.webhooks() {
        gateway.metrics.webhooks_journal_failing.set(webhooks.stats().is_journal_failing.into());
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], gateway.metrics.render()).into_response()
}
