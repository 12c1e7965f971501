//! What is logged, and what never is.

use serde_json::{Value, json};

use crate::receiver::{Answer, Receiver};
use crate::support::{Api, App, Pusher, Server, WebSocket, Xhr, until};
use crate::webhooks::{QUICK, told};

/// Waits until this was logged.
async fn logged(server: &Server, words: &str) {
    until(words, async || server.log().contains(words).then_some(())).await;
}

/// The log's lines, each of which must be a JSON object.
fn lines(server: &Server) -> Vec<Value> {
    server
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect()
}

#[tokio::test]
async fn logs_for_machines_are_json_and_nothing_else() {
    let app = App::usual();
    let mut server = Server::builder()
        .app(&app)
        .env("COURANT_LOG_FORMAT", "json")
        .env("COURANT_DRAIN_DURATION", "0s")
        .start()
        .await;
    Pusher::connect(&server, &app).await.close().await;
    server.terminate();
    assert!(server.ended().await.success());
    logged(&server, "\"drained\"").await;
    let lines = lines(&server);
    for line in &lines {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "no {field} in {line}");
        }
        let message = line["message"].as_str().unwrap();
        assert!(!message.ends_with('.') && !message.is_empty(), "{line}");
    }
    for message in ["ready", "draining", "drained"] {
        assert!(lines.iter().any(|line| line["message"] == message), "no {message:?} in {lines:#?}");
    }
    let ready = lines.iter().find(|line| line["message"] == "ready").unwrap();
    assert_eq!(ready["listen"], format!("[{}]", server.address));
    assert_eq!(ready["private_listen"], server.private.to_string());
}

#[tokio::test]
async fn no_log_holds_a_secret_a_signature_or_a_payload() {
    let receiver = Receiver::start(Answer::Status(500)).await;
    let app = App::new("7001", "seven-key", "hush-application-secret")
        .set("client_events = true")
        .set("watchlist = true");
    let app = told(app, &receiver, "/hook?token=hush-query", "headers = { authorization = \"hush-header\" }");
    let mut server = Server::builder()
        .app(&app)
        .config(&format!("{QUICK}retry_for = \"200ms\"\n"))
        // As much as there is of ours; libraries may say more of themselves at these levels.
        .env("COURANT_LOG_LEVEL", "debug,courant=trace,courant_gateway=trace,courant_channels=trace,courant_webhooks=trace,courant_wire=trace,courant_hub=trace,courant_auth=trace,courant_cluster=trace")
        .env("COURANT_DRAIN_DURATION", "0s")
        .start()
        .await;
    let mut client = Pusher::connect(&server, &app).await;
    let member = json!({"user_id": "ann", "user_info": {"phone": "hush-member"}}).to_string();
    client.subscribe_with("presence-room", Some(&member)).await;
    client.trigger("presence-room", "client-a", json!("hush-client-event")).await;
    client.sign_in_with(&json!({"id": "ann", "user_info": "hush-user"}).to_string()).await;
    let api = Api::new(&server, &app);
    api.trigger("presence-room", "a", "hush-event").await;
    client.skip_to("a").await;
    // Things that go wrong, with the same in them.
    let auth = app.channel_auth(&client.socket_id, "private-a", None);
    let wrong = json!({"event": "pusher:subscribe", "data": {"channel": "private-b", "auth": auth}});
    client.send(&wrong).await;
    client.skip_to("pusher:error").await;
    client.websocket.send("{\"event\": \"hush-not-json").await;
    client.skip_to("pusher:error").await;
    let request = api.request("POST", "/events", b"hush-body");
    let signature = request.signature();
    assert_eq!(request.clone().send_signed(&signature).await.status, 400);
    assert_eq!(request.send_signed(&"0".repeat(64)).await.status, 401);
    let session = Xhr::new(&server, &app, "session");
    assert_eq!(session.poll_line().await, "o");
    session.send_raw(b"[\"hush-xhr\"").await;
    session
        .send(&[json!({"event": "pusher:subscribe", "data": {"channel": "hush", "auth": "hush-xhr"}})])
        .await;
    let _refused = WebSocket::connect(server.address, "/app/unknown?token=hush-token", &[]).await.unwrap();
    until("a dead letter", async || {
        (server.metric("courant_webhooks_dead_total{reason=\"expired\"}").await > 0.0).then_some(())
    })
    .await;
    server.terminate();
    drop((client, session));
    server.ended().await;
    logged(&server, "a webhook is given up").await;
    logged(&server, "drained").await;
    let log = server.log();
    for secret in ["hush", signature.as_str(), auth.split_once(':').unwrap().1] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}

#[tokio::test]
async fn logs_for_people_begin_with_what_a_first_client_needs() {
    let app = App::usual();
    let server = Server::with(&app).await;
    logged(&server, "ready").await;
    let log = server.log();
    assert!(log.contains(&format!("is listening on http://{}", server.address)), "{log}");
    assert!(log.contains(&format!("http://{}/metrics", server.private)), "{log}");
    assert!(!log.contains(app.secret), "{log}");
}
