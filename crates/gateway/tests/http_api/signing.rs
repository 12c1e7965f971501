//! Who may ask: signatures, clocks, keys and paths.

use courant_auth::signature::http::body_md5;
use serde_json::json;

use crate::support::api::now_unix_s;
use crate::support::http;
use crate::support::{Api, App, Pusher, Server};
use crate::{assert_json, assert_refused};

const EVENT: &[u8] = br#"{"name":"x","channel":"a","data":"1"}"#;

#[tokio::test]
async fn each_parameter_of_the_signature_is_needed() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    for name in ["auth_key", "auth_timestamp", "auth_version", "body_md5"] {
        let response = api.request("POST", "/events", EVENT).without(name).send().await;
        assert_refused(&response, 401, &format!("Missing required parameter: {name}"));
    }
    let response = http::request(server.address, "GET", "/apps/1001/channels", &[], b"").await.unwrap();
    assert_refused(&response, 401, "Missing required parameter: auth_key");
    let response = api.request("GET", "/channels", b"").send_signed("").await;
    assert_refused(&response, 401, "Missing required parameter: auth_signature");
}

#[tokio::test]
async fn a_wrong_signature_is_told_what_should_have_been_signed() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let request =
        Api::new(&server, &app).request("GET", "/channels", b"").replace("auth_timestamp", now_unix_s());
    let timestamp = request.parameters.iter().find(|(name, _)| name == "auth_timestamp").unwrap().1.clone();
    let response = request.send_signed("00ff").await;
    let text = format!(
        r#"Invalid signature: you should have sent HmacSHA256Hex("GET\n/apps/1001/channels\nauth_key=app-key&auth_timestamp={timestamp}&auth_version=1.0", your_secret_key), but you sent "00ff""#
    );
    assert_refused(&response, 401, &text);
}

#[tokio::test]
async fn what_was_signed_can_not_be_changed() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let invalid = |response: &http::Response, begin: &str| {
        assert_eq!(response.status, 401);
        assert!(response.text().starts_with(begin), "{}", response.text());
    };
    // Another body, another method, another path, more parameters, another secret.
    let mut request = api.request("POST", "/events", EVENT);
    request.body = br#"{"name":"y","channel":"a","data":"1"}"#.to_vec();
    let (actual, given) = (body_md5(&request.body), body_md5(EVENT));
    let text = format!("Invalid body_md5: the MD5 of the body is {actual}, but you sent \"{given}\"");
    assert_refused(&request.send().await, 401, &text);
    let mut request = api.request("POST", "/events", b"");
    request.body = EVENT.to_vec();
    assert_refused(&request.send().await, 401, "Missing required parameter: body_md5");
    let request = api.request("POST", "/channels/a/events", b"");
    let signature = request.signature();
    let mut moved = request.clone();
    moved.path = "/apps/1001/channels/b/events".into();
    invalid(&moved.send_signed(&signature).await, "Invalid signature: ");
    let mut extended = request.clone();
    extended.unsigned = "&name=x".into();
    invalid(&extended.send_signed(&signature).await, "Invalid signature: ");
    let signature = api.request("POST", "/channels/a", b"").signature();
    invalid(&api.request("GET", "/channels/a", b"").send_signed(&signature).await, "Invalid signature: ");
    let forger = App::new("1001", "app-key", "guessed");
    invalid(&Api::new(&server, &forger).get("/channels", &[]).await, "Invalid signature: ");
    let mut twice = api.request("GET", "/channels", b"");
    twice.unsigned = "&auth_key=app-key".into();
    assert_refused(&twice.send().await, 401, "Parameter given more than once: auth_key");
}

#[tokio::test]
async fn keys_sign_for_their_own_application() {
    let (app, other) = (App::usual(), App::new("1002", "other-key", "other-secret"));
    let rotated = app
        .clone()
        .set("[[apps.keys]]\nkey = \"new-key\"\nsecret = \"new-secret\"")
        .set("[[apps.keys]]\nkey = \"gone-key\"\nsecret = \"gone-secret\"\ndisabled = true");
    let server = Server::builder().app(&rotated).app(&other).start().await;
    let new = App::new("1001", "new-key", "new-secret");
    for app in [&app, &new] {
        assert_json(&Api::new(&server, app).get("/channels", &[]).await, r#"{"channels":{}}"#);
    }
    for (key, secret) in [("gone-key", "gone-secret"), ("no-key", "x")] {
        let response = Api::new(&server, &App::new("1001", key, secret)).get("/channels", &[]).await;
        assert_refused(&response, 401, &format!("Unknown auth_key {key}"));
    }
    let response =
        Api::new(&server, &App::new("1001", "other-key", "other-secret")).get("/channels", &[]).await;
    assert_refused(&response, 401, "Invalid auth_key: other-key is no key of app 1001");
}

#[tokio::test]
async fn clocks_may_differ_by_ten_minutes() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let at = async |timestamp: String| {
        api.request("GET", "/channels", b"").replace("auth_timestamp", timestamp).send().await
    };
    let now = now_unix_s();
    for timestamp in [now - 590, now, now + 590] {
        assert_json(&at(timestamp.to_string()).await, r#"{"channels":{}}"#);
    }
    for timestamp in [0, now - 700, now + 700, u64::MAX] {
        let response = at(timestamp.to_string()).await;
        let text = response.text();
        assert!(text.starts_with("Timestamp expired: Given timestamp ("), "{text}");
        assert!(text.contains(") not within 600s of server time (") && text.ends_with("Z)\n"), "{text}");
        assert_eq!(response.status, 401);
    }
    for timestamp in ["now", "-1", "1.5", "99999999999999999999"] {
        let text = format!(
            "Invalid timestamp: auth_timestamp must be seconds since the Unix epoch, but you sent \"{timestamp}\""
        );
        assert_refused(&at(timestamp.into()).await, 401, &text);
    }
    let response = api.request("GET", "/channels", b"").replace("auth_version", "2.0").send().await;
    assert_refused(&response, 401, "Version not supported: auth_version must be 1.0, but you sent \"2.0\"");
}

#[tokio::test]
async fn the_python_sdk_signs_the_md5_of_nothing() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let md5 = body_md5(b"");
    let response = api.get("/channels/a", &[("body_md5", &md5), ("info", "subscription_count")]).await;
    assert_json(&response, r#"{"occupied":false,"subscription_count":0}"#);
    let other = body_md5(b"{}");
    let text = format!("Invalid body_md5: the MD5 of the body is {md5}, but you sent \"{other}\"");
    assert_refused(&api.get("/channels/a", &[("body_md5", &other)]).await, 401, &text);
}

#[tokio::test]
async fn a_prefix_is_signed_with_the_path_or_not() {
    let app = App::usual();
    let server = Server::builder().app(&app).env("COURANT_SERVER_PATH_PREFIX", "/real/time").start().await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::establish(
        crate::support::WebSocket::connect(server.address, "/real/time/app/app-key?protocol=7", &[])
            .await
            .unwrap(),
        &app,
    )
    .await;
    client.subscribe("a").await;
    let (with, without) = ("/real/time/apps/1001/events", "/apps/1001/events");
    // SDKs sign what they send, or leave the prefix out; and some can't be told a prefix at all.
    for (sent, signed) in [(with, with), (with, without), (without, without)] {
        let mut request = api.request_at("POST", sent, EVENT);
        request.signed_path = signed.into();
        assert_json(&request.send().await, "{}");
        client.expect_event("x").await;
    }
    let mut request = api.request_at("POST", with, EVENT);
    request.signed_path = "/other/apps/1001/events".into();
    assert_eq!(request.send().await.status, 401);
    let response = api.request_at("POST", "/realtime/apps/1001/events", EVENT).send().await;
    assert_refused(&response, 404, "Unknown path");
    let body = json!({}).to_string();
    let path = "/real/time/users/7/terminate_connections";
    assert_json(&api.request_at("POST", path, body.as_bytes()).send().await, "{}");
}

#[tokio::test]
async fn parameters_are_signed_unescaped_and_sorted() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    let parameters =
        [("name", "ü & = + %"), ("data", "a+b c%20d&e=f"), ("channel", "a"), ("Zeta", "Z"), ("alpha", "")];
    assert_json(&api.request("POST", "/events", b"").with(&parameters).send().await, "{}");
    let event = client.next().await;
    assert_eq!((event.name(), event.data()), ("ü & = + %", "a+b c%20d&e=f"));
}
