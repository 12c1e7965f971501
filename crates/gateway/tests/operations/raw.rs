//! A TCP client that says what no proper client would, and sees exactly what comes back.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::soon;

/// A connection of which nothing is assumed.
pub struct Raw {
    pub stream: TcpStream,
    opened: Instant,
}

/// How a connection ended, and all that came before.
#[derive(Debug)]
pub struct Ended {
    /// What the server sent.
    pub text: String,
    /// Since the connection was opened.
    pub after: Duration,
}

impl Raw {
    /// Connects, and says nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
        Self { stream, opened: Instant::now() }
    }

    /// Connects from another address of this machine, such as 127.0.0.2.
    pub async fn connect_from(source: [u8; 4], address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(source), 0).into()).unwrap();
        let stream = soon("a connection", socket.connect(address)).await.unwrap();
        Self { stream, opened: Instant::now() }
    }

    /// Connects with room for little that is not read, so that the server soon can't write.
    pub async fn connect_cramped(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = soon("a connection", socket.connect(address)).await.unwrap();
        Self { stream, opened: Instant::now() }
    }

    /// Sends the same again and again without reading, until the server closes.
    pub async fn flood(&mut self, bytes: impl AsRef<[u8]>) {
        soon("a close", async { while self.stream.write_all(bytes.as_ref()).await.is_ok() {} }).await;
    }

    /// Sends bytes; a server that has closed is no failure here, what it said can still be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("a write", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Sends a byte at a time, with a pause after each, until the server closes; answers how that went.
    pub async fn drip(mut self, bytes: impl AsRef<[u8]>, pause: Duration) -> Ended {
        let mut text = Vec::new();
        let mut bytes = bytes.as_ref().iter().copied().cycle();
        soon("an end to the drip", async {
            loop {
                tokio::select! {
                    read = self.stream.read_buf(&mut text) => if !matches!(read, Ok(1..)) { break },
                    () = tokio::time::sleep(pause) => {
                        let byte = bytes.next().expect("a cycle");
                        let _ = self.stream.write_all(&[byte]).await;
                    }
                }
            }
        })
        .await;
        self.ended(text)
    }

    /// Reads until the server closes.
    pub async fn closed(mut self) -> Ended {
        let mut text = Vec::new();
        soon("a close", async { while matches!(self.stream.read_buf(&mut text).await, Ok(1..)) {} }).await;
        self.ended(text)
    }

    /// Reads until these words have come; answers all that was read.
    pub async fn read_to(&mut self, words: &str) -> String {
        let mut text = Vec::new();
        soon(words, async {
            let mut seen = 0;
            while !text[seen..].windows(words.len()).any(|part| part == words.as_bytes()) {
                // Words may be cut in two.
                seen = (text.len() + 1).saturating_sub(words.len());
                let read = self.stream.read_buf(&mut text).await.unwrap();
                assert!(read > 0, "closed before {words:?}, after {:?}", String::from_utf8_lossy(&text));
            }
        })
        .await;
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Ends this side, and leaves the other open.
    pub async fn shutdown(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    fn ended(self, text: Vec<u8>) -> Ended {
        Ended { text: String::from_utf8_lossy(&text).into_owned(), after: self.opened.elapsed() }
    }
}

impl Ended {
    /// The status of the first response.
    pub fn status(&self) -> Option<u16> {
        self.text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

/// A WebSocket handshake for an application's key.
pub fn upgrade(key: &str) -> String {
    format!(
        "GET /app/{key}?protocol=7 HTTP/1.1\r\nhost: courant.test\r\nupgrade: websocket\r\n\
         connection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

impl From<TcpStream> for Raw {
    fn from(stream: TcpStream) -> Self {
        Self { stream, opened: Instant::now() }
    }
}

/// Where a signed request goes: its path and query.
pub fn target(request: &crate::support::api::Request) -> String {
    let query: Vec<String> =
        request.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}?{}&auth_signature={}", request.path, query.join("&"), request.signature())
}
