//! Who gets which events, and in which order.

use serde_json::{Value, json};

use crate::support::{Api, App, Pusher, Server, soon};

#[tokio::test]
async fn an_event_reaches_all_subscribers_of_its_channel_and_nobody_else() {
    let (app, other_app) = (App::usual(), App::new("1002", "other-key", "other-secret"));
    let server = Server::builder().app(&app).app(&other_app).start().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe("news").await;
        clients.push(client);
    }
    let mut elsewhere = Pusher::connect(&server, &app).await;
    elsewhere.subscribe("News").await;
    let mut of_other_app = Pusher::connect(&server, &other_app).await;
    of_other_app.subscribe("news").await;

    Api::new(&server, &app).trigger("news", "hello", r#"{"some":"data ü \" 😀"}"#).await;
    for client in &mut clients {
        client.expect(r#"{"event":"hello","channel":"news","data":"{\"some\":\"data ü \\\" 😀\"}"}"#).await;
    }
    Api::new(&server, &app).trigger("News", "own", "1").await;
    elsewhere.expect(r#"{"event":"own","channel":"News","data":"1"}"#).await;
    Api::new(&server, &other_app).trigger("news", "own", "2").await;
    of_other_app.expect(r#"{"event":"own","channel":"news","data":"2"}"#).await;
}

#[tokio::test]
async fn a_connection_can_be_left_out() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut clients = [Pusher::connect(&server, &app).await, Pusher::connect(&server, &app).await];
    for client in &mut clients {
        client.subscribe("a").await;
        client.subscribe("b").await;
    }
    let [author, other] = &mut clients;
    let body = json!({"name": "x", "channels": ["a", "b"], "data": "1", "socket_id": author.socket_id});
    assert_eq!(api.post("/events", &body).await.text(), "{}");
    let event = json!({"name": "y", "channel": "a", "data": "2", "socket_id": author.socket_id});
    assert_eq!(api.post("/batch_events", &json!({"batch": [event]})).await.text(), "{}");
    api.trigger("a", "end", "").await;
    api.trigger("b", "end", "").await;
    for _ in 0..2 {
        author.expect_event("end").await;
    }
    let mut got: Vec<String> = Vec::new();
    for _ in 0..5 {
        let event = other.next().await;
        got.push(format!("{} {}", event.channel().unwrap(), event.name()));
    }
    got.sort();
    assert_eq!(got, ["a end", "a x", "a y", "b end", "b x"]);
}

#[tokio::test]
async fn a_socket_id_that_nobody_has_leaves_nobody_out() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    for socket_id in ["1.1", "99999999999999999999999.1"] {
        let body = json!({"name": "x", "channel": "a", "data": "1", "socket_id": socket_id});
        assert_eq!(Api::new(&server, &app).post("/events", &body).await.status, 200);
        client.expect_event("x").await;
    }
}

#[tokio::test]
async fn the_events_of_one_publisher_arrive_in_their_order() {
    const EVENTS: usize = 300;
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe("a").await;
        clients.push(client);
    }
    let publish = async |publisher: &str| {
        let api = Api::new(&server, &app);
        for first in (0..EVENTS).step_by(10) {
            let event = |at: usize| json!({"name": publisher, "channel": "a", "data": at.to_string()});
            let batch: Vec<Value> = (first..first + 10).map(event).collect();
            assert_eq!(api.post("/batch_events", &json!({"batch": batch})).await.status, 200);
        }
    };
    let read = async |client: &mut Pusher| {
        let mut next = [0; 3];
        for _ in 0..3 * EVENTS {
            let event = client.next().await;
            let publisher: usize = event.name().parse().unwrap();
            assert_eq!(event.data(), next[publisher].to_string(), "of publisher {publisher}");
            next[publisher] += 1;
        }
    };
    let reading = async {
        let [a, b, c, d, e, f, g, h] = &mut clients[..] else { unreachable!() };
        tokio::join!(read(a), read(b), read(c), read(d), read(e), read(f), read(g), read(h));
    };
    soon("all events", async { tokio::join!(publish("0"), publish("1"), publish("2"), reading) }).await;
}

#[tokio::test]
async fn client_events_of_one_sender_arrive_in_their_order() {
    let app = App::usual().set("client_events_per_second = 100000");
    let server = Server::builder().app(&app).env("COURANT_LIMITS_MESSAGES_BURST", "1000").start().await;
    let mut sender = Pusher::connect(&server, &app).await;
    let mut receiver = Pusher::connect(&server, &app).await;
    sender.subscribe("private-a").await;
    receiver.subscribe("private-a").await;
    for at in 0..500 {
        sender.trigger("private-a", "client-x", json!(at)).await;
    }
    for at in 0..500 {
        assert_eq!(receiver.expect_event("client-x").await.data(), at.to_string());
    }
}

/// While events are published without pause, connections join again and again. The first event after a join may be any, but
/// from it on none is missed, and one that was published after the join's answer was seen is never missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_after_a_join_is_answered_is_never_missed() {
    const JOINS: usize = 150;
    let app = App::usual();
    let server = Server::builder().app(&app).start().await;
    let published = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    let publish = async {
        let api = Api::new(&server, &app);
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            let at = published.load(std::sync::atomic::Ordering::SeqCst);
            api.trigger("a", "x", &at.to_string()).await;
            published.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    };
    let join = async || {
        for _ in 0..JOINS {
            let mut client = Pusher::connect(&server, &app).await;
            client.subscribe("a").await;
            // This one may be on its way while the answer is read; the next one is published after it.
            let not_missed = published.load(std::sync::atomic::Ordering::SeqCst) + 1;
            let mut next = client.expect_event("x").await.data().parse::<usize>().unwrap();
            assert!(next <= not_missed, "the first event is {next}, and {not_missed} was missed");
            for _ in 0..3 {
                next += 1;
                assert_eq!(client.expect_event("x").await.data(), next.to_string());
            }
        }
    };
    let joining = async {
        tokio::join!(join(), join(), join());
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    soon("all joins", async { tokio::join!(publish, joining) }).await;
}

#[tokio::test]
async fn an_event_to_many_channels_comes_once_for_each() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let channels: Vec<String> = (0..100).map(|at| format!("c{at}")).collect();
    for channel in &channels {
        client.subscribe(channel).await;
    }
    let body = json!({"name": "x", "channels": channels, "data": "1"});
    assert_eq!(Api::new(&server, &app).post("/events", &body).await.text(), "{}");
    let mut got = Vec::new();
    for _ in 0..100 {
        got.push(client.expect_event("x").await.channel().unwrap().to_owned());
    }
    got.sort();
    let mut expected = channels;
    expected.sort();
    assert_eq!(got, expected);
    client.expect_silence().await;
}
