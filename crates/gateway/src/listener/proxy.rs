//! The PROXY protocol header, versions 1 and 2 (HAProxy's `proxy-protocol.txt`).

use std::io;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use proxy_protocol_rs::{Command, ParseError, parse};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest header that is read: version 2 with generous room for extensions.
const HEADER_BYTES_MAX: usize = 4096;

/// A connection after its header.
pub(super) struct Read {
    pub(super) tcp: TcpStream,
    /// What was read beyond the header.
    pub(super) prefix: Bytes,
    pub(super) source: Source,
}

/// Whom a header names.
pub(super) enum Source {
    /// The client.
    Address(IpAddr),
    /// The proxy itself, for a health check.
    Local,
    /// There is no header.
    NoHeader,
}

/// Reads until it is clear whether there is a header, and where it ends.
pub(super) async fn read(mut tcp: TcpStream) -> io::Result<Read> {
    let mut buffer = BytesMut::with_capacity(512);
    loop {
        if tcp.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (source, length) = match parse(&buffer) {
            Ok((header, length)) => match (header.command, header.source_ip()) {
                (Command::Proxy, Some(address)) => (Source::Address(address.to_canonical()), length),
                _ => (Source::Local, length),
            },
            Err(ParseError::NotProxyProtocol) => (Source::NoHeader, 0),
            Err(ParseError::Incomplete) if buffer.len() < HEADER_BYTES_MAX => continue,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let prefix = buffer.split_off(length).freeze();
        return Ok(Read { tcp, prefix, source });
    }
}
