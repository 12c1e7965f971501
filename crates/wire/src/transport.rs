//! The byte stream below a WebSocket: TCP, or TLS on it.

use std::io::{self, IoSlice, Read as _};
use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use tls::Tls;

mod tls;

/// A stream that is read and written through a shared reference, without waiting, from any thread.
///
/// Everything that a `try_` method does not do at once it answers with [`io::ErrorKind::WouldBlock`]; the
/// `poll_` methods then wait. Each direction remembers one waiting task.
pub struct Transport(Kind);

enum Kind {
    Plain(TcpStream),
    /// Boxed: a session is some kilobytes, and most connections have none.
    Tls(Box<Tls>),
}

impl Transport {
    /// TCP as it is.
    pub fn plain(tcp: TcpStream) -> Self {
        Self(Kind::Plain(tcp))
    }

    /// TLS whose handshake is done. What the session has already received is read first.
    pub fn tls(tcp: TcpStream, session: rustls::ServerConnection) -> Self {
        Self(Kind::Tls(Box::new(Tls::new(tcp, session))))
    }

    /// Reads what is there; 0 bytes are the orderly end of the stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where nothing is there; else the stream is broken.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Plain(tcp) => try_read(tcp, buffer),
            Kind::Tls(tls) => tls.try_read(buffer),
        }
    }

    /// Writes as much of the slices as is taken now.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where nothing is taken; else the stream is broken.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.0 {
            Kind::Plain(tcp) => match slices {
                [slice] => tcp.try_write(slice),
                slices => tcp.try_write_vectored(slices),
            },
            Kind::Tls(tls) => tls.try_write_vectored(slices),
        }
    }

    /// Writes what the transport itself holds back: records of TLS. TCP holds nothing.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where some is left; else the stream is broken.
    pub fn try_flush(&self) -> io::Result<()> {
        match &self.0 {
            Kind::Plain(_) => Ok(()),
            Kind::Tls(tls) => tls.try_flush(),
        }
    }

    /// Waits until [`try_read`](Self::try_read) may do something.
    ///
    /// # Errors
    ///
    /// Where the runtime is shutting down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Kind::Tls(tls) if tls.has_plaintext() => Poll::Ready(Ok(())),
            _ => self.tcp().poll_read_ready(cx),
        }
    }

    /// Waits until [`try_write_vectored`](Self::try_write_vectored) or [`try_flush`](Self::try_flush) may do
    /// something.
    ///
    /// # Errors
    ///
    /// Where the runtime is shutting down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_write_ready(cx)
    }

    /// Announces the end of what this side sends; a TLS session says so first. Call it until it succeeds.
    ///
    /// # Errors
    ///
    /// `WouldBlock` where records of TLS are left to be written; else the stream is broken.
    pub fn try_shutdown_write(&self) -> io::Result<()> {
        if let Kind::Tls(tls) = &self.0 {
            tls.try_close_notify()?;
        }
        SockRef::from(self.tcp()).shutdown(Shutdown::Write)
    }

    /// Ends the stream in both directions now. The descriptor is freed with the transport.
    pub fn shutdown(&self) {
        let _ended_already = SockRef::from(self.tcp()).shutdown(Shutdown::Both);
    }

    /// Makes the system forget what it still has to send once the transport is dropped, so that a peer that
    /// never reads holds no memory of the kernel.
    pub fn abandon(&self) {
        let _ended_already = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Kind::Plain(tcp) => tcp,
            Kind::Tls(tls) => tls.tcp(),
        }
    }
}

/// Like [`TcpStream::try_read`], but a read that does not fill the buffer counts as one that emptied the
/// socket, which saves the read that would only say so. Tokio's own `poll_read` does the same; it holds where
/// readiness is signalled by edge.
fn try_read(tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    if cfg!(not(target_os = "linux")) {
        return tcp.try_read(buffer);
    }
    let mut short_read = 0;
    let result = tcp.try_io(Interest::READABLE, || match (&*SockRef::from(tcp)).read(buffer)? {
        read if 0 < read && read < buffer.len() => {
            short_read = read;
            Err(io::ErrorKind::WouldBlock.into())
        }
        read => Ok(read),
    });
    if short_read > 0 { Ok(short_read) } else { result }
}

#[cfg(test)]
pub(crate) mod tests;
