//! HTTP/1.1 as a client writes and reads it.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::soon;

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response whose body is still coming.
pub struct Incoming {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    body: BodyReader,
}

impl Response {
    /// The body, which must be text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

impl Incoming {
    /// A header's value; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The next bytes of the body; `None` at its proper end.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.body.chunk().await
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// The connection broke off.
    pub async fn collect(mut self) -> io::Result<Response> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: self.status, headers: self.headers, body })
    }
}

/// Sends a request on a connection of its own and reads the whole response.
///
/// # Errors
/// Nobody listens, or the connection broke off.
pub async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    soon(target, async { send(address, method, target, headers, body).await?.collect().await }).await
}

/// Sends a request on a connection of its own and reads the response's head.
///
/// # Errors
/// Nobody listens, or the connection broke off.
pub async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Incoming> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    read_head(stream).await
}

/// Reads a response's head off a stream; the rest is its body.
///
/// # Errors
/// The connection broke off.
pub async fn read_head(stream: TcpStream) -> io::Result<Incoming> {
    let mut reader = Reader { stream, unread: Vec::new() };
    let mut lines = Vec::new();
    loop {
        let line = reader.line().await?;
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let status = lines[0].split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let field = |line: &String| {
        let (name, value) = line.split_once(':').expect("a header field");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let headers: Vec<_> = lines[1..].iter().map(field).collect();
    let length = header(&headers, "content-length").map(|length| length.parse().unwrap());
    let left = match (header(&headers, "transfer-encoding"), length) {
        _ if matches!(status, 101 | 204 | 304) => Left::Bytes(0),
        (Some("chunked"), _) => Left::Chunks,
        (_, Some(length)) => Left::Bytes(length),
        _ => Left::UntilEnd,
    };
    Ok(Incoming { status, headers, body: BodyReader { reader, left } })
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

struct BodyReader {
    reader: Reader,
    left: Left,
}

enum Left {
    Chunks,
    Bytes(usize),
    UntilEnd,
}

impl BodyReader {
    async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.left {
            Left::Bytes(0) => Ok(None),
            Left::Bytes(length) => {
                self.left = Left::Bytes(0);
                self.reader.exactly(length).await.map(Some)
            }
            Left::UntilEnd => {
                if self.reader.unread.is_empty() && !self.reader.fill().await? {
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.reader.unread)))
            }
            Left::Chunks => {
                let size = self.reader.line().await?;
                let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
                let chunk = self.reader.exactly(size).await?;
                assert_eq!(self.reader.line().await?, "", "a chunk ends with a line end");
                if size == 0 {
                    self.left = Left::Bytes(0);
                    return Ok(None);
                }
                Ok(Some(chunk))
            }
        }
    }
}

struct Reader {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Reader {
    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(self.unread[..end].to_vec()).expect("a line of text");
                self.unread.drain(..end + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < length {
            self.more().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.fill().await? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads what there is; `false` at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}
