//! One connection to the sink, whichever protocol it turns out to speak.

use std::net::TcpStream;

use memchr::memmem;
use rustix::io::Errno;
use serde::Deserialize;

use crate::poller::{Interest, Poller};

/// What a client may leave unread, in bytes, before it is closed.
const UNREAD_BYTES_MAX: usize = 16 << 20;

/// The longest request taken.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// The answer to a publish that is taken.
pub(super) const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
/// The answer to a publish that is not.
pub(super) const REFUSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\nrefused";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const ESTABLISHED: &str =
    r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.1\",\"activity_timeout\":120}"}"#;

/// The connection is of no more use.
#[derive(Debug)]
pub(super) struct Gone;

/// What a client asks for.
pub(super) enum Request {
    /// To be sent what is published on a channel.
    Subscribe(String),
    /// To send these.
    Publish(Vec<Event>),
}

/// An event of the HTTP API.
#[derive(Deserialize)]
pub(super) struct Event {
    name: String,
    #[serde(alias = "channels", deserialize_with = "one_channel")]
    pub(super) channel: String,
    data: String,
}

#[derive(Deserialize)]
struct Batch {
    batch: Vec<Event>,
}

#[derive(Deserialize)]
struct Message {
    event: String,
    #[serde(default)]
    data: serde_json::Value,
}

/// The single endpoint has a list of channels, the batch endpoint has one; the generator only names one.
fn one_channel<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Channels {
        One(String),
        Many([String; 1]),
    }
    Ok(match Channels::deserialize(deserializer)? {
        Channels::One(channel) | Channels::Many([channel]) => channel,
    })
}

impl Event {
    /// The message that subscribers get.
    pub(super) fn to_message(&self) -> String {
        serde_json::json!({ "event": self.name, "channel": self.channel, "data": self.data }).to_string()
    }
}

/// A connection.
pub(super) struct Client {
    stream: TcpStream,
    is_websocket: bool,
    input: Vec<u8>,
    unsent: Vec<u8>,
}

impl Client {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, is_websocket: false, input: Vec::new(), unsent: Vec::new() }
    }

    /// Sends what waits, else reads, and appends what the client asks for.
    pub(super) fn on_ready(
        &mut self,
        poller: &Poller,
        token: u64,
        requests: &mut Vec<Request>,
    ) -> Result<(), Gone> {
        if !self.unsent.is_empty() {
            return self.flush(poller, token);
        }
        let mut chunk = [0; 16 * 1024];
        match rustix::io::read(&self.stream, &mut chunk) {
            Ok(0) => return Err(Gone),
            Ok(read) => self.input.extend_from_slice(&chunk[..read]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(_) => return Err(Gone),
        }
        if self.input.len() > REQUEST_BYTES_MAX {
            return Err(Gone);
        }
        loop {
            let used = match self.is_websocket {
                true => self.take_frame(requests)?,
                false => self.take_http(poller, token, requests)?,
            };
            match used {
                0 => return Ok(()),
                used => drop(self.input.drain(..used)),
            }
        }
    }

    fn take_http(&mut self, poller: &Poller, token: u64, requests: &mut Vec<Request>) -> Result<usize, Gone> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(&self.input) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(0),
            Err(_) => return Err(Gone),
        };
        if request.method == Some("GET") {
            self.is_websocket = true;
            let greeting = [SWITCHING, &text_frame(ESTABLISHED)].concat();
            self.write(&greeting, poller, token)?;
            return Ok(head);
        }
        let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let end = head.checked_add(length.unwrap_or(0)).ok_or(Gone)?;
        let Some(body) = self.input.get(head..end) else { return Ok(0) };
        let is_batch =
            request.path.is_some_and(|path| memmem::find(path.as_bytes(), b"/batch_events").is_some());
        let events = match is_batch {
            true => serde_json::from_slice::<Batch>(body).map(|batch| batch.batch),
            false => serde_json::from_slice::<Event>(body).map(|event| vec![event]),
        };
        requests.push(Request::Publish(events.map_err(|_| Gone)?));
        Ok(end)
    }

    /// Takes a masked frame of up to 64 KiB; only `pusher:subscribe` is of interest.
    fn take_frame(&mut self, requests: &mut Vec<Request>) -> Result<usize, Gone> {
        let &[first, second, ref rest @ ..] = &self.input[..] else { return Ok(0) };
        let (length, header) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(length) => (usize::from(u16::from_be_bytes(*length)), 8),
                None => return Ok(0),
            },
            127 => return Err(Gone),
            short => (usize::from(short), 6),
        };
        let Some(payload) = self.input.get(header..header + length) else { return Ok(0) };
        match first & 0x0f {
            1 => {
                // The generator masks with zero.
                let message: Message = serde_json::from_slice(payload).map_err(|_| Gone)?;
                if let (true, Some(channel)) =
                    (message.event == "pusher:subscribe", message.data["channel"].as_str())
                {
                    requests.push(Request::Subscribe(channel.to_owned()));
                }
            }
            8 => return Err(Gone),
            _ => {}
        }
        Ok(header + length)
    }

    /// Writes now what can be, keeps the rest.
    pub(super) fn write(&mut self, bytes: &[u8], poller: &Poller, token: u64) -> Result<(), Gone> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return if self.unsent.len() > UNREAD_BYTES_MAX { Err(Gone) } else { Ok(()) };
        }
        let written = match rustix::io::write(&self.stream, bytes) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => return Err(Gone),
        };
        if written < bytes.len() {
            self.unsent.extend_from_slice(&bytes[written..]);
            poller.modify(&self.stream, token, Interest::Write).map_err(|_| Gone)?;
        }
        Ok(())
    }

    fn flush(&mut self, poller: &Poller, token: u64) -> Result<(), Gone> {
        match rustix::io::write(&self.stream, &self.unsent) {
            Ok(written) => drop(self.unsent.drain(..written)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Err(Gone),
        }
        if self.unsent.is_empty() {
            poller.modify(&self.stream, token, Interest::Read).map_err(|_| Gone)?;
        }
        Ok(())
    }
}

/// A text frame from a server.
pub(super) fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        short @ 0..=125 => frame.push(short as u8),
        medium @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}
