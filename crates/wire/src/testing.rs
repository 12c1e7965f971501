//! A client for tests: writes masked frames, and reads those of a server.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::Observer;

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xA;

/// Longer than anything takes on a machine that is merely slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Much less than that, and small windows wait for delayed acknowledgements.
const NARROW_BYTES: usize = 32 * 1024;

/// A frame as a client sends it.
pub(crate) fn frame(is_final: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = vec![opcode | if is_final { 0x80 } else { 0 }];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Two ends of a TCP connection over loopback: the server's, the client's.
pub(crate) async fn loopback() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let (server, client) = (accepted.unwrap().0, connected.unwrap());
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    (server, client)
}

/// A loopback that takes little before the client reads.
pub(crate) async fn narrow_loopback() -> (TcpStream, TcpStream) {
    let (server, client) = loopback().await;
    SockRef::from(&server).set_send_buffer_size(NARROW_BYTES).unwrap();
    SockRef::from(&client).set_recv_buffer_size(NARROW_BYTES).unwrap();
    (server, client)
}

pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.send_raw(&frame(true, opcode, payload)).await;
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.0.write_all(bytes)).await.expect("server reads in time").unwrap();
    }

    /// The next frame's opcode and payload, none at the end of the stream. Panics on a frame that is cut off.
    pub(crate) async fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        timeout(PATIENCE, self.read_frame()).await.expect("server answers in time")
    }

    pub(crate) async fn receive_text(&mut self) -> String {
        match self.receive().await {
            Some((TEXT, payload)) => String::from_utf8(payload).unwrap(),
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    /// Reads to the close frame, past other frames; answers its code.
    pub(crate) async fn receive_close(&mut self) -> u16 {
        loop {
            match self.receive().await {
                Some((CLOSE, payload)) => return u16::from_be_bytes(payload[..2].try_into().unwrap()),
                Some(_) => {}
                None => panic!("the stream ended without a close frame"),
            }
        }
    }

    /// Whether the stream ends in order, after whatever is still there.
    pub(crate) async fn ends(&mut self) -> bool {
        while self.receive().await.is_some() {}
        true
    }

    async fn read_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        if self.0.read(&mut head[..1]).await.unwrap() == 0 {
            return None;
        }
        self.0.read_exact(&mut head[1..]).await.unwrap();
        assert_eq!(head[0] & 0xF0, 0x80, "a server's frames are final and use no extension");
        let length = match head[1] {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        Some((head[0] & 0x0F, payload))
    }
}

/// Counts what it is told.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) bytes_read: AtomicUsize,
    pub(crate) bytes_written: AtomicUsize,
    pub(crate) frames_written: AtomicUsize,
    pub(crate) queued: AtomicI64,
    pub(crate) overflows: AtomicUsize,
}

impl Observer for Counts {
    fn bytes_read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    fn bytes_written(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes, Ordering::Relaxed);
    }

    fn frames_written(&self, frames: usize) {
        self.frames_written.fetch_add(frames, Ordering::Relaxed);
    }

    fn queued(&self, delta: i64) {
        self.queued.fetch_add(delta, Ordering::Relaxed);
    }

    fn overflow(&self) {
        self.overflows.fetch_add(1, Ordering::Relaxed);
    }
}
