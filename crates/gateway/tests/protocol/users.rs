//! Sign-in, events for one user, and terminating a user's connections.

use serde_json::json;

use crate::support::{Api, App, Pusher, Server};

#[tokio::test]
async fn a_sign_in_is_answered_with_what_was_signed() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.send_sign_in(r#"{"id":"7", "user_info":{"name":"Ann"}}"#).await;
    client
        .expect(concat!(
            r#"{"event":"pusher:signin_success","data":"{\"user_data\":"#,
            r#"\"{\\\"id\\\":\\\"7\\\", \\\"user_info\\\":{\\\"name\\\":\\\"Ann\\\"}}\"}"}"#
        ))
        .await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_sign_in_that_is_not_signed_properly_is_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let user_data = r#"{"id":"7"}"#;
    let sign_in =
        |auth: &str| json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}});
    client.send(&sign_in("x")).await;
    client.expect_error(None, "Invalid format: auth must have the format key:signature").await;
    client.send(&sign_in("other:00")).await;
    client.expect_error(None, "Invalid key in subscription auth data: 'other'").await;
    client.send(&sign_in("app-key:00")).await;
    let message = format!(
        "Invalid signature: Expected HMAC SHA256 hex digest of {}::user::{user_data}, but got 00",
        client.socket_id
    );
    client.expect_error(None, &message).await;
    // A signature for a channel is none for a user.
    let auth = app.channel_auth(&client.socket_id, ":user:", Some(user_data));
    client.send(&sign_in(&auth)).await;
    client.sign_in("7").await;
}

#[tokio::test]
async fn a_user_needs_an_id() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    let long = json!({"id": "x".repeat(201)}).to_string();
    for user_data in
        ["", "null", "{}", "[]", r#"["7"]"#, r#"{"id":""}"#, r#"{"id":7}"#, r#"{"id":null}"#, &long]
    {
        client.send_sign_in(user_data).await;
        let event = client.expect_event("pusher:error").await;
        let message = event.json["data"]["message"].as_str().unwrap();
        assert!(message.starts_with("Invalid user data: "), "{user_data}: {message}");
        assert!(event.json["data"]["code"].is_null());
    }
    client.sign_in(&"x".repeat(200)).await;
}

#[tokio::test]
async fn a_connection_is_one_users_for_ever() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.sign_in("7").await;
    client.send_sign_in(r#"{"id":"8"}"#).await;
    client.expect_error(None, "Connection is already signed in as another user").await;
    // Once more as the same user changes nothing and is no error: a client that lost the answer asks again.
    let again = client.sign_in_with(r#"{"id":"7","user_info":1}"#).await;
    assert_eq!(again.data_json()["user_data"], r#"{"id":"7","user_info":1}"#);
    client.subscribe("#server-to-user-7").await;
}

#[tokio::test]
async fn an_event_for_a_user_reaches_all_of_the_users_connections() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut clients = Vec::new();
    for user_id in ["7", "7", "8"] {
        let mut client = Pusher::connect(&server, &app).await;
        client.sign_in(user_id).await;
        client.subscribe(&format!("#server-to-user-{user_id}")).await;
        clients.push(client);
    }
    let api = Api::new(&server, &app);
    api.trigger("#server-to-user-7", "hello", r#"{"to":7}"#).await;
    api.trigger("#server-to-user-8", "hello", r#"{"to":8}"#).await;
    for (client, user_id) in clients.iter_mut().zip([7, 7, 8]) {
        client
            .expect(&format!(
                r##"{{"event":"hello","channel":"#server-to-user-{user_id}","data":"{{\"to\":{user_id}}}"}}"##
            ))
            .await;
        client.expect_silence().await;
    }
}

#[tokio::test]
async fn a_users_own_channel_is_none_of_the_applications() {
    let app = App::usual().set("subscription_counting = true");
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.sign_in("7").await;
    client.subscribe("#server-to-user-7").await;
    client.expect_silence().await;
    let api = Api::new(&server, &app);
    assert_eq!(api.get("/channels", &[]).await.text(), r#"{"channels":{}}"#);
    client.unsubscribe("#server-to-user-7").await;
    client.expect_silence().await;
    api.trigger("#server-to-user-7", "lost", "1").await;
    client.subscribe("#server-to-user-7").await;
    api.trigger("#server-to-user-7", "kept", "2").await;
    client.expect_event("kept").await;
}

#[tokio::test]
async fn terminating_a_user_closes_the_connections_that_are_signed_in_as_it() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    // The second path is the Python SDK's, which leaves the application out.
    for path in
        ["/apps/1001/users/user%20%C3%BC/terminate_connections", "/users/user%20%C3%BC/terminate_connections"]
    {
        let user = "user ü";
        let mut signed_in = [Pusher::connect(&server, &app).await, Pusher::connect(&server, &app).await];
        for client in &mut signed_in {
            client.sign_in(user).await;
        }
        let mut member_only = Pusher::connect(&server, &app).await;
        member_only.subscribe_as("presence-a", user).await;
        let mut other = Pusher::connect(&server, &app).await;
        other.sign_in("user").await;

        let response = api.request_at("POST", path, b"{}").send().await;
        assert_eq!((response.status, response.text().as_str()), (200, "{}"), "{path}");
        assert_eq!(response.header("content-type"), Some("application/json"));
        for client in &mut signed_in {
            assert_eq!(client.closed().await, (4009, "You got disconnected by the app".into()));
        }
        member_only.expect_silence().await;
        other.expect_silence().await;
    }
}

#[tokio::test]
async fn terminating_somebody_who_is_not_there_is_no_error() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let response = Api::new(&server, &app).post("/users/nobody/terminate_connections", &json!({})).await;
    assert_eq!((response.status, response.text().as_str()), (200, "{}"));
}

#[tokio::test]
async fn a_presence_channel_takes_who_is_signed_in() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.sign_in_with(r#"{"id":"7","user_info":{"name":"Ann"}}"#).await;
    let greeting = client.subscribe("presence-a").await;
    assert_eq!(greeting.data(), r#"{"presence":{"ids":["7"],"hash":{"7":{"name":"Ann"}},"count":1}}"#);
    // What the application says about the channel comes first.
    let greeting = client.subscribe_with("presence-b", Some(r#"{"user_id":"8"}"#)).await;
    assert_eq!(greeting.data(), r#"{"presence":{"ids":["8"],"hash":{"8":{}},"count":1}}"#);
    // pusher-js sends null where there is nothing.
    let auth = app.channel_auth(&client.socket_id, "presence-c", None);
    let data = json!({"channel": "presence-c", "auth": auth, "channel_data": null});
    client.send(&json!({"event": "pusher:subscribe", "data": data})).await;
    let greeting = client.expect_event("pusher_internal:subscription_succeeded").await;
    assert_eq!(greeting.data_json()["presence"]["ids"], json!(["7"]));
}
