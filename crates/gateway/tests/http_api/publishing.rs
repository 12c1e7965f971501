//! `POST /events` and its kin, where they succeed.

use serde_json::{Value, json};

use crate::assert_json;
use crate::support::{Api, App, Pusher, Server};

async fn listener(server: &Server, app: &App, channels: &[&str]) -> Pusher {
    let mut client = Pusher::connect(server, app).await;
    for channel in channels {
        client.subscribe(channel).await;
    }
    client
}

#[tokio::test]
async fn an_event_is_accepted_with_an_empty_object() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a", "b"]).await;
    let body = json!({"name": "x", "channels": ["a", "b"], "data": "{\"some\":\"data\"}"});
    assert_json(&api.post("/events", &body).await, "{}");
    let mut channels = [client.next().await.text, client.next().await.text];
    channels.sort();
    for (text, channel) in channels.iter().zip(["a", "b"]) {
        assert_eq!(*text, format!(r#"{{"event":"x","channel":"{channel}","data":"{{\"some\":\"data\"}}"}}"#));
    }
    let body =
        json!({"name": "y", "channel": "a", "data": "1", "socket_id": null, "info": null, "unknown": {}});
    assert_json(&api.post("/events", &body).await, "{}");
    client.expect(r#"{"event":"y","channel":"a","data":"1"}"#).await;
    // Old SDKs send an empty text for nobody.
    let body = json!({"name": "z", "channel": "a", "data": "", "socket_id": ""});
    assert_json(&api.post("/events", &body).await, "{}");
    client.expect(r#"{"event":"z","channel":"a","data":""}"#).await;
}

#[tokio::test]
async fn a_channel_that_is_named_twice_gets_the_event_once() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    let body = json!({"name": "x", "channels": ["a", "b", "a"], "channel": "a", "data": "1"});
    assert_json(&api.post("/events", &body).await, "{}");
    api.trigger("a", "y", "2").await;
    client.expect(r#"{"event":"x","channel":"a","data":"1"}"#).await;
    client.expect(r#"{"event":"y","channel":"a","data":"2"}"#).await;
}

#[tokio::test]
async fn the_data_arrives_as_it_was_sent() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    // The text between the quotes is handed on without being read, escapes and all.
    for data in [r#""plain""#, r#""""#, r#""\u00fc \/ \ud83d\ude00 \\ \" \b\f\n\r\t""#, r#""ü 😀 \u0000""#]
    {
        let body = format!(r#"{{"name":"x","channel":"a","data":{data}}}"#);
        let response = api.request("POST", "/events", body.as_bytes()).send().await;
        assert_json(&response, "{}");
        client.expect(&format!(r#"{{"event":"x","channel":"a","data":{data}}}"#)).await;
    }
    let name = "odd \"name\" ü\n";
    api.trigger("a", name, "1").await;
    assert_eq!(client.next().await.name(), name);
}

#[tokio::test]
async fn an_event_of_the_largest_size_passes() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    // In bytes of the text, however it is escaped.
    for data in ["x".repeat(10_240), "\"".repeat(10_240), "ü".repeat(5_120)] {
        api.trigger("a", &"n".repeat(200), &data).await;
        assert_eq!(client.next().await.data(), data);
    }
    let escaped = format!(r#"{{"name":"x","channel":"a","data":"{}"}}"#, "\\u00fc".repeat(5_120));
    assert_json(&api.request("POST", "/events", escaped.as_bytes()).send().await, "{}");
    assert_eq!(client.next().await.data(), "ü".repeat(5_120));
}

#[tokio::test]
async fn parameters_may_be_in_the_query() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a", "b"]).await;
    let parameters = [("name", "x"), ("data", "some data & more"), ("channels[]", "a"), ("channels[]", "b")];
    assert_json(&api.request("POST", "/events", b"").with(&parameters).send().await, "{}");
    for _ in 0..2 {
        let event = client.expect_event("x").await;
        assert_eq!(event.data(), "some data & more");
    }
    let parameters =
        [("name", "y"), ("data", "1"), ("channel", "a"), ("socket_id", &*client.socket_id.clone())];
    assert_json(&api.request("POST", "/events", b"").with(&parameters).send().await, "{}");
    // What the body says comes first.
    let body = br#"{"name":"z","data":"of the body"}"#;
    let parameters = [("data", "of the query"), ("channel", "b")];
    assert_json(&api.request("POST", "/events", body).with(&parameters).send().await, "{}");
    client.expect(r#"{"event":"z","channel":"b","data":"of the body"}"#).await;
}

#[tokio::test]
async fn an_answer_tells_what_was_asked_about_the_channels() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    client.subscribe_as("presence-a", "1").await;
    let mut other = Pusher::connect(&server, &app).await;
    other.subscribe_as("presence-a", "1").await;
    let body = json!({"name": "x", "channels": ["presence-a", "a", "empty"], "data": "1",
        "info": "user_count,subscription_count"});
    assert_json(
        &api.post("/events", &body).await,
        r#"{"channels":{"presence-a":{"user_count":1,"subscription_count":2},"a":{"subscription_count":1},"empty":{"subscription_count":0}}}"#,
    );
    let body = json!({"name": "x", "channel": "a", "data": "1", "info": " subscription_count , "});
    assert_json(&api.post("/events", &body).await, r#"{"channels":{"a":{"subscription_count":1}}}"#);
    let body = json!({"name": "x", "channel": "a", "data": "1", "info": ""});
    assert_json(&api.post("/events", &body).await, "{}");
}

#[tokio::test]
async fn a_batch_is_published_in_its_order() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a", "b"]).await;
    let batch: Vec<Value> =
        (0..10).map(|at| json!({"name": format!("n{at}"), "channel": "a", "data": at.to_string()})).collect();
    assert_json(&api.post("/batch_events", &json!({"batch": batch})).await, "{}");
    for at in 0..10 {
        client.expect(&format!(r#"{{"event":"n{at}","channel":"a","data":"{at}"}}"#)).await;
    }
    assert_json(&api.post("/batch_events", &json!({"batch": []})).await, "{}");
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    client.subscribe_as("presence-a", "1").await;
    let batch = json!({"batch": [
        {"name": "x", "channel": "a", "data": "1", "info": "subscription_count"},
        {"name": "x", "channel": "a", "data": "2"},
        {"name": "x", "channel": "presence-a", "data": "3", "info": "user_count"},
        {"name": "x", "channel": "a", "data": "4", "info": "user_count"},
    ]});
    assert_json(
        &api.post("/batch_events", &batch).await,
        r#"{"batch":[{"subscription_count":1},{},{"user_count":1},{}]}"#,
    );
}

#[tokio::test]
async fn the_deprecated_publish_takes_the_body_as_it_is() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = listener(&server, &app, &["a"]).await;
    for (body, data) in [
        (r#"{"some":"data"}"#, r#""{\"some\":\"data\"}""#),
        ("not \"JSON\"\n", r#""not \"JSON\"\n""#),
        ("", r#""""#),
    ] {
        let request = api.request("POST", "/channels/a/events", body.as_bytes()).with(&[("name", "x")]);
        let response = request.send().await;
        assert_eq!((response.status, response.text().as_str()), (202, ""));
        client.expect(&format!(r#"{{"event":"x","channel":"a","data":{data}}}"#)).await;
    }
    let socket_id = client.socket_id.clone();
    let parameters = [("name", "y"), ("socket_id", &*socket_id)];
    let response = api.request("POST", "/channels/a/events", b"{}").with(&parameters).send().await;
    assert_eq!(response.status, 202);
    api.trigger("a", "z", "1").await;
    client.expect_event("z").await;
}
