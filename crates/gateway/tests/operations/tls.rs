//! TLS on the public address.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bystander::counted;
use crate::process::refused_to_serve;
use crate::raw::{Raw, target, upgrade};
use crate::support::websocket::frame;
use crate::support::{Api, App, Server, soon};

/// A certificate for `localhost`, and its key, as files.
struct Certified {
    directory: TempDir,
    roots: RootCertStore,
}

impl Certified {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(directory.path().join("certificate.pem"), certified.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        Self { directory, roots }
    }

    /// The configuration that uses it, for the table `[server]`.
    fn config(&self) -> String {
        config(&self.directory.path().join("certificate.pem"), &self.directory.path().join("key.pem"))
    }

    /// A client that trusts it.
    async fn connect(&self, server: &Server) -> Encrypted {
        self.connect_after(server, b"").await
    }

    /// The same after these bytes, which are not encrypted.
    async fn connect_after(&self, server: &Server, plain: &[u8]) -> Encrypted {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.write_all(plain).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        Encrypted { stream: soon("a TLS handshake", connecting).await.unwrap() }
    }
}

fn config(certificate: &Path, key: &Path) -> String {
    format!("[server]\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n", certificate.display(), key.display())
}

/// A client of TLS.
struct Encrypted {
    stream: TlsStream<TcpStream>,
}

impl Encrypted {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn read_to(&mut self, words: &str) -> String {
        let mut text = Vec::new();
        soon(words, async {
            while !String::from_utf8_lossy(&text).contains(words) {
                assert!(self.stream.read_buf(&mut text).await.unwrap() > 0, "closed before {words:?}");
            }
        })
        .await;
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[tokio::test]
async fn websockets_and_the_http_api_are_served_over_tls() {
    let app = App::usual();
    let certified = Certified::new();
    let server = Server::builder().app(&app).config(&certified.config()).start().await;
    let mut client = certified.connect(&server).await;
    // The first message comes in the record of the request.
    let subscribe = frame(0x81, br#"{"event":"pusher:subscribe","data":{"channel":"news"}}"#);
    client.send([upgrade(app.key).as_bytes(), &subscribe].concat()).await;
    client.read_to("subscription_succeeded").await;

    let data = "x".repeat(10_000);
    let body = serde_json::json!({"name": "large", "channel": "news", "data": data}).to_string();
    let request = Api::new(&server, &app).request("POST", "/events", body.as_bytes());
    let target = target(&request);
    let mut publisher = certified.connect(&server).await;
    for _ in 0..20 {
        let head =
            format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        publisher.send(format!("{head}{body}")).await;
        let answer = publisher.read_to("\r\n\r\n{}").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        // Longer than a record, and whole.
        assert!(client.read_to(r#"x"}"#).await.contains(&data));
    }
    client.send(frame(0x88, &1000u16.to_be_bytes())).await;
    drop(client);
    counted(&server, "courant_connections_closed_total{code=\"1000\"}", 1.0).await;
}

#[tokio::test]
async fn a_proxy_header_comes_before_tls() {
    let app = App::usual();
    let certified = Certified::new();
    let config = format!(
        "{}proxy_protocol = \"required\"\nproxy_protocol_from = [\"127.0.0.0/8\"]\n\
         [limits]\nconnections_per_address_max = 1\naddress_exempt = []",
        certified.config()
    );
    let server = Server::builder().app(&app).config(&config).start().await;
    let mut clients = Vec::new();
    for address in ["198.51.100.1", "198.51.100.2"] {
        let header = format!("PROXY TCP4 {address} 192.0.2.1 50000 443\r\n");
        let mut client = certified.connect_after(&server, header.as_bytes()).await;
        client.send(upgrade(app.key)).await;
        client.read_to("connection_established").await;
        clients.push(client);
    }
    // One too many of an address is not worth a handshake.
    let mut refused = Raw::connect(server.address).await;
    refused.send("PROXY TCP4 198.51.100.2 192.0.2.1 50000 443\r\n").await;
    assert_eq!(refused.closed().await.text, "");
    counted(&server, "courant_connections_rejected_total{reason=\"connections_per_address\"}", 1.0).await;
}

#[tokio::test]
async fn who_does_not_speak_tls_is_turned_away_and_counted() {
    let app = App::usual();
    let certified = Certified::new();
    let server = Server::builder().app(&app).config(&certified.config()).start().await;
    let mut plain = Raw::connect(server.address).await;
    plain.send(upgrade(app.key)).await;
    let ended = plain.closed().await;
    assert_eq!(ended.status(), None, "{}", ended.text);
    counted(&server, "courant_connections_rejected_total{reason=\"tls\"}", 1.0).await;
    certified.connect(&server).await.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
}

#[tokio::test]
async fn a_tls_handshake_that_is_not_made_in_time_is_closed() {
    let app = App::usual();
    let certified = Certified::new();
    let config = format!(
        "{}\n[limits]\ntls_handshake_timeout = \"400ms\"\nrequest_head_timeout = \"600ms\"",
        certified.config()
    );
    let server = Server::builder().app(&app).config(&config).start().await;
    let mut bystander = certified.connect(&server).await;
    bystander.send(upgrade(app.key)).await;
    bystander.read_to("connection_established").await;
    let silent = Raw::connect(server.address).await;
    let mut dripping = Raw::connect(server.address).await;
    // The header of a TLS record with a client hello, which then comes byte by byte.
    dripping.send([0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]).await;
    let (silent, dripping) = tokio::join!(silent.closed(), dripping.drip("a", Duration::from_millis(20)));
    for ended in [silent, dripping] {
        assert!(ended.after >= Duration::from_millis(400), "after {:?}", ended.after);
    }
    counted(&server, "courant_limit_hits_total{limit=\"handshake_time\"}", 2.0).await;
    counted(&server, "courant_connections_rejected_total{reason=\"handshake_timeout\"}", 2.0).await;
    // Nor may one hold the place after the handshake by saying nothing.
    let mut silent = certified.connect(&server).await;
    let mut rest = Vec::new();
    let _reset_or_end = soon("a close", silent.stream.read_to_end(&mut rest)).await;
    counted(&server, "courant_limit_hits_total{limit=\"head_time\"}", 1.0).await;
    bystander.send(frame(0x81, br#"{"event":"pusher:ping","data":{}}"#)).await;
    bystander.read_to("pusher:pong").await;
}

#[test]
fn a_certificate_that_can_not_be_used_is_an_error_that_names_its_file() {
    let (mine, other) = (Certified::new(), Certified::new());
    let file = |certified: &Certified, name: &str| certified.directory.path().join(name);
    let (certificate, key) = (file(&mine, "certificate.pem"), file(&mine, "key.pem"));
    let missing = file(&mine, "missing.pem");
    let garbage = file(&mine, "garbage.pem");
    std::fs::write(&garbage, "neither a certificate nor a key").unwrap();

    let said = refused_to_serve(&config(&missing, &key));
    assert!(said.contains("can't read the certificate chain") && said.contains("missing.pem"), "{said}");
    let said = refused_to_serve(&config(&garbage, &key));
    assert!(said.contains("garbage.pem holds no certificate in PEM"), "{said}");
    let said = refused_to_serve(&config(&certificate, &missing));
    assert!(said.contains("can't read the key") && said.contains("missing.pem"), "{said}");
    let said = refused_to_serve(&config(&certificate, &garbage));
    assert!(said.contains("can't read the key") && said.contains("garbage.pem"), "{said}");
    let said = refused_to_serve(&config(&certificate, &file(&other, "key.pem")));
    assert!(said.contains("don't fit") && said.contains("certificate.pem"), "{said}");
    // The two in each other's place.
    let said = refused_to_serve(&config(&key, &certificate));
    assert!(said.contains("key.pem holds no certificate"), "{said}");
}
