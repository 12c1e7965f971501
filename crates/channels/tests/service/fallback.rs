//! What the HTTP fallback does in time, with time that is paused.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use courant_channels::fallback;
use courant_channels::http::ClientInfo;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::rig::{KEY, Rig, app, settings};

async fn post(router: &Router, endpoint: &str, body: &'static str) -> axum::response::Response {
    let mut request = Request::post(format!("/pusher/app/{KEY}/123/abcdefgh/{endpoint}?protocol=7"))
        .body(Body::from(body))
        .unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    request.extensions_mut().insert(ClientInfo { address, tls: false });
    router.clone().oneshot(request).await.unwrap()
}

/// The next piece of a body, which is a line.
async fn line(body: &mut Body) -> Option<String> {
    let frame = body.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_silent_response_has_a_heartbeat_every_25_seconds() {
    let mut settings = settings();
    settings.ping_interval = Duration::from_secs(600);
    let rig = Rig::start(app(), settings);
    let router = fallback::routes().with_state(rig.channels.clone());
    let mut body = post(&router, "xhr_streaming", "").await.into_body();
    assert_eq!(line(&mut body).await.as_deref(), Some("o\n"));
    assert!(line(&mut body).await.unwrap().starts_with("a["));
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(line(&mut body).await.as_deref(), Some("h\n"));
        assert_eq!(begun.elapsed().as_secs(), 25);
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_without_news_ends_with_a_heartbeat() {
    let mut settings = settings();
    settings.ping_interval = Duration::from_secs(600);
    let rig = Rig::start(app(), settings);
    let router = fallback::routes().with_state(rig.channels.clone());
    for expected in ["o\n", "a["] {
        let body = post(&router, "xhr", "").await.into_body();
        let text = body.collect().await.unwrap().to_bytes();
        assert!(text.starts_with(expected.as_bytes()), "{text:?}");
    }
    let text = post(&router, "xhr", "").await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&text[..], b"h\n");
}
