//! Reading a connection, message by message, without a buffer of its own.

use std::io;

use crate::{Decoded, Decoder, Event, Socket, Tick, scratch};

/// What a connection may do before other tasks get their turn, in units of a small message.
const BUDGET: u32 = 128;

/// A read moves up to 64 KiB, and may unmask and check them.
const READ_COST: u32 = 16;

/// The incoming side of a connection.
pub(super) struct Inbound {
    decoder: Decoder,
    buffer: Buffer,
    /// What is not yet decoded: `buffer[at..end]`.
    at: usize,
    end: usize,
    budget: u32,
    /// When the bytes at hand were read.
    read_at: Tick,
}

enum Buffer {
    None,
    /// The thread's; has to be released before the connection waits.
    Lent(Box<[u8]>),
    /// What could not be handled before the connection had to wait.
    Kept(Vec<u8>),
}

/// What comes next from the client.
pub(super) enum Next<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// Something that the handler has nothing to do with.
    Handled,
    /// Nothing is there to read.
    Wait,
    /// Others have waited long enough.
    Yield,
    /// Nothing more that means anything.
    End(Ending),
}

/// Why a connection reads no further messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer has closed, or broken the protocol: nothing after it has a meaning.
    Peer,
    /// This side closes, and the peer has not answered yet.
    Server,
    /// The stream has ended or broken.
    Stream,
}

impl Inbound {
    pub(super) fn new(leftover: &[u8]) -> Self {
        let buffer = if leftover.is_empty() { Buffer::None } else { Buffer::Kept(leftover.to_vec()) };
        let end = leftover.len();
        Self { decoder: Decoder::new(), buffer, at: 0, end, budget: BUDGET, read_at: Tick::now() }
    }

    /// Takes one step: reads where nothing is at hand, and decodes up to the next event.
    ///
    /// Answers pings, and a close or a breach of the protocol with a close, into the queue of the socket.
    pub(super) fn next(&mut self, socket: &Socket) -> Next<'_> {
        if self.budget == 0 {
            return Next::Yield;
        }
        self.budget -= 1;
        if self.at == self.end {
            match self.read(socket) {
                Ok(0) => return end_of_stream(socket),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Next::Handled,
                Err(_broken) => return end_of_stream(socket),
            }
        }
        let input = match &mut self.buffer {
            Buffer::None => &mut [],
            Buffer::Lent(bytes) => &mut bytes[self.at..self.end],
            Buffer::Kept(bytes) => &mut bytes[self.at..self.end],
        };
        match self.decoder.decode(input, &socket.context().limits) {
            Ok(Decoded { consumed, event }) => {
                self.at += consumed;
                if event.is_some() {
                    socket.heard_at(self.read_at);
                }
                event.map_or(Next::Handled, |event| answer(socket, event))
            }
            Err(violation) => {
                socket.fail(violation);
                Next::End(Ending::Peer)
            }
        }
    }

    fn read(&mut self, socket: &Socket) -> io::Result<usize> {
        self.budget = self.budget.saturating_sub(READ_COST);
        (self.at, self.end) = (0, 0);
        let mut buffer = match std::mem::replace(&mut self.buffer, Buffer::None) {
            Buffer::Lent(buffer) => buffer,
            Buffer::Kept(_) | Buffer::None => scratch::take(),
        };
        let result = socket.transport().try_read(&mut buffer);
        self.buffer = Buffer::Lent(buffer);
        let read = result?;
        self.read_at = Tick::now();
        self.end = read;
        if read > 0 {
            socket.context().observer.bytes_read(read);
        }
        Ok(read)
    }

    /// Gives the thread's buffer back, keeping only what is not decoded. To be called before waiting.
    pub(super) fn release(&mut self) {
        self.budget = BUDGET;
        self.decoder.release();
        let left = self.at..self.end;
        match std::mem::replace(&mut self.buffer, Buffer::None) {
            Buffer::Lent(buffer) => {
                if !left.is_empty() {
                    self.buffer = Buffer::Kept(buffer[left.clone()].to_vec());
                    (self.at, self.end) = (0, left.len());
                }
                scratch::give(buffer);
            }
            Buffer::Kept(bytes) if !left.is_empty() => self.buffer = Buffer::Kept(bytes),
            Buffer::Kept(_) | Buffer::None => {}
        }
    }
}

#[cfg(test)]
impl Inbound {
    pub(super) fn holds_nothing(&self) -> bool {
        self.decoder.is_idle() && matches!(self.buffer, Buffer::None)
    }
}

fn end_of_stream<'a>(socket: &Socket) -> Next<'a> {
    if socket.is_open() {
        socket.end();
    }
    Next::End(Ending::Stream)
}

fn answer<'a>(socket: &Socket, event: Event<'a>) -> Next<'a> {
    match event {
        Event::Text(text) => Next::Text(text),
        Event::Binary(data) => Next::Binary(data),
        Event::Fragment | Event::Pong(_) => Next::Handled,
        Event::Ping(payload) => {
            socket.pong(payload);
            Next::Handled
        }
        Event::Close { code, .. } => {
            socket.close_for_peer(code);
            Next::End(Ending::Peer)
        }
    }
}
