//! Every error: its status and its text.

use serde_json::{Value, json};

use crate::support::http::{self, Response};
use crate::support::{Api, App, Pusher, Server};
use crate::{assert_json, assert_refused};

async fn post_raw(api: &Api, path: &str, body: &str) -> Response {
    api.request("POST", path, body.as_bytes()).send().await
}

#[tokio::test]
async fn the_errors_that_official_tests_compare_are_to_the_letter() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let text = "user_count may only be requested for presence channels - please supply filter_by_prefix begining with presence-";
    for parameters in [
        &[("info", "user_count")][..],
        &[("info", "user_count"), ("filter_by_prefix", "presence")],
        &[("info", "subscription_count,user_count"), ("filter_by_prefix", "private-")],
    ] {
        assert_refused(&api.get("/channels", parameters).await, 400, text);
    }
    let text = "Cannot retrieve the user count unless the channel is a presence channel";
    assert_refused(&api.get("/channels/a", &[("info", "user_count")]).await, 400, text);
    let text = "Users can only be retrieved for presence channels";
    assert_refused(&api.get("/channels/a/users", &[]).await, 400, text);
    let event = json!({"name": "x", "channel": "a", "data": "1"});
    let batch: Vec<&Value> = std::iter::repeat_n(&event, 11).collect();
    assert_refused(
        &api.post("/batch_events", &json!({"batch": batch})).await,
        400,
        "Batch too large (11 > 10)",
    );
    let text = "Missing required parameter: channel";
    let without_channel = json!({"name": "x", "data": "1"});
    assert_refused(&api.post("/events", &without_channel).await, 400, text);
    assert_refused(&api.post("/batch_events", &json!({"batch": [without_channel]})).await, 400, text);
    assert_refused(&api.post("/events", &json!({"name": "x", "data": "1", "channels": []})).await, 400, text);
    let info =
        |info: &str| format!("info should be a comma separated list of attributes, and '{info}' is not one");
    assert_refused(&api.get("/channels", &[("info", "members")]).await, 400, &info("members"));
    assert_refused(&api.get("/channels/a", &[("info", "cache,x y")]).await, 400, &info("x y"));
    let with_info = json!({"name": "x", "data": "1", "channel": "a", "info": "User_count"});
    assert_refused(&api.post("/events", &with_info).await, 400, &info("User_count"));
    let text = "The data content of this event exceeds the allowed maximum (10240 bytes). See https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info";
    let large = json!({"name": "x", "channel": "a", "data": "x".repeat(10_241)});
    assert_refused(&api.post("/events", &large).await, 413, text);
    assert_refused(&api.post("/batch_events", &json!({"batch": [event, large]})).await, 413, text);
    let raw = api.request("POST", "/channels/a/events", "x".repeat(10_241).as_bytes()).with(&[("name", "x")]);
    assert_refused(&raw.send().await, 413, text);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    for (path, body, missing) in [
        ("/events", "", "name"),
        ("/events", "{}", "name"),
        ("/events", r#"{"name":"","channel":"a","data":"1"}"#, "name"),
        ("/events", r#"{"name":null,"channel":"a","data":"1"}"#, "name"),
        ("/events", r#"{"name":"x","channel":"a"}"#, "data"),
        ("/events", r#"{"name":"x","channel":"a","data":null}"#, "data"),
        ("/events", r#"{"name":"x","channels":null,"data":"1"}"#, "channel"),
        ("/batch_events", "{}", "batch"),
        ("/batch_events", r#"{"batch":[{}]}"#, "name"),
        ("/channels/a/events", "{}", "name"),
    ] {
        let response = post_raw(&api, path, body).await;
        assert_refused(&response, 400, &format!("Missing required parameter: {missing}"));
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be_are_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (path, body) in [
        ("/events", "x"),
        ("/events", "[]"),
        ("/events", "null"),
        ("/events", r#"{"name":7,"channel":"a","data":"1"}"#),
        ("/events", r#"{"name":"x","channels":"a","data":"1"}"#),
        ("/events", r#"{"name":"x","channels":[7],"data":"1"}"#),
        ("/events", r#"{"name":"x","channel":"a","data":"1"} "#.trim_end_matches(['}', ' '])),
        ("/events", &deep),
        ("/batch_events", r#"{"batch":{}}"#),
        ("/batch_events", r#"[]"#),
        ("/batch_events", ""),
    ] {
        let response = post_raw(&api, path, body).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(response.status, 400, "{path} {shown}: {}", response.text());
        let text = response.text();
        assert!(text.starts_with("Invalid JSON body: ") && text.ends_with('\n'), "{path} {shown}: {text}");
    }
    let text = "The data of an event must be a string; encode other values as JSON first";
    for data in ["{}", "7", "[1]", "true"] {
        let body = format!(r#"{{"name":"x","channel":"a","data":{data}}}"#);
        assert_refused(&post_raw(&api, "/events", &body).await, 400, text);
    }
}

#[tokio::test]
async fn names_and_numbers_out_of_their_bounds_are_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let event = |name: &str, channel: &str| json!({"name": name, "channel": channel, "data": "1"});
    let long = "x".repeat(201);
    assert_refused(
        &api.post("/events", &event(&long, "a")).await,
        400,
        "The event name exceeds the allowed maximum (200 bytes)",
    );
    for channel in ["", "a b", "a/b", "#a", "#server-to-user-", "ü", &long] {
        let response = api.post("/events", &event("x", channel)).await;
        assert_refused(&response, 400, &format!("Invalid channel name: {channel}"));
    }
    assert_refused(&api.get("/channels/a%20b", &[]).await, 400, "Invalid channel name: a b");
    assert_refused(&api.get("/channels/a%20b/stats", &[]).await, 400, "Invalid channel name: a b");
    let channels: Vec<String> = (0..101).map(|at| at.to_string()).collect();
    let body = json!({"name": "x", "channels": channels, "data": "1"});
    assert_refused(&api.post("/events", &body).await, 400, "Too many channels (101 > 100)");
    for socket_id in ["x", "1", "1.", "1.2.3", "1.2\n", "-1.2"] {
        let mut body = event("x", "a");
        body["socket_id"] = socket_id.into();
        let response = api.post("/events", &body).await;
        assert_refused(&response, 400, &format!("Invalid socket id: {socket_id}"));
    }
    let path = format!("/users/{long}/terminate_connections");
    assert_refused(&api.post(&path, &json!({})).await, 400, "Invalid user id");
}

#[tokio::test]
async fn a_batch_is_published_as_a_whole_or_not_at_all() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    let good = json!({"name": "lost", "channel": "a", "data": "1"});
    let bad = json!({"name": "x", "channel": "no name", "data": "1"});
    assert_refused(
        &api.post("/batch_events", &json!({"batch": [good, bad]})).await,
        400,
        "Invalid channel name: no name",
    );
    let bad = json!({"name": "lost", "channels": ["a", "no name"], "data": "1"});
    assert_refused(&api.post("/events", &bad).await, 400, "Invalid channel name: no name");
    api.trigger("a", "kept", "1").await;
    client.expect_event("kept").await;
}

#[tokio::test]
async fn an_application_may_have_other_bounds() {
    let app = App::usual()
        .set("event_bytes_max = \"1KiB\"")
        .set("batch_max = 2")
        .set("channels_per_publish_max = 2")
        .set("event_name_bytes_max = 16")
        .set("channel_name_bytes_max = 16");
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let event = json!({"name": "x", "channel": "a", "data": "x".repeat(1024)});
    assert_json(&api.post("/events", &event).await, "{}");
    let large = json!({"name": "x", "channel": "a", "data": "x".repeat(1025)});
    let text = "The data content of this event exceeds the allowed maximum (1024 bytes). See https://pusher.com/docs/channels/server_api/http-api#publishing-events for more info";
    assert_refused(&api.post("/events", &large).await, 413, text);
    let batch = json!({"batch": [event, event, event]});
    assert_refused(&api.post("/batch_events", &batch).await, 400, "Batch too large (3 > 2)");
    let body = json!({"name": "x", "channels": ["a", "b", "c"], "data": "1"});
    assert_refused(&api.post("/events", &body).await, 400, "Too many channels (3 > 2)");
    let long = "x".repeat(17);
    let body = json!({"name": long, "channel": "a", "data": "1"});
    assert_refused(
        &api.post("/events", &body).await,
        400,
        "The event name exceeds the allowed maximum (16 bytes)",
    );
    let body = json!({"name": "x", "channel": long, "data": "1"});
    assert_refused(&api.post("/events", &body).await, 400, &format!("Invalid channel name: {long}"));
}

#[tokio::test]
async fn an_unknown_application_path_or_method_is_refused() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    assert_refused(
        &api.request_at("GET", "/apps/7/channels", b"").send().await,
        404,
        "Could not find app by id 7",
    );
    let response = http::request(server.address, "POST", "/apps/no%20app/events", &[], b"{}").await.unwrap();
    assert_refused(&response, 404, "Could not find app by id no app");
    for path in ["/apps", "/apps/1001", "/apps/1001/nothing", "/nothing", "/channels"] {
        assert_refused(&api.request_at("GET", path, b"").send().await, 404, "Unknown path");
    }
    for (method, path) in [
        ("GET", "/events"),
        ("GET", "/batch_events"),
        ("POST", "/channels"),
        ("DELETE", "/channels/a"),
        ("PUT", "/events"),
    ] {
        assert_refused(&api.request(method, path, b"").send().await, 405, "Method not allowed");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_refused_in_the_form_of_all_errors() {
    let app = App::usual();
    let server = Server::with(&app).await;
    for path in ["/apps/1001/channels/%FF", "/apps/%FF/events", "/users/%FF/terminate_connections", "/%FF"] {
        let response = http::request(server.address, "POST", path, &[], b"{}").await.unwrap();
        let text = response.text();
        assert!((400..=405).contains(&response.status), "{path}: {} {text}", response.status);
        assert!(text.ends_with('\n') && text.len() > 1, "{path}: {text:?}");
        assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
    }
}

#[tokio::test]
async fn a_disabled_application_is_refused() {
    let app = App::usual().set("enabled = false");
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let event = json!({"name": "x", "channel": "a", "data": "1"});
    assert_refused(&api.post("/events", &event).await, 403, "Application is disabled");
    assert_refused(&api.get("/channels", &[]).await, 403, "Application is disabled");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let app = App::usual();
    let server =
        Server::builder().app(&app).env("COURANT_LIMITS_REQUEST_BODY_BYTES_MAX", "20KiB").start().await;
    let api = Api::new(&server, &app);
    let fits = format!("{}{}", r#"{"name":"x","channel":"a","data":"1"}"#, " ".repeat(20 * 1024 - 37));
    assert_eq!(fits.len(), 20 * 1024);
    assert_json(&post_raw(&api, "/events", &fits).await, "{}");
    let text = "The body of the request exceeds the allowed maximum (20480 bytes)";
    assert_refused(&post_raw(&api, "/events", &format!("{fits} ")).await, 413, text);
    assert_eq!(server.metric(r#"courant_limit_hits_total{limit="body_bytes"}"#).await, 1.0);
}

#[tokio::test]
async fn errors_are_json_for_those_who_want_it_where_it_is_switched_on() {
    let app = App::usual();
    for (switched_on, accept, status, body) in [
        (
            true,
            "application/json",
            400,
            r#"{"error":"Users can only be retrieved for presence channels","code":400}"#,
        ),
        (
            true,
            "text/html, application/json;q=0.9",
            400,
            r#"{"error":"Users can only be retrieved for presence channels","code":400}"#,
        ),
        (true, "*/*", 400, "Users can only be retrieved for presence channels\n"),
        (false, "application/json", 400, "Users can only be retrieved for presence channels\n"),
    ] {
        let switch = switched_on.to_string();
        let server =
            Server::builder().app(&app).env("COURANT_COMPATIBILITY_JSON_ERRORS", &switch).start().await;
        let mut request = Api::new(&server, &app).request("GET", "/channels/a/users", b"");
        request.headers.push(("accept", accept.into()));
        let response = request.send().await;
        assert_eq!((response.status, response.text().as_str()), (status, body), "{accept}");
    }
}
