//! One keep-alive HTTP/1.1 connection with at most one request under way.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::clock;
use crate::poller::{Interest, Poller};
use crate::target::Endpoint;

/// The longest answer taken, in bytes: answers to publishes are `{}`, errors a line.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How long connecting may take. On this machine it takes no time, or fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What an event on a lane came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer is not whole yet.
    Pending,
    /// The request was accepted.
    Accepted,
    /// The request was refused, or the connection broke; why.
    Failed(String),
    /// Nothing was under way.
    Idle,
}

/// A connection and the request under way on it.
#[derive(Default)]
pub(super) struct Lane {
    socket: Option<Socket>,
    out: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
    busy: bool,
    /// When the last request ended.
    free_since_ns: u64,
    due_ns: u64,
    channels: Vec<usize>,
}

impl Lane {
    /// Begins a request that was due at `due_ns`; the caller appends its bytes.
    pub(super) fn request(&mut self, due_ns: u64, channels: impl Iterator<Item = usize>) -> &mut Vec<u8> {
        self.out.clear();
        self.written = 0;
        self.answer.clear();
        self.busy = true;
        self.due_ns = due_ns;
        self.channels.clear();
        self.channels.extend(channels);
        &mut self.out
    }

    /// Whether the lane was still busy when the request under way was due.
    pub(super) fn was_awaited(&self) -> bool {
        self.free_since_ns > self.due_ns
    }

    pub(super) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    pub(super) fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// Drops the connection and what was under way.
    pub(super) fn reset(&mut self) {
        self.socket = None;
        self.busy = false;
    }

    /// Sends the request, over a new connection if there is none.
    pub(super) fn send(&mut self, endpoint: &Endpoint, poller: &Poller, token: u64) -> Result<(), String> {
        if self.socket.is_none() {
            let socket = connect(endpoint).map_err(|error| format!("connect: {error}"))?;
            poller.add(&socket, token, Interest::Read).map_err(|error| format!("epoll: {error}"))?;
            self.socket = Some(socket);
        }
        self.write(poller, token)
    }

    /// Goes on with whatever the socket is ready for.
    pub(super) fn on_ready(&mut self, poller: &Poller, token: u64) -> Outcome {
        let was_busy = self.busy;
        let outcome = match self.advance(poller, token) {
            Ok(None) => return Outcome::Pending,
            Ok(Some((_, closes))) if closes => {
                self.socket = None;
                self.answer_outcome()
            }
            Ok(Some(_)) => self.answer_outcome(),
            Err(reason) => {
                self.socket = None;
                Outcome::Failed(reason)
            }
        };
        self.busy = false;
        self.free_since_ns = clock::now_ns();
        if was_busy { outcome } else { Outcome::Idle }
    }

    fn answer_outcome(&self) -> Outcome {
        let status = self.answer.get(9..12).unwrap_or_default();
        if status == b"200" || status == b"202" {
            return Outcome::Accepted;
        }
        let body =
            memchr::memmem::find(&self.answer, b"\r\n\r\n").map_or(&[][..], |end| &self.answer[end + 4..]);
        let body = &body[..body.len().min(120)];
        Outcome::Failed(format!(
            "{} {}",
            String::from_utf8_lossy(status),
            String::from_utf8_lossy(body).trim()
        ))
    }

    /// The length of the whole answer and whether the connection ends with it, once it has come.
    fn advance(&mut self, poller: &Poller, token: u64) -> Result<Option<(usize, bool)>, String> {
        let Some(socket) = &self.socket else { return Ok(None) };
        if self.written < self.out.len() && self.busy {
            self.write(poller, token)?;
            return Ok(None);
        }
        let mut chunk = [0; 4096];
        match rustix::io::read(socket, &mut chunk) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(read) => self.answer.extend_from_slice(&chunk[..read]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(format!("read: {error}")),
        }
        if self.answer.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
        }
        whole_answer(&self.answer)
    }

    fn write(&mut self, poller: &Poller, token: u64) -> Result<(), String> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let was_partial = self.written > 0;
        match rustix::io::write(socket, &self.out[self.written..]) {
            Ok(written) => self.written += written,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(format!("write: {error}")),
        }
        let is_partial = self.written < self.out.len();
        if is_partial || was_partial {
            let interest = if is_partial { Interest::Write } else { Interest::Read };
            poller.modify(socket, token, interest).map_err(|error| format!("epoll: {error}"))?;
        }
        Ok(())
    }
}

fn connect(endpoint: &Endpoint) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(endpoint.address), Type::STREAM, Some(Protocol::TCP))?;
    socket.connect_timeout(&endpoint.address.into(), CONNECT_TIMEOUT)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(socket)
}

/// The length of the HTTP answer and whether the server will close the connection, once the answer is whole.
fn whole_answer(bytes: &[u8]) -> Result<Option<(usize, bool)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("not an HTTP answer: {error}")),
    };
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let body = &bytes[head..];
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Ok(body.ends_with(b"0\r\n\r\n").then_some((bytes.len(), closes)));
    }
    let length = match header("content-length") {
        Some(value) => value.trim().parse::<usize>().map_err(|_| format!("content-length {value:?}"))?,
        None => 0,
    };
    Ok((body.len() >= length).then_some((head + length, closes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for length in 0..answer.len() {
            assert_eq!(whole_answer(&answer[..length]), Ok(None), "{length} bytes");
        }
        assert_eq!(whole_answer(answer), Ok(Some((answer.len(), false))));
    }

    #[test]
    fn chunked_and_closing_answers_are_understood() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(whole_answer(chunked), Ok(Some((chunked.len(), false))));
        assert_eq!(whole_answer(&chunked[..chunked.len() - 1]), Ok(None));
        let closing = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n";
        assert_eq!(whole_answer(closing), Ok(Some((closing.len(), true))));
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(whole_answer(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(whole_answer(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }
}
