//! Webhooks, from what clients do to what a receiver gets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bystander::counted;
use crate::receiver::{Answer, Receiver};
use crate::support::{Api, App, Pusher, Server, until};

/// Loopback receivers are allowed, and nothing takes long.
pub const QUICK: &str = "[webhooks]\nallow_networks = [\"127.0.0.0/8\"]\ngrace = \"300ms\"\n\
                         retry_initial = \"50ms\"\nretry_max = \"200ms\"\n";

/// The usual application with a receiver at this path, and more TOML for it.
pub fn told(app: App, receiver: &Receiver, path: &str, more: &str) -> App {
    app.set("[[apps.webhooks]]").set(&format!("url = \"{}\"", receiver.url(path))).set(more)
}

/// The usual application, whose clients may send many events.
pub fn usual() -> App {
    App::usual().set("client_events_per_second = 1000")
}

/// The same, with counts of subscriptions.
pub fn counting() -> App {
    usual().set("subscription_counting = true")
}

async fn started(app: &App, config: &str) -> Server {
    Server::builder().app(app).config(config).start().await
}

/// The names of some events.
fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_seven_events_are_told_and_signed() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let app = told(counting(), &receiver, "/hook", "");
    let server = started(&app, QUICK).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-room", "ann").await;
    receiver.accepted(2).await;
    client.trigger("presence-room", "client-wave", json!({"to": "all"})).await;
    receiver.accepted(3).await;
    client.send_subscribe("cache-prices", None).await;
    receiver.accepted(6).await;
    client.unsubscribe("presence-room").await;
    let events = receiver.accepted(8).await;

    let of_room = [
        json!({"name": "channel_occupied", "channel": "presence-room"}),
        json!({"name": "member_added", "channel": "presence-room", "user_id": "ann"}),
        json!({
            "name": "client_event", "channel": "presence-room", "event": "client-wave",
            "data": "{\"to\":\"all\"}", "socket_id": client.socket_id, "user_id": "ann",
        }),
        json!({"name": "member_removed", "channel": "presence-room", "user_id": "ann"}),
        json!({"name": "channel_vacated", "channel": "presence-room"}),
    ];
    let of_prices = [
        json!({"name": "channel_occupied", "channel": "cache-prices"}),
        json!({"name": "cache_miss", "channel": "cache-prices"}),
        json!({"name": "subscription_count", "channel": "cache-prices", "subscription_count": 1}),
    ];
    for event in of_room.iter().chain(&of_prices) {
        assert_eq!(events.iter().filter(|told| *told == event).count(), 1, "{event} in {events:#?}");
    }
    assert_eq!(events.len(), 8, "{events:#?}");
    for posted in receiver.posted() {
        posted.is_signed_by(&app);
        assert_eq!((posted.path.as_str(), posted.events().len()), ("/hook", 1));
    }
    counted(&server, "courant_webhooks_delivered_total", 8.0).await;
    assert_eq!(server.metric("courant_webhooks_attempts_total{outcome=\"accepted\"}").await, 8.0);
    assert_eq!(server.metric("courant_webhooks_delivery_seconds_count").await, 8.0);
    assert_eq!(server.metric("courant_webhooks_queued").await, 0.0);
}

#[tokio::test]
async fn who_returns_within_the_grace_was_never_away() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let app = told(
        usual(),
        &receiver,
        "/",
        "event_types = [\"channel_occupied\", \"channel_vacated\", \"member_added\", \"member_removed\"]",
    );
    let grace = Duration::from_secs(2);
    let server = started(&app, &QUICK.replace("300ms", "2s")).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-room", "ann").await;
    receiver.accepted(2).await;
    // A page that is loaded anew: another connection, the same user.
    client.close().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-room", "ann").await;
    let left = Instant::now();
    client.close().await;
    let events = receiver.accepted(4).await;
    assert!(left.elapsed() >= grace, "told after {:?}", left.elapsed());
    let mut told = names(&events);
    told[2..].sort_unstable();
    assert_eq!(told, ["channel_occupied", "member_added", "channel_vacated", "member_removed"]);
    counted(&server, "courant_webhooks_delivered_total", 4.0).await;
    assert_eq!(receiver.posted().len(), 4);
}

#[tokio::test]
async fn receivers_are_told_what_they_asked_for() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let app = told(counting(), &receiver, "/private", "channel_prefix = \"private-\"");
    let app = told(
        app,
        &receiver,
        "/log",
        "channel_suffix = \"-log\"\nheaders = { authorization = \"Bearer abc\" }",
    );
    let app = told(app, &receiver, "/occupied", "event_types = [\"channel_occupied\"]");
    let server = started(&app, QUICK).await;
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["public", "private-one", "private-log", "public-log"] {
        client.send_subscribe(channel, None).await;
    }
    // Three kinds of each channel are possible; occupied and subscription_count happen here.
    receiver.accepted(4 + 4 + 4).await;
    let told = |path: &str| {
        let mut told: Vec<String> = receiver
            .posted()
            .iter()
            .filter(|posted| posted.path == path)
            .flat_map(|posted| posted.events())
            .map(|event| {
                format!("{} {}", event["name"].as_str().unwrap(), event["channel"].as_str().unwrap())
            })
            .collect();
        told.sort();
        told
    };
    assert_eq!(
        told("/private"),
        [
            "channel_occupied private-log",
            "channel_occupied private-one",
            "subscription_count private-log",
            "subscription_count private-one"
        ]
    );
    assert_eq!(
        told("/log"),
        [
            "channel_occupied private-log",
            "channel_occupied public-log",
            "subscription_count private-log",
            "subscription_count public-log"
        ]
    );
    assert_eq!(
        told("/occupied"),
        [
            "channel_occupied private-log",
            "channel_occupied private-one",
            "channel_occupied public",
            "channel_occupied public-log"
        ]
    );
    for posted in receiver.posted() {
        let authorization = posted.headers.get("authorization").map(|value| value.to_str().unwrap());
        assert_eq!(authorization, (posted.path == "/log").then_some("Bearer abc"));
    }
}

#[tokio::test]
async fn events_share_requests_where_that_is_asked_for() {
    const EVENTS: usize = 40;
    let receiver = Receiver::start(Answer::Status(200)).await;
    let app = usual();
    let app = told(app, &receiver, "/", "event_types = [\"client_event\"]\nbatching = true");
    let server = started(&app, &format!("{QUICK}batch_max = 10\n")).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    for number in 0..EVENTS {
        client.trigger("private-a", "client-count", json!(number)).await;
    }
    let mut data: Vec<usize> = receiver
        .accepted(EVENTS)
        .await
        .iter()
        .map(|event| event["data"].as_str().unwrap().parse().unwrap())
        .collect();
    data.sort_unstable();
    assert_eq!(data, (0..EVENTS).collect::<Vec<_>>());
    let posted = receiver.posted();
    assert!(posted.iter().all(|posted| posted.events().len() <= 10));
    assert!(posted.len() < EVENTS, "no two events shared one of {} requests", posted.len());
    posted.iter().for_each(|posted| posted.is_signed_by(&app));
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_with_the_same_body() {
    let receiver = Receiver::start(Answer::Status(500)).await;
    let app = told(usual(), &receiver, "/", "event_types = [\"channel_occupied\"]");
    let server = started(&app, QUICK).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    receiver.until("three attempts", |posted| posted.len() >= 3).await;
    receiver.answers(Answer::Status(200));
    receiver.accepted(1).await;
    let posted = receiver.posted();
    for attempt in &posted {
        attempt.is_signed_by(&app);
        assert_eq!(attempt.body, posted[0].body);
        assert_eq!(attempt.header("x-courant-webhook-id"), posted[0].header("x-courant-webhook-id"));
    }
    let failed = (posted.len() - 1) as f64;
    counted(&server, "courant_webhooks_delivered_total", 1.0).await;
    assert_eq!(server.metric("courant_webhooks_attempts_total{outcome=\"status\"}").await, failed);
    assert_eq!(server.metric("courant_webhooks_dead_total{reason=\"expired\"}").await, 0.0);
}

#[tokio::test]
async fn a_delivery_that_fails_for_too_long_is_given_up() {
    let receiver = Receiver::start(Answer::Status(500)).await;
    let app = told(usual(), &receiver, "/", "event_types = [\"channel_occupied\"]");
    let server = started(&app, &format!("{QUICK}retry_for = \"500ms\"\n")).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    counted(&server, "courant_webhooks_dead_total{reason=\"expired\"}", 1.0).await;
    assert_eq!(server.metric("courant_webhooks_queued").await, 0.0);
    assert!(receiver.posted().len() > 1);
}

#[tokio::test]
async fn nothing_is_sent_to_loopback_unless_that_is_allowed() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let by_name = format!("url = \"http://localhost:{}/\"", receiver.address.port());
    let app = told(usual(), &receiver, "/", "event_types = [\"channel_occupied\"]")
        .set("[[apps.webhooks]]")
        .set(&by_name)
        .set("event_types = [\"channel_occupied\"]");
    let config = "[webhooks]\nretry_for = \"500ms\"\nretry_initial = \"50ms\"";
    let server = Server::builder().app(&app).config(config).env("COURANT_LOG_LEVEL", "info").start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    counted(&server, "courant_webhooks_dead_total{reason=\"forbidden\"}", 2.0).await;
    counted(&server, "courant_webhooks_attempts_total{outcome=\"forbidden\"}", 2.0).await;
    assert_eq!(server.metric("courant_webhooks_attempts_total{outcome=\"accepted\"}").await, 0.0);
    assert_eq!(receiver.posted().len(), 0);
    assert_eq!(server.metric("courant_webhooks_queued").await, 0.0);
    let log = server.log();
    assert!(log.contains("allow_networks"), "an operator is told what to do: {log}");
}

#[tokio::test]
async fn a_dead_receiver_delays_no_other_and_no_client() {
    const EVENTS: usize = 60;
    let (dead, mute) = (Receiver::start(Answer::Status(200)).await, Receiver::start(Answer::Nothing).await);
    let receiver = Receiver::start(Answer::Status(200)).await;
    // Nobody listens there any more.
    let gone = dead.address;
    drop(dead);
    let events = "event_types = [\"client_event\"]";
    let app = told(usual(), &mute, "/", events)
        .set("[[apps.webhooks]]")
        .set(&format!("url = \"http://{gone}/\""))
        .set(events);
    let app = told(app, &receiver, "/", events);
    let server = started(&app, &format!("{QUICK}request_timeout = \"5min\"\n")).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    for number in 0..EVENTS {
        client.trigger("private-a", "client-count", json!(number)).await;
    }
    client.expect_silence().await;
    receiver.accepted(EVENTS).await;
    assert_eq!(server.metric("courant_webhooks_attempts_total{outcome=\"timeout\"}").await, 0.0);
    mute.until("attempts at the mute one", |posted| !posted.is_empty()).await;
    assert!(mute.posted().len() <= 8, "more than concurrency_per_endpoint at one time");
    let api = Api::new(&server, &app);
    api.trigger("private-a", "still", "served").await;
    client.expect_event("still").await;
    until("the queue of the two others", async || {
        (server.metric("courant_webhooks_queued").await == (2 * EVENTS) as f64).then_some(())
    })
    .await;
}
