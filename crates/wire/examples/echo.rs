//! A WebSocket echo server, for conformance suites only: no limit on sizes, no time-out on the handshake.
//!
//! `echo [ADDRESS]`, 127.0.0.1:0 by default; prints `echo on ADDRESS` once it accepts.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use courant_wire::{Context, Frame, Handler, Limits, Sink, Socket, Step, Transport, handshake, serve};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEAD_BYTES_MAX: usize = 16 * 1024;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("echo on {}", listener.local_addr()?);
    let limits = Limits {
        message_bytes_max: usize::MAX,
        frame_bytes_max: usize::MAX,
        fragments_max: 0,
        queue_bytes_max: usize::MAX,
        ..Limits::default()
    };
    let context = Arc::new(Context::new(limits));
    loop {
        let (tcp, peer) = listener.accept().await?;
        let context = context.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(tcp, context).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

/// Sends back what comes.
struct Echo(Arc<Socket>);

impl Handler for Echo {
    fn text(&mut self, text: &str) -> Step<'_> {
        let _closing = self.0.push(&Frame::text(text));
        Step::Done
    }

    fn binary(&mut self, data: &[u8]) -> Step<'_> {
        let _closing = self.0.push(&Frame::binary(data));
        Step::Done
    }
}

async fn converse(mut tcp: TcpStream, context: Arc<Context>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut read = Vec::new();
    let head_length = read_head(&mut tcp, &mut read).await?;
    match judge(&read) {
        Ok(accept) => {
            write_head(&mut tcp, &handshake::switching_protocols(&accept)).await?;
            let socket = Arc::new(Socket::new(Transport::plain(tcp), context, (1013, "slow consumer")));
            let leftover = Bytes::copy_from_slice(&read[head_length..]);
            serve(socket.clone(), leftover, Echo(socket)).await;
            Ok(())
        }
        Err(response) => {
            write_head(&mut tcp, response.as_ref()).await?;
            tcp.write_all(response.body().as_bytes()).await
        }
    }
}

/// Reads up to the empty line; answers the length of the head, behind which a client may already have sent more.
async fn read_head(tcp: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(at + 4);
        }
        if read.len() > HEAD_BYTES_MAX || tcp.read_buf(read).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn judge(head: &[u8]) -> Result<String, Box<http::Response<String>>> {
    let mut bad_request = http::Response::new("the request head is broken".to_owned());
    *bad_request.status_mut() = StatusCode::BAD_REQUEST;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    if !request.parse(head).is_ok_and(|status| status.is_complete()) {
        return Err(Box::new(bad_request));
    }
    let mut map = HeaderMap::new();
    for header in request.headers.iter() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(header.name.as_bytes()), HeaderValue::from_bytes(header.value))
        {
            map.append(name, value);
        }
    }
    let method = request.method.and_then(|method| method.parse().ok()).unwrap_or(Method::GET);
    let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    handshake::check(&method, version, &map).map_err(|error| Box::new(error.response()))
}

async fn write_head<B>(tcp: &mut TcpStream, response: &http::Response<B>) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    tcp.write_all(&head).await
}
