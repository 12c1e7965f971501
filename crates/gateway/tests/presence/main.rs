//! Presence channels: who is there, told once each.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../support/lib.rs"]
mod support;

use serde_json::{Value, json};
use support::{Api, App, Pusher, Server, soon};

const CHANNEL: &str = "presence-room";

async fn member(server: &Server, app: &App, channel_data: &str) -> (Pusher, Value) {
    let mut client = Pusher::connect(server, app).await;
    let greeting = client.subscribe_with(CHANNEL, Some(channel_data)).await;
    (client, greeting.data_json()["presence"].clone())
}

fn added(data: &str) -> String {
    format!(
        r#"{{"event":"pusher_internal:member_added","channel":"{CHANNEL}","data":{}}}"#,
        Value::from(data)
    )
}

fn removed(user_id: &str) -> String {
    let data = format!(r#"{{"user_id":{}}}"#, Value::from(user_id));
    format!(
        r#"{{"event":"pusher_internal:member_removed","channel":"{CHANNEL}","data":{}}}"#,
        Value::from(data)
    )
}

#[tokio::test]
async fn coming_and_going_are_told_to_the_others_to_the_letter() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut watcher, _) = member(&server, &app, r#"{"user_id":"watcher"}"#).await;
    let (with_info, _) = member(&server, &app, r#"{"user_id":"1","user_info":{"name":"Ann \"ü\""}}"#).await;
    watcher
        .expect(concat!(
            r#"{"event":"pusher_internal:member_added","channel":"presence-room","#,
            r#""data":"{\"user_id\":\"1\",\"user_info\":{\"name\":\"Ann \\\"ü\\\"\"}}"}"#
        ))
        .await;
    let (without, _) = member(&server, &app, r#"{"user_id":"2","other":"is dropped"}"#).await;
    watcher.expect(&added(r#"{"user_id":"2"}"#)).await;
    with_info.close().await;
    watcher
        .expect(r#"{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\"user_id\":\"1\"}"}"#)
        .await;
    drop(without);
    watcher.expect(&removed("2")).await;
    watcher.expect_silence().await;
}

#[tokio::test]
async fn the_greeting_lists_everybody_once_the_newcomer_included() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (_a, greeting) = member(&server, &app, r#"{"user_id":"a","user_info":1}"#).await;
    assert_eq!(greeting, json!({"ids": ["a"], "hash": {"a": 1}, "count": 1}));
    let (_b, _) = member(&server, &app, r#"{"user_id":"b"}"#).await;
    let (_b2, _) = member(&server, &app, r#"{"user_id":"b"}"#).await;
    let (mut c, greeting) = member(&server, &app, r#"{"user_id":"c","user_info":{"x":[]}}"#).await;
    assert_eq!(
        greeting,
        json!({"ids": ["a", "b", "c"], "hash": {"a": 1, "b": {}, "c": {"x": []}}, "count": 3})
    );
    // Nobody is told of one's own coming.
    c.expect_silence().await;
}

#[tokio::test]
async fn a_user_with_several_connections_comes_once_and_goes_once() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut watcher, _) = member(&server, &app, r#"{"user_id":"watcher"}"#).await;
    let (first, _) = member(&server, &app, r#"{"user_id":"7"}"#).await;
    watcher.expect(&added(r#"{"user_id":"7"}"#)).await;
    let (mut second, greeting) = member(&server, &app, r#"{"user_id":"7"}"#).await;
    assert_eq!(greeting["count"], 2);
    let (third, _) = member(&server, &app, r#"{"user_id":"7"}"#).await;
    first.close().await;
    third.close().await;
    second.unsubscribe(CHANNEL).await;
    watcher.expect(&removed("7")).await;
    second.subscribe_as(CHANNEL, "7").await;
    watcher.expect(&added(r#"{"user_id":"7"}"#)).await;
    second.expect_silence().await;
    watcher.expect_silence().await;
}

#[tokio::test]
async fn one_connection_of_a_user_hears_nothing_of_the_users_others() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut first, _) = member(&server, &app, r#"{"user_id":"7"}"#).await;
    let (second, _) = member(&server, &app, r#"{"user_id":"7"}"#).await;
    second.close().await;
    let (_other, _) = member(&server, &app, r#"{"user_id":"8"}"#).await;
    first.expect(&added(r#"{"user_id":"8"}"#)).await;
    first.expect_silence().await;
}

#[tokio::test]
async fn the_first_information_about_a_user_stays() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut first, _) = member(&server, &app, r#"{"user_id":"7","user_info":"first"}"#).await;
    let (_second, greeting) = member(&server, &app, r#"{"user_id":"7","user_info":"second"}"#).await;
    assert_eq!(greeting["hash"], json!({"7": "first"}));
    first.unsubscribe(CHANNEL).await;
    // While the user has a connection there, what the first one said stays.
    let (_third, greeting) = member(&server, &app, r#"{"user_id":"8"}"#).await;
    assert_eq!(greeting["hash"], json!({"7": "first", "8": {}}));
}

#[tokio::test]
async fn numbers_and_texts_of_the_same_digits_are_one_user() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut watcher, _) = member(&server, &app, r#"{"user_id":"watcher"}"#).await;
    let (number, greeting) =
        member(&server, &app, r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#).await;
    assert_eq!(greeting["ids"], json!(["watcher", "10"]));
    watcher.expect(&added(r#"{"user_id":"10","user_info":{"name":"Mr. Channels"}}"#)).await;
    let (text, greeting) = member(&server, &app, r#"{"user_id":"10"}"#).await;
    assert_eq!(greeting["count"], 2);
    number.close().await;
    text.close().await;
    watcher.expect(&removed("10")).await;
    let (_float, greeting) = member(&server, &app, r#"{"user_id":-1.5}"#).await;
    assert_eq!(greeting["ids"], json!(["watcher", "-1.5"]));
}

#[tokio::test]
async fn a_full_channel_takes_more_connections_of_its_members_and_nobody_else() {
    let app = App::usual().set("members_max = 2");
    let server = Server::with(&app).await;
    let (mut a, _) = member(&server, &app, r#"{"user_id":"a"}"#).await;
    let (b, _) = member(&server, &app, r#"{"user_id":"b"}"#).await;
    a.expect_event("pusher_internal:member_added").await;
    let (_b2, _) = member(&server, &app, r#"{"user_id":"b"}"#).await;

    let mut c = Pusher::connect(&server, &app).await;
    let message = "The maximum members per presence channel limit was reached (2)";
    c.send_subscribe(CHANNEL, Some(r#"{"user_id":"c"}"#)).await;
    let error = c.expect_event("pusher:subscription_error").await;
    assert_eq!(
        error.text,
        r#"{"event":"pusher:subscription_error","channel":"presence-room","data":"{\"type\":\"LimitReached\",\"error\":\"The maximum members per presence channel limit was reached (2)\",\"status\":4100}"}"#
    );
    c.expect_error(None, message).await;
    a.expect_silence().await;
    // It is not in the channel, and may be once there is room.
    c.trigger(CHANNEL, "client-x", Value::Null).await;
    c.expect_error(None, &format!("Client event rejected - not subscribed to channel {CHANNEL}")).await;
    b.close().await;
    drop(_b2);
    a.expect(&removed("b")).await;
    c.subscribe_as(CHANNEL, "c").await;
    a.expect(&added(r#"{"user_id":"c"}"#)).await;
    assert_eq!(server.metric(r#"courant_limit_hits_total{limit="presence_members"}"#).await, 1.0);
}

#[tokio::test]
async fn a_hundred_members_with_the_largest_information_fit_into_one_greeting() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut members = Vec::new();
    for at in 0..100 {
        let data = json!({"user_id": format!("{at:03}"), "user_info": "\"".repeat(490)}).to_string();
        assert!(data.len() > 1000 && data.len() <= 1024);
        let (client, greeting) = member(&server, &app, &data).await;
        assert_eq!(greeting["count"], at + 1);
        members.push(client);
    }
    let (_last, greeting) = member(&server, &app, r#"{"user_id":"050"}"#).await;
    assert_eq!(greeting["ids"].as_array().unwrap().len(), 100);
    assert_eq!(greeting["hash"]["099"], "\"".repeat(490));
}

#[tokio::test]
async fn each_channel_has_members_of_its_own() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-a", "1").await;
    let greeting = client.subscribe_as("presence-b", "2").await;
    assert_eq!(greeting.data_json()["presence"]["ids"], json!(["2"]));
    let mut other = Pusher::connect(&server, &app).await;
    let greeting = other.subscribe_as("presence-a", "3").await;
    assert_eq!(greeting.data_json()["presence"]["ids"], json!(["1", "3"]));
    client.expect_event("pusher_internal:member_added").await;
    // A connection that ends leaves all of its channels.
    other.subscribe_as("presence-b", "3").await;
    client.expect_event("pusher_internal:member_added").await;
    other.close().await;
    let mut left = [client.next().await.text, client.next().await.text];
    left.sort();
    for (text, channel) in left.iter().zip(["presence-a", "presence-b"]) {
        assert_eq!(
            *text,
            format!(
                r#"{{"event":"pusher_internal:member_removed","channel":"{channel}","data":"{{\"user_id\":\"3\"}}"}}"#
            )
        );
    }
}

#[tokio::test]
async fn a_client_whose_connection_breaks_is_gone() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let (mut watcher, _) = member(&server, &app, r#"{"user_id":"watcher"}"#).await;
    for how in 0..4 {
        let (mut client, _) = member(&server, &app, r#"{"user_id":"7"}"#).await;
        watcher.expect(&added(r#"{"user_id":"7"}"#)).await;
        match how {
            0 => drop(client),
            1 => client.close().await,
            // It breaks the rules of WebSockets.
            2 => {
                client.websocket.send_frame(0x83, b"").await;
                client.closed().await;
            }
            // It is terminated.
            _ => {
                client.sign_in("7").await;
                let path = "/users/7/terminate_connections";
                assert_eq!(Api::new(&server, &app).post(path, &json!({})).await.status, 200);
                client.closed().await;
            }
        }
        watcher.expect(&removed("7")).await;
    }
    watcher.expect_silence().await;
}

#[tokio::test]
async fn the_api_knows_the_members() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let path = format!("/channels/{CHANNEL}");
    let (users, info) = (format!("{path}/users"), [("info", "user_count,subscription_count")]);
    assert_eq!(api.get(&users, &[]).await.text(), r#"{"users":[]}"#);
    assert_eq!(
        api.get(&path, &info).await.text(),
        r#"{"occupied":false,"user_count":0,"subscription_count":0}"#
    );
    let (_a, _) = member(&server, &app, r#"{"user_id":"a"}"#).await;
    let (_a2, _) = member(&server, &app, r#"{"user_id":"a"}"#).await;
    let (_b, _) = member(&server, &app, r#"{"user_id":7}"#).await;
    assert_eq!(api.get(&users, &[]).await.text(), r#"{"users":[{"id":"a"},{"id":"7"}]}"#);
    assert_eq!(
        api.get(&path, &info).await.text(),
        r#"{"occupied":true,"user_count":2,"subscription_count":3}"#
    );
}

/// Users with several connections come and go at the same time. What each watcher was told is one story: a member is added
/// when it is not there, removed when it is, and at the end the story agrees with the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_watcher_is_told_is_one_story() {
    const ROUNDS: usize = 40;
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_LIMITS_MESSAGES_BURST", "10000").start().await;
    let (mut watcher, _) = member(&server, &app, r#"{"user_id":"watcher"}"#).await;
    let come_and_go = async |user_id: &str| {
        let mut client = Pusher::connect(&server, &app).await;
        for _ in 0..ROUNDS {
            client.send_subscribe(CHANNEL, Some(&json!({"user_id": user_id}).to_string())).await;
            client.unsubscribe(CHANNEL).await;
        }
        client.subscribe_after(CHANNEL, user_id).await;
        client
    };
    let busy = async {
        tokio::join!(come_and_go("a"), come_and_go("a"), come_and_go("b"), come_and_go("b"), come_and_go("c"))
    };
    let _clients = soon("all rounds", busy).await;
    // Everything about the others was told before this.
    let (_last, _) = member(&server, &app, r#"{"user_id":"last"}"#).await;
    let mut here = std::collections::BTreeSet::new();
    loop {
        let event = watcher.next().await;
        let user_id = event.data_json()["user_id"].as_str().unwrap().to_owned();
        if user_id == "last" {
            break;
        }
        match event.name() {
            "pusher_internal:member_added" => assert!(here.insert(user_id), "added twice: {}", event.text),
            "pusher_internal:member_removed" => {
                assert!(here.remove(&user_id), "was not there: {}", event.text)
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(here.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}
