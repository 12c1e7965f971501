//! `pusher:subscribe`: every kind of channel, every success and every failure.

use serde_json::{Value, json};

use crate::support::{App, Pusher, Server};

/// Reads the two answers to a subscription that failed, to the letter.
async fn expect_refusal(client: &mut Pusher, channel: &str, kind: &str, status: u16, message: &str) {
    let data = format!(r#"{{"type":"{kind}","error":{},"status":{status}}}"#, Value::from(message));
    let (channel, data) = (Value::from(channel), Value::from(data));
    client
        .expect(&format!(r#"{{"event":"pusher:subscription_error","channel":{channel},"data":{data}}}"#))
        .await;
    client.expect_error(None, message).await;
}

async fn subscribe_with_auth(client: &mut Pusher, channel: &str, auth: &str) {
    let data = json!({"channel": channel, "auth": auth});
    client.send(&json!({"event": "pusher:subscribe", "data": data})).await;
}

#[tokio::test]
async fn every_kind_of_channel_can_be_joined() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for (channel, cached) in [
        ("news", false),
        ("my-private-presence-cache-news", false),
        ("Private-news", false),
        ("A-z_0=@,.;", false),
        ("cache-news", true),
        ("private-news", false),
        ("private-my-cache-news", false),
        ("private-cache-news", true),
        ("private-encrypted-news", false),
        ("private-encrypted-cache-news", true),
    ] {
        client.send_subscribe(channel, None).await;
        client
            .expect(&format!(
                r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
            ))
            .await;
        if cached {
            client
                .expect(&format!(r#"{{"event":"pusher:cache_miss","channel":"{channel}","data":"{{}}"}}"#))
                .await;
        }
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn a_presence_channel_greets_with_its_members() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.send_subscribe("presence-a", Some(r#"{"user_id":"7","user_info":{"name":"Ann"}}"#)).await;
    client
        .expect(concat!(
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-a","#,
            r#""data":"{\"presence\":{\"ids\":[\"7\"],\"hash\":{\"7\":{\"name\":\"Ann\"}},\"count\":1}}"}"#
        ))
        .await;
    client.send_subscribe("presence-cache-a", Some(r#"{"user_id":"7"}"#)).await;
    client
        .expect(concat!(
            r#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-cache-a","#,
            r#""data":"{\"presence\":{\"ids\":[\"7\"],\"hash\":{\"7\":{}},\"count\":1}}"}"#
        ))
        .await;
    client.expect(r#"{"event":"pusher:cache_miss","channel":"presence-cache-a","data":"{}"}"#).await;
}

#[tokio::test]
async fn a_signature_that_is_missing_malformed_or_wrong_is_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let format = "Invalid format: auth must have the format key:signature";
    client.send(&json!({"event": "pusher:subscribe", "data": {"channel": "private-a"}})).await;
    expect_refusal(&mut client, "private-a", "AuthError", 401, format).await;
    for auth in ["", "no-colon"] {
        subscribe_with_auth(&mut client, "private-a", auth).await;
        expect_refusal(&mut client, "private-a", "AuthError", 401, format).await;
    }
    subscribe_with_auth(&mut client, "private-a", "other-key:abcdef").await;
    let unknown = "Invalid key in subscription auth data: 'other-key'";
    expect_refusal(&mut client, "private-a", "AuthError", 401, unknown).await;

    let socket_id = client.socket_id.clone();
    let mismatch = |channel: &str, given: &str| {
        format!(
            "Invalid signature: Expected HMAC SHA256 hex digest of {socket_id}:{channel}, but got {given}"
        )
    };
    let of_other_channel = app.channel_auth(&socket_id, "private-b", None);
    let of_other_socket = app.channel_auth("1.1", "private-a", None);
    for auth in ["app-key:", "app-key:zz", "app-key:00:11", &of_other_channel, &of_other_socket] {
        subscribe_with_auth(&mut client, "private-a", auth).await;
        let given = auth.split_once(':').unwrap().1;
        expect_refusal(&mut client, "private-a", "AuthError", 401, &mismatch("private-a", given)).await;
    }
    subscribe_with_auth(&mut client, "private-encrypted-a", "app-key:00").await;
    let message = mismatch("private-encrypted-a", "00");
    expect_refusal(&mut client, "private-encrypted-a", "AuthError", 401, &message).await;
    // None of it was in the way.
    client.subscribe("private-a").await;
}

#[tokio::test]
async fn the_text_that_should_have_been_signed_includes_channel_data() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let channel_data = r#"{"user_id":"7"}"#;
    // Signed without it.
    let auth = app.channel_auth(&client.socket_id, "presence-a", None);
    let data = json!({"channel": "presence-a", "auth": auth, "channel_data": channel_data});
    client.send(&json!({"event": "pusher:subscribe", "data": data})).await;
    let message = format!(
        "Invalid signature: Expected HMAC SHA256 hex digest of {}:presence-a:{channel_data}, but got {}",
        client.socket_id,
        auth.split_once(':').unwrap().1
    );
    expect_refusal(&mut client, "presence-a", "AuthError", 401, &message).await;
}

#[tokio::test]
async fn channel_data_is_signed_on_private_channels_too() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_with("private-a", Some(r#"{"any":"thing"}"#)).await;
    client.subscribe_with("private-encrypted-a", Some("no JSON at all")).await;

    let auth = app.channel_auth(&client.socket_id, "private-b", None);
    let data = json!({"channel": "private-b", "auth": auth, "channel_data": "x"});
    client.send(&json!({"event": "pusher:subscribe", "data": data})).await;
    client.expect_event("pusher:subscription_error").await;
    client.expect_event("pusher:error").await;
}

#[tokio::test]
async fn channel_data_that_is_no_string_is_as_if_it_were_not_there() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for (at, channel_data) in
        [Value::Null, json!(7), json!({"user_id": "7"}), json!([]), json!(true)].iter().enumerate()
    {
        let channel = format!("private-{at}");
        let auth = app.channel_auth(&client.socket_id, &channel, None);
        let data = json!({"channel": channel, "auth": auth, "channel_data": channel_data});
        client.send(&json!({"event": "pusher:subscribe", "data": data})).await;
        client.expect_event("pusher_internal:subscription_succeeded").await;
    }
}

#[tokio::test]
async fn each_active_key_of_an_application_signs_and_a_disabled_one_does_not() {
    let (old, new, gone) = (
        App::usual(),
        App::new("1001", "new-key", "new-secret"),
        App::new("1001", "gone-key", "gone-secret"),
    );
    let rotated = old
        .clone()
        .set("[[apps.keys]]\nkey = \"new-key\"\nsecret = \"new-secret\"")
        .set("[[apps.keys]]\nkey = \"gone-key\"\nsecret = \"gone-secret\"\ndisabled = true");
    let server = Server::with(&rotated).await;
    let mut client = Pusher::connect(&server, &new).await;
    client.subscribe("private-a").await;
    client.app = old;
    client.subscribe("private-b").await;
    client.app = gone;
    client.send_subscribe("private-c", None).await;
    let message = "Invalid key in subscription auth data: 'gone-key'";
    expect_refusal(&mut client, "private-c", "AuthError", 401, message).await;
}

#[tokio::test]
async fn keys_of_another_application_do_not_sign() {
    let (app, other) = (App::usual(), App::new("1002", "other-key", "other-secret"));
    let server = Server::builder().app(&app).app(&other).start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.app = other;
    client.send_subscribe("private-a", None).await;
    let message = "Invalid key in subscription auth data: 'other-key'";
    expect_refusal(&mut client, "private-a", "AuthError", 401, message).await;
}

#[tokio::test]
async fn names_that_are_not_allowed_are_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let (longest, too_long) = ("x".repeat(200), "x".repeat(201));
    for name in ["", "a b", "a/b", "a:b", "a#", "#a", "#server-to-user-", "é", "a\n", "a\"\\", &too_long] {
        client.send_subscribe(name, None).await;
        expect_refusal(&mut client, name, "InvalidRequest", 400, &format!("Invalid channel name '{name}'"))
            .await;
    }
    client.subscribe(&longest).await;
}

#[tokio::test]
async fn an_application_may_allow_shorter_names_only() {
    let app = App::usual().set("channel_name_bytes_max = 20");
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe(&"x".repeat(20)).await;
    let name = "x".repeat(21);
    client.send_subscribe(&name, None).await;
    expect_refusal(&mut client, &name, "InvalidRequest", 400, &format!("Invalid channel name '{name}'"))
        .await;
    assert_eq!(server.metric(r#"courant_limit_hits_total{limit="channel_name"}"#).await, 1.0);
}

#[tokio::test]
async fn a_presence_channel_needs_a_user() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.send_subscribe("presence-a", None).await;
    let missing = "Invalid channel_data for presence-a: it is missing, and the connection is not signed in";
    expect_refusal(&mut client, "presence-a", "InvalidRequest", 400, missing).await;
    for channel_data in [
        "",
        "{}",
        "null",
        "[]",
        r#"["7"]"#,
        "x",
        r#"{"user_id":null}"#,
        r#"{"user_id":""}"#,
        r#"{"user_id":{}}"#,
    ] {
        client.send_subscribe("presence-a", Some(channel_data)).await;
        let event = client.expect_event("pusher:subscription_error").await;
        let data = event.data_json();
        assert_eq!((data["type"].as_str(), data["status"].as_u64()), (Some("InvalidRequest"), Some(400)));
        let message = data["error"].as_str().unwrap();
        assert!(message.starts_with("Invalid channel_data for presence-a: "), "{message}");
        client.expect_error(None, message).await;
    }
}

#[tokio::test]
async fn a_member_that_is_too_large_is_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let fits =
        json!({"user_id": "7", "user_info": "x".repeat(1024 - r#"{"user_id":"7","user_info":""}"#.len())});
    assert_eq!(fits.to_string().len(), 1024);
    client.subscribe_with("presence-fits", Some(&fits.to_string())).await;
    let large = json!({"user_id": "77", "user_info": fits["user_info"]}).to_string();
    client.send_subscribe("presence-a", Some(&large)).await;
    let message = "Invalid channel_data for presence-a: it has 1025 bytes, at most 1024 are allowed";
    expect_refusal(&mut client, "presence-a", "InvalidRequest", 400, message).await;
    client.send_subscribe("presence-a", Some(&json!({"user_id": "x".repeat(129)}).to_string())).await;
    let message = "Invalid channel_data for presence-a: user_id has 129 bytes, at most 128 are allowed";
    expect_refusal(&mut client, "presence-a", "InvalidRequest", 400, message).await;
    client.subscribe_as("presence-a", &"x".repeat(128)).await;
}

#[tokio::test]
async fn a_second_subscription_is_refused_and_leaves_the_first_alone() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut other = Pusher::connect(&server, &app).await;
    other.subscribe_as("presence-a", "other").await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-a", "7").await;
    client.subscribe("news").await;
    other.expect_event("pusher_internal:member_added").await;

    for channel in ["presence-a", "news"] {
        client.send_subscribe(channel, Some(r#"{"user_id":"8"}"#)).await;
        let message = format!("Existing subscription to channel {channel}");
        expect_refusal(&mut client, channel, "AlreadySubscribed", 409, &message).await;
    }
    // Nobody heard of it, and the subscription is still there, under the first name.
    other.expect_silence().await;
    client.trigger("presence-a", "client-x", json!("still here")).await;
    other.expect(r#"{"event":"client-x","channel":"presence-a","data":"still here","user_id":"7"}"#).await;
    other.trigger("presence-a", "client-y", json!(1)).await;
    client.expect_event("client-y").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn strict_errors_answers_as_the_real_service_does() {
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_COMPATIBILITY_STRICT_ERRORS", "true").start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("news").await;
    client.send_subscribe("news", None).await;
    client.expect_error(None, "Existing subscription to channel news").await;
    subscribe_with_auth(&mut client, "private-a", "x").await;
    client.expect_error(None, "Invalid format: auth must have the format key:signature").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_connection_has_so_many_channels_and_no_more() {
    let app = App::usual().set("channels_per_connection_max = 3");
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["a", "b", "c"] {
        client.subscribe(channel).await;
    }
    client.send_subscribe("d", None).await;
    let message = "This connection already has 3 channels, the most it may have";
    expect_refusal(&mut client, "d", "LimitReached", 4100, message).await;
    client.unsubscribe("a").await;
    client.subscribe("d").await;
    assert_eq!(server.metric(r#"courant_limit_hits_total{limit="channels_per_connection"}"#).await, 1.0);
}

#[tokio::test]
async fn server_to_user_channels_are_for_their_user_alone() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let message =
        |channel: &str| format!("Channel {channel} is only for connections that are signed in as its user");
    let own = "#server-to-user-7";
    client.send_subscribe(own, None).await;
    expect_refusal(&mut client, own, "AuthError", 401, &message(own)).await;
    client.sign_in("7").await;
    for other in ["#server-to-user-8", "#server-to-user-77", "#server-to-user-"] {
        client.send_subscribe(other, None).await;
        client.expect_event("pusher:subscription_error").await;
        client.expect_event("pusher:error").await;
    }
    client.send_subscribe(own, None).await;
    client
        .expect(r##"{"event":"pusher_internal:subscription_succeeded","channel":"#server-to-user-7","data":"{}"}"##)
        .await;
}
