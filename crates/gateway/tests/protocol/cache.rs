//! Cache channels: the last event for who comes later.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Api, App, Pusher, Server, soon, until};

#[tokio::test]
async fn the_last_event_is_the_first_that_a_new_subscriber_gets() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    for channel in ["cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a"] {
        api.trigger(channel, "x", "old").await;
        api.trigger(channel, "x", r#"{"the":"last"}"#).await;
        for user_id in ["1", "2"] {
            let mut client = Pusher::connect(&server, &app).await;
            if channel.starts_with("presence-") {
                client.subscribe_as(channel, user_id).await;
            } else {
                client.subscribe(channel).await;
            }
            client
                .expect(&format!(r#"{{"event":"x","channel":"{channel}","data":"{{\"the\":\"last\"}}"}}"#))
                .await;
            client.expect_silence().await;
        }
    }
}

#[tokio::test]
async fn a_channel_without_a_last_event_says_so() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("cache-a").await;
    client.expect(r#"{"event":"pusher:cache_miss","channel":"cache-a","data":"{}"}"#).await;
    api.trigger("cache-a", "x", "1").await;
    client.expect(r#"{"event":"x","channel":"cache-a","data":"1"}"#).await;
    client.unsubscribe("cache-a").await;
    client.subscribe("cache-a").await;
    client.expect(r#"{"event":"x","channel":"cache-a","data":"1"}"#).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn channels_that_are_not_cached_keep_nothing() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["my-cache-a", "private-my-cache-a"] {
        api.trigger(channel, "x", "1").await;
        client.subscribe(channel).await;
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn client_events_are_not_kept() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut sender = Pusher::connect(&server, &app).await;
    sender.subscribe("private-cache-a").await;
    sender.expect_event("pusher:cache_miss").await;
    let mut receiver = Pusher::connect(&server, &app).await;
    receiver.subscribe("private-cache-a").await;
    receiver.expect_event("pusher:cache_miss").await;
    sender.trigger("private-cache-a", "client-x", json!("1")).await;
    receiver.expect_event("client-x").await;

    let mut late = Pusher::connect(&server, &app).await;
    late.subscribe("private-cache-a").await;
    late.expect_event("pusher:cache_miss").await;
    api.trigger("private-cache-a", "of the server", "2").await;
    receiver.expect_event("of the server").await;
    sender.trigger("private-cache-a", "client-x", json!("3")).await;
    receiver.expect_event("client-x").await;
    late.unsubscribe("private-cache-a").await;
    late.send_subscribe("private-cache-a", None).await;
    late.skip_to("pusher_internal:subscription_succeeded").await;
    late.expect_event("of the server").await;
}

#[tokio::test]
async fn an_event_is_kept_for_its_time() {
    let app = App::usual().set("cache_ttl = \"1s\"");
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    api.trigger("cache-a", "x", "1").await;
    until("the event is gone", async || {
        let response = api.get("/channels/cache-a", &[("info", "cache")]).await;
        (response.text() == r#"{"occupied":false,"cache":null}"#).then_some(())
    })
    .await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("cache-a").await;
    client.expect_event("pusher:cache_miss").await;
}

#[tokio::test]
async fn the_api_shows_the_last_event_and_how_long_it_stays() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let info = [("info", "cache")];
    assert_eq!(api.get("/channels/cache-a", &info).await.text(), r#"{"occupied":false,"cache":null}"#);
    assert_eq!(api.get("/channels/a", &info).await.text(), r#"{"occupied":false,"cache":null}"#);
    api.trigger("cache-a", "x", r#"{"a":"ü"}"#).await;
    let shown = api.get("/channels/cache-a", &info).await.json();
    assert_eq!(shown["cache"]["data"], r#"{"a":"ü"}"#);
    let ttl = shown["cache"]["ttl"].as_u64().unwrap();
    assert!((1700..=1800).contains(&ttl), "{ttl}");
    assert_eq!(api.get("/channels/cache-a", &[]).await.text(), r#"{"occupied":false}"#);
}

/// An event is published, and the next, without pause, while connections join again and again: what the greeting holds and
/// what follows are one sequence, without a gap and without a repetition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kept_event_and_those_that_follow_are_one_sequence() {
    const JOINS: usize = 200;
    let app = App::usual();
    let server = Server::builder().app(&app).start().await;
    let done = AtomicBool::new(false);
    let api = Api::new(&server, &app);
    api.trigger("cache-a", "x", "0").await;
    let publish = async {
        for at in 1.. {
            if done.load(Ordering::SeqCst) {
                break;
            }
            api.trigger("cache-a", "x", &at.to_string()).await;
        }
    };
    let join = async || {
        for _ in 0..JOINS {
            let mut client = Pusher::connect(&server, &app).await;
            client.subscribe("cache-a").await;
            let kept: usize = client.expect_event("x").await.data().parse().unwrap();
            for next in kept + 1..kept + 4 {
                assert_eq!(client.expect_event("x").await.data(), next.to_string(), "after {kept} was kept");
            }
        }
    };
    let joining = async {
        tokio::join!(join(), join(), join());
        done.store(true, Ordering::SeqCst);
    };
    soon("all joins", async { tokio::join!(publish, joining) }).await;
}
