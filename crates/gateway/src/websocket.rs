//! The WebSocket upgrade, and a connection's task.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use courant_channels::close::Refusal;
use courant_channels::connection::{Hello, Parameters};
use courant_channels::{CloseCode, Connection};
use courant_telemetry::metrics::labels::{RejectReason, Transport};
use courant_wire::{Closed, Handler, Socket, Step, handshake, serve};
use futures_util::FutureExt as _;
use http::{StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tracing::{debug, error};

use crate::gateway::{Admission, Gateway};
use crate::listener::Watched;
use crate::stream::Stream;

/// The reason beside 4100 for a client that does not read fast enough.
const SLOW_CONSUMER: (u16, &str) = (CloseCode::OverCapacity.code(), "messages are not read fast enough");

/// What a client says of itself, kept for after the upgrade.
struct Greeting {
    /// `None`: the path names no application.
    key: Option<String>,
    parameters: Parameters,
    origin: Option<String>,
    admission: Arc<Admission>,
    client: std::net::IpAddr,
    tls: bool,
}

/// `GET /app/{key}`.
pub async fn app(
    State(gateway): State<Arc<Gateway>>,
    key: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    // A key that is no text names no application, and the client is to hear it.
    let key = key.ok().map(|Path(key)| key);
    upgrade(gateway, key, Parameters::parse(query.as_deref()), request)
}

/// A WebSocket at any other path: let in, so that the client can be told that there is nothing.
pub fn elsewhere(gateway: Arc<Gateway>, request: Request) -> Response {
    upgrade(gateway, None, Parameters::default(), request)
}

fn upgrade(
    gateway: Arc<Gateway>,
    key: Option<String>,
    parameters: Parameters,
    mut request: Request,
) -> Response {
    if gateway.is_draining() {
        gateway.metrics.connections_rejected.of(RejectReason::Draining).inc();
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response();
    }
    let accept = match handshake::check(request.method(), request.version(), request.headers()) {
        Ok(accept) => accept,
        Err(error) => {
            gateway.metrics.connections_rejected.of(RejectReason::BadRequest).inc();
            return error.response().map(Body::from);
        }
    };
    let extensions = request.extensions_mut();
    let (Some(on_upgrade), Some(admission)) =
        (extensions.remove::<OnUpgrade>(), extensions.get::<Arc<Admission>>().cloned())
    else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    let client = gateway.client_of(&admission, request.headers());
    if gateway.admit_forwarded(&admission, client).is_err() {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "5")]).into_response();
    }
    let tls = gateway.is_tls(&admission, request.headers());
    let origin =
        request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let greeting = Box::new(Greeting { key, parameters, origin, admission, client, tls });
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        // Boxed, each part of it, so that the task of a connection that just listens is small.
        let opened = Box::pin(open(gateway, on_upgrade, greeting)).await;
        if let Some(Opened { socket, leftover, mut connection, _admission }) = opened {
            let served = AssertUnwindSafe(serve(socket, leftover, &mut connection)).catch_unwind().await;
            Box::pin(connection.end(served.ok())).await;
        }
    });
    handshake::switching_protocols(&accept).map(|()| Body::empty())
}

/// A connection that is to be served.
struct Opened {
    socket: Arc<Socket>,
    leftover: Bytes,
    connection: Served,
    _admission: Arc<Admission>,
}

async fn open(gateway: Arc<Gateway>, on_upgrade: OnUpgrade, greeting: Box<Greeting>) -> Option<Opened> {
    let (stream, read) = match on_upgrade.await.map(taken_back) {
        Ok(Some(taken)) => taken,
        Ok(None) => {
            error!("an upgraded connection is not of the type that was accepted");
            return None;
        }
        Err(error) => {
            debug!(%error, "an upgrade broke off");
            return None;
        }
    };
    let (transport, unread) = stream.into_transport();
    // hyper reads first what was read before it, so at most one of the two holds anything.
    let leftover = if unread.is_empty() {
        read
    } else {
        let mut both = BytesMut::from(&read[..]);
        both.extend_from_slice(&unread);
        both.freeze()
    };
    let socket = Arc::new(Socket::new(transport, gateway.context.clone(), SLOW_CONSUMER));
    let Greeting { key, parameters, origin, admission, client, tls } = *greeting;
    let connection = match &key {
        Some(key) => {
            let hello = Hello {
                key,
                protocol: parameters.protocol.as_deref(),
                version: parameters.version.as_deref(),
                origin: origin.as_deref(),
                address: client,
                transport: Transport::WebSocket,
                tls,
            };
            gateway.channels.open(&hello, socket.clone()).await.ok()
        }
        None => {
            gateway.metrics.connections_rejected.of(RejectReason::Path).inc();
            let refusal = Refusal::new(CloseCode::PathNotFound, "Path not found");
            gateway.channels.refuse(&*socket, &refusal);
            None
        }
    };
    let connection = connection.map_or(Served::Refused, |connection| Served::Open(Box::new(connection)));
    Some(Opened { socket, leftover, connection, _admission: admission })
}

/// The stream that was given to hyper, and what hyper read beyond the request.
fn taken_back(upgraded: Upgraded) -> Option<(Stream, Bytes)> {
    let parts = upgraded.downcast::<TokioIo<Watched>>().ok()?;
    Some((parts.io.into_inner().into_inner(), parts.read_buf))
}

/// What answers a client's messages.
enum Served {
    /// A connection of an application.
    Open(Box<Connection>),
    /// Nothing: the client was refused, and is only waited for until it has taken note.
    Refused,
}

impl Served {
    /// After the stream. `None`: a bug made the connection's task panic; the others go on.
    async fn end(self, closed: Option<Closed>) {
        if closed.is_none() {
            error!("a connection's task panicked; the connection was dropped");
        }
        if let Self::Open(connection) = self {
            connection.close(closed.unwrap_or(Closed::Dropped)).await;
        }
    }
}

impl Handler for Served {
    fn text(&mut self, text: &str) -> Step<'_> {
        match self {
            Self::Open(connection) => connection.text(text),
            Self::Refused => Step::Done,
        }
    }

    fn binary(&mut self, data: &[u8]) -> Step<'_> {
        match self {
            Self::Open(connection) => connection.binary(data),
            Self::Refused => Step::Done,
        }
    }
}
