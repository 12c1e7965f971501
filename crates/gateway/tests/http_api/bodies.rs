//! How requests arrive: connections that are kept, bodies in pieces, content types.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::assert_json;
use crate::support::http::read_head;
use crate::support::{Api, App, Server, soon};

#[tokio::test]
async fn the_content_type_of_a_request_does_not_matter() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let body = json!({"name": "x", "channel": "a", "data": "1"}).to_string();
    for content_type in [
        None,
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut request = api.request("POST", "/events", body.as_bytes());
        request.headers.extend(content_type.map(|content_type| ("content-type", content_type.to_owned())));
        assert_json(&request.send().await, "{}");
    }
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let body = json!({"name": "x", "channel": "a", "data": "1"}).to_string();
    let request = Api::new(&server, &app).request("POST", "/events", body.as_bytes());
    let query: Vec<String> =
        request.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let target = format!("{}?{}&auth_signature={}", request.path, query.join("&"), request.signature());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for byte in body.as_bytes() {
        stream.write_all(&[b"1\r\n", &[*byte][..], b"\r\n"].concat()).await.unwrap();
        stream.flush().await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let response =
        soon("an answer", async { read_head(stream).await.unwrap().collect().await.unwrap() }).await;
    assert_json(&response, "{}");
}

#[tokio::test]
async fn an_answer_of_much_information_is_whole() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let channels: Vec<String> = (0..100).map(|at| format!("{at:0>200}")).collect();
    let body = json!({"name": "x", "channels": channels, "data": "1", "info": "subscription_count"});
    let answer = Api::new(&server, &app).post("/events", &body).await.json();
    assert_eq!(answer["channels"].as_object().unwrap().len(), 100);
}
