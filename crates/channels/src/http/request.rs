//! From an HTTP request to one that an application signed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, OriginalUri, Path, Request};
use bytes::Bytes;
use courant_auth::signature::http::{Query, SignedRequest, verify_body, verify_head};
use courant_telemetry::metrics::labels::Limit;
use courant_telemetry::traceparent::TraceParent;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::ApiError;
use crate::service::{Channels, Tenant};

/// What the path names, decoded. A path that is no text names nothing.
pub(crate) struct Named<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Named<T>
where
    Path<T>: FromRequestParts<S>,
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut http::request::Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names)).map_err(|_| ApiError::NotFound)
    }
}

/// A request whose signature is right.
pub(super) struct Signed {
    pub(super) tenant: Arc<Tenant>,
    pub(super) query: Query,
    pub(super) body: Bytes,
    pub(super) trace: Option<TraceParent>,
}

/// Reads a request and checks who signed it. `app_id` is the application that the path names, if it names one.
pub(super) async fn signed(
    channels: &Channels,
    app_id: Option<&str>,
    request: Request,
) -> Result<Signed, ApiError> {
    let (parts, body) = request.into_parts();
    if let Some(app_id) = app_id
        && channels.apps.by_id(app_id).is_none()
    {
        return Err(ApiError::UnknownApp(app_id.to_owned()));
    }
    let trace = TraceParent::from_headers(&parts.headers);
    // Routers cut prefixes off; what was signed is what was sent.
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let query_text = uri.query().unwrap_or_default();
    let request = SignedRequest {
        method: parts.method.as_str(),
        path: uri.path(),
        path_prefix: &channels.settings.path_prefix,
        query: query_text,
        body: &[],
    };
    let now_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let signer = verify_head(&channels.apps, app_id, &request, now_unix_s)?;
    if !signer.app.enabled {
        return Err(ApiError::AppDisabled);
    }
    // Only who knows the secret makes the server keep a body.
    let body = read(channels, body).await?;
    verify_body(query_text, &body)?;
    let tenant = channels.tenant(&signer.app).cloned().ok_or(ApiError::NotFound)?;
    Ok(Signed { tenant, query: Query::parse(query_text), body, trace })
}

/// Reads a body within its bounds of size and time.
pub(crate) async fn read(channels: &Channels, body: axum::body::Body) -> Result<Bytes, ApiError> {
    let bytes_max = channels.settings.request_body_bytes_max;
    let whole = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(channels.settings.request_body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            channels.metrics.limit_hits.of(Limit::BodyBytes).inc();
            Err(ApiError::BodyTooLarge { bytes_max })
        }
        Ok(Err(_)) => Err(ApiError::BodyTimeout),
        Err(_) => {
            channels.metrics.limit_hits.of(Limit::BodyTime).inc();
            Err(ApiError::BodyTimeout)
        }
    }
}
