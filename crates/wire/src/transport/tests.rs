use std::future::poll_fn;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::testing::{loopback, narrow_loopback};

/// The server's transport and the client's stream, after a handshake; the client may then have written already.
pub(crate) async fn tls_over(
    (server, client): (TcpStream, TcpStream),
    early: &[u8],
) -> (Transport, TlsStream<TcpStream>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server_config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client_config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let connector = TlsConnector::from(Arc::new(client_config));
    let connect = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, client).await.unwrap();
        stream.write_all(early).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let (accepted, stream) = tokio::join!(acceptor.accept(server), connect);
    let (tcp, session) = accepted.unwrap().into_inner();
    (Transport::tls(tcp, session), stream)
}

async fn read(transport: &Transport) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 100_000];
    loop {
        match transport.try_read(&mut buffer) {
            Ok(read) => return Ok(buffer[..read].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        poll_fn(|cx| transport.poll_read_ready(cx)).await?;
    }
}

async fn write_all(transport: &Transport, bytes: &[u8]) {
    let mut at = 0;
    loop {
        let result = match &bytes[at..] {
            [] => transport.try_flush().map(|()| 0),
            left => transport.try_write_vectored(&[IoSlice::new(left)]),
        };
        match result {
            Ok(_) if at == bytes.len() => return,
            Ok(written) => at += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| transport.poll_write_ready(cx)).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_short_read_waits_for_what_comes_after_it() {
    let (server, mut client) = loopback().await;
    let transport = Transport::plain(server);
    for round in 0..200_u8 {
        client.write_all(&[round]).await.unwrap();
        assert_eq!(read(&transport).await.unwrap(), [round]);
    }
    drop(client);
    assert_eq!(read(&transport).await.unwrap(), []);
}

#[tokio::test]
async fn tls_carries_both_directions() {
    let (transport, mut client) = tls_over(loopback().await, b"").await;
    for round in 0..50_u8 {
        client.write_all(&[round; 100]).await.unwrap();
        assert_eq!(read(&transport).await.unwrap(), [round; 100]);
        write_all(&transport, &[round; 40]).await;
        let mut answer = [0; 40];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [round; 40]);
    }
}

#[tokio::test]
async fn what_a_session_decrypted_is_readable_though_the_socket_is_empty() {
    let (transport, client) = tls_over(loopback().await, &[7; 3000]).await;
    let mut small = [0; 1000];
    let mut total = 0;
    while total < 3000 {
        poll_fn(|cx| transport.poll_read_ready(cx)).await.unwrap();
        match transport.try_read(&mut small) {
            Ok(read) => total += read,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    assert_eq!(total, 3000);
    drop(client);
}

#[tokio::test]
async fn more_than_a_session_holds_is_written_as_the_client_reads() {
    let (transport, mut client) = tls_over(narrow_loopback().await, b"").await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut received = vec![0; sent.len()];
    let (read, ()) = tokio::join!(client.read_exact(&mut received), write_all(&transport, &sent));
    read.unwrap();
    assert!(received == sent);
}

#[tokio::test]
async fn the_end_is_announced_inside_tls() {
    let (transport, mut client) = tls_over(loopback().await, b"").await;
    transport.try_shutdown_write().unwrap();
    // An end without close_notify would be an error here.
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
    client.shutdown().await.unwrap();
    assert_eq!(read(&transport).await.unwrap(), []);
}

#[tokio::test]
async fn a_tls_stream_that_is_cut_off_is_an_error() {
    let (transport, client) = tls_over(loopback().await, b"").await;
    drop(client.into_inner().0);
    assert!(read(&transport).await.is_err());
}

#[tokio::test]
async fn bytes_that_are_no_tls_are_an_error_and_answered_with_an_alert() {
    let (transport, client) = tls_over(loopback().await, b"").await;
    let (mut tcp, _session) = client.into_inner();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(read(&transport).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    transport.shutdown();
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.is_empty());
}
