use futures_util::FutureExt as _;

use super::*;
use crate::Format;
use crate::init::tests::logged;

/// Sends to a server that answers each of these once, in this order; no answer is a closed connection.
fn send_to(answers: &[&'static str]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let count = answers.len();
    let answers = answers.to_vec();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let lines = logged("info", Format::Pretty, || {
        let client = ExportClient::new(Duration::from_secs(30)).unwrap();
        for _ in 0..count {
            let request = Request::post(&url).body(Bytes::from_static(b"spans")).unwrap();
            // It is done at the first poll, as it blocks.
            let _ = client.send_bytes(request).now_or_never().unwrap();
        }
    });
    server.join().unwrap();
    lines
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "";

#[test]
fn an_outage_is_logged_when_it_begins_and_when_it_ends() {
    let lines = send_to(&[OK, GONE, BUSY, GONE, BUSY, OK, OK]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("traces can't be exported and are dropped"), "{lines}");
    assert!(lines.contains("traces are exported again"), "{lines}");
}

#[test]
fn a_refusal_is_logged_with_its_status() {
    let lines = send_to(&[BUSY]);
    assert!(lines.contains("it answered 503"), "{lines}");
}

#[test]
fn a_collector_that_works_is_not_mentioned() {
    assert_eq!(send_to(&[OK, OK]), "");
}

#[test]
fn an_endless_answer_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        // Ends when the client has had enough and closes.
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let client = ExportClient::new(Duration::from_secs(30)).unwrap();
    let request = Request::post(&url).body(Bytes::from_static(b"spans")).unwrap();
    assert!(client.send_bytes(request).now_or_never().unwrap().is_err());
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_client_can_be_dropped_within_a_runtime() {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { drop(ExportClient::new(Duration::from_secs(1)).unwrap()) });
}
