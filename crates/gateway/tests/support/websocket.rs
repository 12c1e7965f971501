//! A WebSocket client that hides nothing (RFC 6455): no answer goes out that the test did not ask for.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http::Response;
use super::soon;

/// The key of the RFC's own example, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The mask of every frame. A server can't tell it from a random one.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    pub stream: TcpStream,
    unread: Vec<u8>,
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: FIN, reserved bits, opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

/// What a frame of the server means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code 1005: the frame had none.
    Close(u16, String),
    /// The stream ended.
    End,
}

impl WebSocket {
    /// Connects; `Err` is the response of a server that does not upgrade.
    ///
    /// # Errors
    /// The server answered with something else than 101.
    pub async fn connect(
        address: SocketAddr,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        soon("the upgrade", Self::upgrade(address, target, headers)).await
    }

    async fn upgrade(address: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Result<Self, Response> {
        let mut stream = TcpStream::connect(address).await.expect("a listening server");
        stream.set_nodelay(true).unwrap();
        let mut head = format!(
            "GET {target} HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut unread = Vec::new();
        let end = loop {
            if let Some(at) = unread.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(stream.read_buf(&mut unread).await.unwrap() > 0, "closed during the upgrade");
        };
        let rest = unread.split_off(end);
        let head = String::from_utf8(unread).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Response { status, headers, body: rest };
        if status != 101 {
            let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
            while response.body.len() < length {
                assert!(stream.read_buf(&mut response.body).await.unwrap() > 0, "a whole response");
            }
            return Err(response);
        }
        assert_eq!(response.header("sec-websocket-accept"), Some(ACCEPT));
        Ok(Self { stream, unread: response.body })
    }

    /// Sends a text message in one frame.
    pub async fn send(&mut self, text: &str) {
        self.send_frame(0x81, text.as_bytes()).await;
    }

    /// Sends a frame. A server that has closed is no failure here: what it said can still be read.
    pub async fn send_frame(&mut self, first: u8, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(first, payload)).await;
    }

    /// Sends a close.
    pub async fn send_close(&mut self, code: u16) {
        self.send_frame(0x88, &code.to_be_bytes()).await;
    }

    /// Reads the next frame; `None` when the stream has ended.
    pub async fn read_frame(&mut self) -> Option<Frame> {
        soon("a frame", async {
            loop {
                if let Some((frame, taken)) = parse(&self.unread) {
                    self.unread.drain(..taken);
                    return Some(frame);
                }
                match self.stream.read_buf(&mut self.unread).await {
                    Ok(0) => {
                        assert!(self.unread.is_empty(), "the stream ended within a frame");
                        return None;
                    }
                    Ok(_) => {}
                    // The server was cut off, or cut us off with something unread.
                    Err(error) if is_reset(&error) => return None,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
    }

    /// Reads the next message.
    pub async fn next(&mut self) -> Message {
        let Some(Frame { first, payload }) = self.read_frame().await else { return Message::End };
        let text = |payload: Vec<u8>| String::from_utf8(payload).expect("UTF-8");
        match first {
            0x81 => Message::Text(text(payload)),
            0x82 => Message::Binary(payload),
            0x88 if payload.is_empty() => Message::Close(1005, String::new()),
            0x88 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Message::Close(code, text(payload[2..].to_vec()))
            }
            0x89 => Message::Ping(payload),
            0x8a => Message::Pong(payload),
            other => panic!("a frame that begins with {other:#x}: {payload:?}"),
        }
    }

    /// Reads until the close, skipping what comes before, answers it, waits for the end of the stream and ends it, too.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Message::Close(code, reason) => {
                    self.send_close(code).await;
                    assert_eq!(self.next().await, Message::End, "nothing follows a close");
                    let _ = self.stream.shutdown().await;
                    return (code, reason);
                }
                Message::End => panic!("the stream ended without a close"),
                _ => {}
            }
        }
    }
}

/// A masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The first frame in some bytes, and how many of them it takes.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(second & 0x80, 0, "a server does not mask");
    let (length, at) = match second {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        length => (usize::from(length), 2),
    };
    let payload = bytes.get(at..at + length)?.to_vec();
    Some((Frame { first, payload }, at + length))
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}
