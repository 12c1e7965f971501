//! `GET /channels` and its kin.

use serde_json::json;

use crate::assert_json;
use crate::support::{Api, App, Pusher, Server, until};

#[tokio::test]
async fn the_occupied_channels_are_listed_with_nothing_that_was_not_asked_for() {
    let (app, other) = (App::usual(), App::new("1002", "other-key", "other-secret"));
    let server = Server::builder().app(&app).app(&other).start().await;
    let api = Api::new(&server, &app);
    assert_json(&api.get("/channels", &[]).await, r#"{"channels":{}}"#);
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["b", "a", "private-a", "cache-a", "private-encrypted-a"] {
        client.send_subscribe(channel, None).await;
        client.skip_to("pusher_internal:subscription_succeeded").await;
    }
    client.subscribe_after("presence-a", "1").await;
    client.subscribe_after("presence-b", "1").await;
    let mut foreign = Pusher::connect(&server, &other).await;
    foreign.subscribe("foreign").await;

    assert_json(
        &api.get("/channels", &[]).await,
        r#"{"channels":{"a":{},"b":{},"cache-a":{},"presence-a":{},"presence-b":{},"private-a":{},"private-encrypted-a":{}}}"#,
    );
    assert_json(
        &api.get("/channels", &[("filter_by_prefix", "private-")]).await,
        r#"{"channels":{"private-a":{},"private-encrypted-a":{}}}"#,
    );
    assert_json(&api.get("/channels", &[("filter_by_prefix", "none")]).await, r#"{"channels":{}}"#);
    assert_json(
        &api.get("/channels", &[("filter_by_prefix", "presence-"), ("info", "user_count")]).await,
        r#"{"channels":{"presence-a":{"user_count":1},"presence-b":{"user_count":1}}}"#,
    );
    assert_json(
        &api.get("/channels", &[("filter_by_prefix", "a"), ("info", "subscription_count")]).await,
        r#"{"channels":{"a":{"subscription_count":1}}}"#,
    );
    client.close().await;
    until("all are vacated", async || {
        (api.get("/channels", &[]).await.text() == r#"{"channels":{}}"#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_channel_is_shown_whether_it_is_occupied_or_not() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    for channel in ["a", "private-a", "presence-a"] {
        let path = format!("/channels/{channel}");
        assert_json(&api.get(&path, &[]).await, r#"{"occupied":false}"#);
        assert_json(
            &api.get(&path, &[("info", "subscription_count")]).await,
            r#"{"occupied":false,"subscription_count":0}"#,
        );
    }
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    client.subscribe_as("presence-a", "1").await;
    assert_json(&api.get("/channels/a", &[]).await, r#"{"occupied":true}"#);
    assert_json(
        &api.get("/channels/presence-a", &[("info", "subscription_count,user_count,cache")]).await,
        r#"{"occupied":true,"user_count":1,"subscription_count":1,"cache":null}"#,
    );
    assert_json(
        &api.get("/channels/presence-a", &[("info", "user_count")]).await,
        r#"{"occupied":true,"user_count":1}"#,
    );
}

#[tokio::test]
async fn the_deprecated_statistics_count_connections_and_users() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    assert_json(&api.get("/channels/a/stats", &[]).await, r#"{"occupied":false,"connection_count":0}"#);
    assert_json(
        &api.get("/channels/presence-a/stats", &[]).await,
        r#"{"occupied":false,"user_count":0,"connection_count":0}"#,
    );
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = Pusher::connect(&server, &app).await;
        client.subscribe("a").await;
        client.subscribe_as("presence-a", "1").await;
        clients.push(client);
    }
    assert_json(&api.get("/channels/a/stats", &[]).await, r#"{"occupied":true,"connection_count":2}"#);
    assert_json(
        &api.get("/channels/presence-a/stats", &[]).await,
        r#"{"occupied":true,"user_count":1,"connection_count":2}"#,
    );
}

#[tokio::test]
async fn names_in_paths_may_be_escaped() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-a@b,c;d=e", "user/ü \"x\"").await;
    let escaped = "/apps/1001/channels/presence-a%40b%2Cc%3Bd%3De";
    for (sent, signed) in [
        (escaped, escaped),
        (escaped, "/apps/1001/channels/presence-a@b,c;d=e"),
        ("/apps/1001/channels/presence-a@b,c;d=e", "/apps/1001/channels/presence-a@b,c;d=e"),
    ] {
        let mut request = api.request_at("GET", sent, b"").with(&[("info", "user_count")]);
        request.signed_path = signed.into();
        assert_json(&request.send().await, r#"{"occupied":true,"user_count":1}"#);
        let mut request = api.request_at("GET", &format!("{sent}/users"), b"");
        request.signed_path = format!("{signed}/users");
        assert_json(&request.send().await, r#"{"users":[{"id":"user/ü \"x\""}]}"#);
    }
    client.sign_in("7").await;
    client.subscribe("#server-to-user-7").await;
    assert_json(&api.get("/channels/%23server-to-user-7", &[]).await, r#"{"occupied":false}"#);
}

#[tokio::test]
async fn many_channels_are_listed() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let mut expected = serde_json::Map::new();
    for at in 0..150 {
        let channel = format!("channel-with-some-length-{at}");
        client.subscribe(&channel).await;
        expected.insert(channel, json!({}));
    }
    let response = Api::new(&server, &app).get("/channels", &[]).await;
    assert_eq!(response.json(), json!({"channels": expected}));
}
