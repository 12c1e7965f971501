//! A rustls session driven by hand, so that it can be read and written through a shared reference.

use std::io::{self, IoSlice, Read, Write};

use parking_lot::Mutex;
use rustls::ServerConnection;
use tokio::net::TcpStream;

/// A session and the socket below it.
///
/// The session is locked for the length of a call, which never waits: the socket does not block.
pub(super) struct Tls {
    tcp: TcpStream,
    session: Mutex<Session>,
}

struct Session {
    rustls: ServerConnection,
    close_notify_sent: bool,
}

/// The socket as rustls wants it.
struct Socket<'a>(&'a TcpStream);

impl Tls {
    pub(super) fn new(tcp: TcpStream, rustls: ServerConnection) -> Self {
        Self { tcp, session: Mutex::new(Session { rustls, close_notify_sent: false }) }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let session = &mut self.session.lock().rustls;
        loop {
            match session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read_or_broken => return read_or_broken,
            }
            session.read_tls(&mut Socket(&self.tcp))?;
            let processed = session.process_new_packets();
            // Answers to the records, a key update or an alert for instance. What the socket does not take now
            // goes with the next flush.
            match flush(session, &self.tcp) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let session = &mut self.session.lock().rustls;
        // The session takes a bounded amount; what it holds goes out before it gets more.
        flush(session, &self.tcp)?;
        let written = session.writer().write_vectored(slices)?;
        match flush(session, &self.tcp) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(written),
        }
    }

    pub(super) fn try_flush(&self) -> io::Result<()> {
        flush(&mut self.session.lock().rustls, &self.tcp)
    }

    pub(super) fn try_close_notify(&self) -> io::Result<()> {
        let mut session = self.session.lock();
        if !session.close_notify_sent {
            session.close_notify_sent = true;
            session.rustls.send_close_notify();
        }
        flush(&mut session.rustls, &self.tcp)
    }

    /// Whether the session holds decrypted bytes, for which the socket will never become readable.
    pub(super) fn has_plaintext(&self) -> bool {
        let session = &mut self.session.lock().rustls;
        // A broken session counts as readable: the read then says how it is broken.
        session.process_new_packets().map_or(true, |state| state.plaintext_bytes_to_read() > 0)
    }
}

fn flush(session: &mut ServerConnection, tcp: &TcpStream) -> io::Result<()> {
    while session.wants_write() {
        if session.write_tls(&mut Socket(tcp))? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.try_write(buffer)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
