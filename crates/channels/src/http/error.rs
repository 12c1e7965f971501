//! Every error of the HTTP API, in one table.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use courant_auth::signature::http::HttpAuthError;
use http::{StatusCode, header};

use crate::message::quoted;

/// Why a request was refused. The text is the body of the answer, a line of plain text.
///
/// Texts with a source in the official SDKs' tests are to the letter, mistakes included; the others are ours.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request is not signed as it should be.
    #[error("{0}")]
    Unauthorized(#[from] HttpAuthError),
    /// The application is disabled.
    #[error("Application is disabled")]
    AppDisabled,
    /// There is no such application.
    #[error("Could not find app by id {0}")]
    UnknownApp(String),
    /// There is nothing at this path.
    #[error("Unknown path")]
    NotFound,
    /// The path takes another method.
    #[error("Method not allowed")]
    MethodNotAllowed,
    /// The body is no JSON, or not of the expected shape.
    #[error("Invalid JSON body: {0}")]
    InvalidBody(String),
    /// A parameter is missing. SDK tests compare it for `channel`.
    #[error("Missing required parameter: {0}")]
    Missing(&'static str),
    /// The event's data is not a string.
    #[error("The data of an event must be a string; encode other values as JSON first")]
    DataNotAString,
    /// The event's data is too large. The text of the real service.
    #[error(
        "The data content of this event exceeds the allowed maximum ({bytes_max} bytes). See \
         https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info"
    )]
    DataTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The event's name is too long.
    #[error("The event name exceeds the allowed maximum ({bytes_max} bytes)")]
    NameTooLong {
        /// The bound.
        bytes_max: usize,
    },
    /// Too many channels in one publish.
    #[error("Too many channels ({given} > {channels_max})")]
    TooManyChannels {
        /// How many were given.
        given: usize,
        /// The bound.
        channels_max: usize,
    },
    /// Too many events in a batch. The text of the real service.
    #[error("Batch too large ({given} > {events_max})")]
    BatchTooLarge {
        /// How many were given.
        given: usize,
        /// The bound.
        events_max: usize,
    },
    /// A name breaks the rules.
    #[error("Invalid channel name: {0}")]
    InvalidChannel(String),
    /// A socket id is none.
    #[error("Invalid socket id: {0}")]
    InvalidSocketId(String),
    /// A user id is empty or too long.
    #[error("Invalid user id")]
    InvalidUserId,
    /// An attribute that is none. SDK tests look for the first words.
    #[error("info should be a comma separated list of attributes, and '{0}' is not one")]
    InvalidInfo(String),
    /// `user_count` for all channels. The text of the real service.
    #[error(
        "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-"
    )]
    UserCountNeedsPrefix,
    /// `user_count` of a channel without presence. The text of the real service.
    #[error("Cannot retrieve the user count unless the channel is a presence channel")]
    UserCountNeedsPresence,
    /// The users of a channel without presence. The text of the real service.
    #[error("Users can only be retrieved for presence channels")]
    UsersNeedPresence,
    /// The body is larger than any request needs.
    #[error("The body of the request exceeds the allowed maximum ({bytes_max} bytes)")]
    BodyTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The body did not arrive in time, or broke off.
    #[error("The body of the request did not arrive")]
    BodyTimeout,
    /// The bus or the state is away or full; the SDK may retry.
    #[error("The server can't do this at the moment, try again later")]
    Unavailable,
}

/// The text of an error, as an extension of its answer: for who wants to put it into another form.
#[derive(Clone, Debug)]
pub struct ErrorText(pub Arc<str>);

impl ErrorText {
    /// The error as JSON, as self-hosted servers of old answered: `{"error":"…","code":404}`.
    pub fn json_response(&self, status: StatusCode) -> Response {
        let body = format!(r#"{{"error":{},"code":{}}}"#, quoted(&self.0), status.as_u16());
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl ApiError {
    /// The status that goes with it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::AppDisabled => StatusCode::FORBIDDEN,
            Self::UnknownApp(_) | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::DataTooLarge { .. } | Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidBody(_)
            | Self::Missing(_)
            | Self::DataNotAString
            | Self::NameTooLong { .. }
            | Self::TooManyChannels { .. }
            | Self::BatchTooLarge { .. }
            | Self::InvalidChannel(_)
            | Self::InvalidSocketId(_)
            | Self::InvalidUserId
            | Self::InvalidInfo(_)
            | Self::UserCountNeedsPrefix
            | Self::UserCountNeedsPresence
            | Self::UsersNeedPresence => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let text = self.to_string();
        let mut response = (self.status(), headers, format!("{text}\n")).into_response();
        response.extensions_mut().insert(ErrorText(text.into()));
        if matches!(self, Self::Unavailable) {
            response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        response
    }
}

/// The errors as a Markdown table, for `docs/protocol.md`.
pub fn reference_markdown() -> String {
    let name = || "NAME".to_owned();
    let errors = [
        ApiError::AppDisabled,
        ApiError::UnknownApp("ID".into()),
        ApiError::NotFound,
        ApiError::MethodNotAllowed,
        ApiError::InvalidBody("REASON".into()),
        ApiError::Missing("PARAMETER"),
        ApiError::DataNotAString,
        ApiError::DataTooLarge { bytes_max: 10_240 },
        ApiError::NameTooLong { bytes_max: 200 },
        ApiError::TooManyChannels { given: 101, channels_max: 100 },
        ApiError::BatchTooLarge { given: 11, events_max: 10 },
        ApiError::InvalidChannel(name()),
        ApiError::InvalidSocketId("ID".into()),
        ApiError::InvalidUserId,
        ApiError::InvalidInfo(name()),
        ApiError::UserCountNeedsPrefix,
        ApiError::UserCountNeedsPresence,
        ApiError::UsersNeedPresence,
        ApiError::BodyTooLarge { bytes_max: 1_048_576 },
        ApiError::BodyTimeout,
        ApiError::Unavailable,
    ];
    let mut out = String::from("| status | body |\n|---|---|\n");
    for error in errors {
        out.push_str(&format!("| {} | `{error}` |\n", error.status().as_u16()));
    }
    out
}
