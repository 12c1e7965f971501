//! Client events: who may send them where, and what the others get.

use serde_json::{Value, json};

use crate::support::{App, Pusher, Server, until};

#[tokio::test]
async fn a_client_event_reaches_all_others_and_not_its_sender() {
    let app = App::usual();
    let server = Server::with(&app).await;
    for channel in ["private-a", "private-cache-a", "private-encrypted-a", "private-encrypted-cache-a"] {
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = Pusher::connect(&server, &app).await;
            client.subscribe(channel).await;
            if channel.contains("cache-") {
                client.expect_event("pusher:cache_miss").await;
            }
            clients.push(client);
        }
        clients[0].trigger(channel, "client-hello", json!("x")).await;
        for other in &mut clients[1..] {
            other.expect(&format!(r#"{{"event":"client-hello","channel":"{channel}","data":"x"}}"#)).await;
        }
        // The next event that the sender gets is not its own.
        clients[1].trigger(channel, "client-answer", json!("y")).await;
        clients[0].expect(&format!(r#"{{"event":"client-answer","channel":"{channel}","data":"y"}}"#)).await;
    }
}

#[tokio::test]
async fn the_data_arrives_as_a_string_whatever_it_was() {
    let app = App::usual().set("client_events_per_second = 1000");
    let server = Server::with(&app).await;
    let mut sender = Pusher::connect(&server, &app).await;
    let mut receiver = Pusher::connect(&server, &app).await;
    sender.subscribe("private-a").await;
    receiver.subscribe("private-a").await;
    for (sent, received) in [
        (r#""a string""#, r#""a string""#),
        (r#""{\"already\":\"JSON\"}""#, r#""{\"already\":\"JSON\"}""#),
        (r#""\u00fcnchanged \ud83d\ude00 \/ \n""#, r#""\u00fcnchanged \ud83d\ude00 \/ \n""#),
        (r#""""#, r#""""#),
        (r#"{"b":1,"a":"ü\n"}"#, r#""{\"b\":1,\"a\":\"ü\\n\"}""#),
        (r#"[1, 2]"#, r#""[1, 2]""#),
        ("7.50", r#""7.50""#),
        ("true", r#""true""#),
        ("null", r#""null""#),
    ] {
        sender
            .websocket
            .send(&format!(r#"{{"event":"client-x","channel":"private-a","data":{sent}}}"#))
            .await;
        receiver.expect(&format!(r#"{{"event":"client-x","channel":"private-a","data":{received}}}"#)).await;
    }
    sender.websocket.send(r#"{"event":"client-x","channel":"private-a"}"#).await;
    receiver.expect(r#"{"event":"client-x","channel":"private-a","data":"null"}"#).await;
}

#[tokio::test]
async fn the_sender_is_named_on_presence_channels_only() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut sender = Pusher::connect(&server, &app).await;
    let mut receiver = Pusher::connect(&server, &app).await;
    sender.sign_in("signed-in").await;
    sender.subscribe("private-a").await;
    receiver.subscribe("private-a").await;
    sender.trigger("private-a", "client-x", json!("1")).await;
    receiver.expect(r#"{"event":"client-x","channel":"private-a","data":"1"}"#).await;

    for channel in ["presence-a", "presence-cache-a"] {
        receiver.subscribe_as(channel, "receiver").await;
        sender.subscribe_with(channel, Some(r#"{"user_id":"\"7\""}"#)).await;
        receiver.skip_to("pusher_internal:member_added").await;
        sender.trigger(channel, "client-x", json!({"n": 1})).await;
        receiver
            .expect(&format!(
                r#"{{"event":"client-x","channel":"{channel}","data":"{{\"n\":1}}","user_id":"\"7\""}}"#
            ))
            .await;
    }
}

#[tokio::test]
async fn what_is_no_client_event_is_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let mut other = Pusher::connect(&server, &app).await;
    for channel in ["private-a", "news"] {
        client.subscribe(channel).await;
        other.subscribe(channel).await;
    }
    client.subscribe("cache-news").await;
    client.expect_event("pusher:cache_miss").await;
    client.sign_in("7").await;
    client.subscribe("#server-to-user-7").await;

    for event in ["hello", "", "Client-x", "client", "server-x"] {
        client.trigger("private-a", event, Value::Null).await;
        let message = format!("Client events must have names that begin with 'client-', '{event}' does not");
        client.expect_error(None, &message).await;
    }
    for channel in ["news", "cache-news", "#server-to-user-7"] {
        client.trigger(channel, "client-x", Value::Null).await;
        let message = "Client event rejected - only supported on private and presence channels";
        client.expect_error(None, message).await;
    }
    for channel in ["private-b", "presence-a"] {
        client.trigger(channel, "client-x", Value::Null).await;
        client
            .expect_error(None, &format!("Client event rejected - not subscribed to channel {channel}"))
            .await;
    }
    client.trigger("no name", "client-x", Value::Null).await;
    client.expect_error(None, "Invalid channel name 'no name'").await;

    client.trigger("private-a", "client-good", json!("1")).await;
    other.expect(r#"{"event":"client-good","channel":"private-a","data":"1"}"#).await;
}

#[tokio::test]
async fn one_who_has_left_may_not_send() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    client.unsubscribe("private-a").await;
    client.trigger("private-a", "client-x", Value::Null).await;
    client.expect_error(None, "Client event rejected - not subscribed to channel private-a").await;
}

#[tokio::test]
async fn an_application_has_to_allow_them() {
    let app = App::usual().set("client_events = false");
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    client.trigger("private-a", "client-x", Value::Null).await;
    let message =
        "Client event rejected - you must enable 'Client events' in the app's settings before sending them";
    client.expect_error(None, message).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_what_just_fits_is_not() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let mut other = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    other.subscribe("private-a").await;
    // What counts is the text, not how it is escaped.
    let fits = "\"".repeat(10 * 1024);
    client.trigger("private-a", "client-fits", json!(fits)).await;
    assert_eq!(other.expect_event("client-fits").await.data(), fits);
    client.trigger("private-a", "client-x", json!("x".repeat(10 * 1024 + 1))).await;
    client.expect_error(None, "Client event rejected - the data exceeds 10240 bytes").await;

    let longest = format!("client-{}", "x".repeat(193));
    client.trigger("private-a", &longest, json!("1")).await;
    other.expect_event(&longest).await;
    client.trigger("private-a", &format!("{longest}x"), json!("1")).await;
    client.expect_error(None, "Client event rejected - the event name exceeds 200 bytes").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn too_many_are_refused_and_the_connection_stays() {
    let app = App::usual().set("client_events_per_second = 2");
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let mut other = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    other.subscribe("private-a").await;
    for at in 0..40 {
        client.trigger("private-a", "client-x", json!(at)).await;
    }
    let message = "Client event rejected - the rate limit of 2 messages per second was exceeded";
    client.expect_error(Some(4301), message).await;
    for _ in 0..2 {
        other.expect_event("client-x").await;
    }
    // Another connection has a rate of its own, and this one gets events again later.
    other.trigger("private-a", "client-other", json!("1")).await;
    client.skip_to("client-other").await;
    until("another event is let through", async || {
        client.trigger("private-a", "client-later", json!("1")).await;
        client.send(&json!({"event": "pusher:ping", "data": {}})).await;
        let mut was_let_through = true;
        loop {
            match client.next().await.name() {
                "pusher:pong" => return was_let_through.then_some(()),
                _ => was_let_through = false,
            }
        }
    })
    .await;
    other.skip_to("client-later").await;
}
