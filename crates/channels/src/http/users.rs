//! Acting on users.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use courant_cluster::Body;
use tracing::warn;

use super::empty;
use super::error::ApiError;
use super::request::{Named, Signed, signed};
use crate::CloseCode;
use crate::publish::message;
use crate::service::{Channels, user_topic};

/// `POST /apps/{app}/users/{user}/terminate_connections`: closes all connections that are signed in as a user.
pub(super) async fn terminate(
    State(channels): State<Arc<Channels>>,
    Named((app, user)): Named<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, Some(&app), request).await?;
    close_all(&channels, request, &user).await
}

/// The same without the application in the path.
pub(super) async fn terminate_by_key(
    State(channels): State<Arc<Channels>>,
    Named(user): Named<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = signed(&channels, None, request).await?;
    close_all(&channels, request, &user).await
}

async fn close_all(channels: &Channels, request: Signed, user_id: &str) -> Result<Response, ApiError> {
    let app = &request.tenant.app;
    if user_id.is_empty() || user_id.len() > app.limits.user_id_bytes_max {
        return Err(ApiError::InvalidUserId);
    }
    // pusher-js does not come back after it.
    let body = Body::Close {
        code: CloseCode::Unauthorized.code(),
        reason: "You got disconnected by the app".into(),
    };
    let topic = user_topic(app.id.as_str(), user_id);
    channels.bus.publish(&topic, message(body, None)).await.map_err(|error| {
        warn!(%error, "a user's connections were not terminated");
        ApiError::Unavailable
    })?;
    Ok(empty())
}
