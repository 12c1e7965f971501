//! Requests that find no session, and what browsers ask before.

use crate::support::{App, Server, Xhr};
use crate::{ping, pong, support::xhr::messages};

#[tokio::test]
async fn a_browser_may_ask_from_any_page() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    for endpoint in ["xhr_streaming", "xhr", "xhr_send"] {
        let response = xhr.preflight(endpoint).await;
        assert_eq!(response.status, 204);
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "POST, OPTIONS"),
            ("access-control-allow-headers", "content-type"),
        ] {
            assert_eq!(response.header(name), Some(value), "{endpoint}");
        }
        // It opened nothing.
        assert_eq!(xhr.send(&[]).await.status, 404);
    }
}

#[tokio::test]
async fn sending_to_a_session_that_is_not_there_is_not_found() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let response = xhr.send(&[ping()]).await;
    assert_eq!((response.status, response.text().as_str()), (404, "Unknown path\n"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    // A session of another server number, key or name is another one.
    xhr.stream().await.expect("o").await;
    for path in [
        "/pusher/app/app-key/124/abcdefgh",
        "/pusher/app/app-kez/123/abcdefgh",
        "/pusher/app/app-key/123/abcdefgi",
    ] {
        let mut other = Xhr::new(&server, &app, "");
        other.path = path.into();
        assert_eq!(other.send(&[ping()]).await.status, 404, "{path}");
    }
    assert_eq!(xhr.send(&[ping()]).await.status, 204);
}

#[tokio::test]
async fn a_heartbeat_is_no_message() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    assert_eq!(xhr.send_raw(b"[]").await.status, 204);
    xhr.send(&[ping()]).await;
    assert_eq!(messages(&lines.next().await.unwrap()), [pong()]);
}

#[tokio::test]
async fn a_body_that_is_no_list_of_texts_is_refused_and_ends_nothing() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let mut lines = xhr.stream().await;
    lines.expect("o").await;
    lines.next().await;
    for body in ["", "x", "{}", "[7]", "[[]]", r#"["a""#, r#""text""#] {
        let response = xhr.send_raw(body.as_bytes()).await;
        assert_eq!(response.status, 400, "{body}");
        assert!(response.text().starts_with("Invalid JSON body: "), "{body}: {}", response.text());
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    }
    xhr.send(&[ping()]).await;
    assert_eq!(messages(&lines.next().await.unwrap()), [pong()]);
}

#[tokio::test]
async fn there_are_so_many_sessions_and_no_more() {
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_LIMITS_HTTP_SESSIONS_MAX", "2").start().await;
    let mut open = Vec::new();
    for session in ["abcdefga", "abcdefgb"] {
        let mut lines = Xhr::new(&server, &app, session).stream().await;
        lines.expect("o").await;
        open.push(lines);
    }
    let response = Xhr::new(&server, &app, "abcdefgc").poll().await;
    assert_eq!(response.status, 503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(server.metric(r#"courant_limit_hits_total{limit="fallback_sessions"}"#).await, 1.0);
}

#[tokio::test]
async fn the_fallback_is_behind_the_prefix_too() {
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_SERVER_PATH_PREFIX", "/realtime").start().await;
    let mut xhr = Xhr::new(&server, &app, "abcdefgh");
    xhr.path = format!("/realtime{}", xhr.path);
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    xhr.send(&[ping()]).await;
    assert_eq!(messages(&xhr.poll_line().await), [pong()]);
}
