//! The decoder of a client's frames: no bytes break it, and how they are split changes nothing.

use courant_wire::{Decoder, Event, Limits, Violation};

/// An event that owns its payload.
#[derive(Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Fragment,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// Takes one byte that chooses limits, one that chooses a split, and a client's stream.
pub(crate) fn check(data: &[u8]) {
    let [limits, split, stream @ ..] = data else { return };
    let limits = match limits % 3 {
        0 => Limits::default(),
        1 => Limits { message_bytes_max: 100, frame_bytes_max: 60, fragments_max: 3, ..Limits::default() },
        _ => Limits {
            message_bytes_max: usize::MAX,
            frame_bytes_max: usize::MAX,
            fragments_max: 0,
            ..Limits::default()
        },
    };
    let whole = decode(std::iter::once(stream), &limits);
    let bytes = decode(stream.chunks(1), &limits);
    assert_eq!(bytes, whole, "byte by byte differs from whole");
    let pieces = decode(Pieces { left: stream, state: u32::from(*split) + 1 }, &limits);
    assert_eq!(pieces, whole, "in pieces differs from whole");
}

/// Decodes to the end, to a close or to a violation.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: &Limits) -> (Vec<Owned>, Option<Violation>) {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut at = 0;
        while at < piece.len() {
            let left = piece.len() - at;
            let decoded = match decoder.decode(&mut piece[at..], limits) {
                Ok(decoded) => decoded,
                Err(violation) => return (events, Some(violation)),
            };
            assert!(decoded.consumed > 0 && decoded.consumed <= left, "progress, and not past the end");
            assert!(decoded.event.is_some() || decoded.consumed == left, "no event means all was taken");
            at += decoded.consumed;
            if let Some(event) = decoded.event {
                check_bounds(&event, limits);
                let is_close = matches!(event, Event::Close { .. });
                events.push(own(event));
                if is_close {
                    return (events, None);
                }
            }
        }
    }
    (events, None)
}

fn check_bounds(event: &Event<'_>, limits: &Limits) {
    match event {
        Event::Text(text) => assert!(text.len() <= limits.message_bytes_max),
        Event::Binary(data) => assert!(data.len() <= limits.message_bytes_max),
        Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
        Event::Close { reason, .. } => assert!(reason.len() <= 123),
        Event::Fragment => {}
    }
}

fn own(event: Event<'_>) -> Owned {
    match event {
        Event::Text(text) => Owned::Text(text.to_owned()),
        Event::Binary(data) => Owned::Binary(data.to_owned()),
        Event::Fragment => Owned::Fragment,
        Event::Ping(payload) => Owned::Ping(payload.to_owned()),
        Event::Pong(payload) => Owned::Pong(payload.to_owned()),
        Event::Close { code, reason } => Owned::Close(code, reason.to_owned()),
    }
}

/// Pieces of pseudo-random lengths, often shorter than a header.
struct Pieces<'a> {
    left: &'a [u8],
    state: u32,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left.is_empty() {
            return None;
        }
        // Marsaglia's xorshift; its state is never zero.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let longest = 1 << (self.state >> 8 & 7);
        let length = 1 + self.state as usize % longest;
        let (piece, left) = self.left.split_at(length.min(self.left.len()));
        self.left = left;
        Some(piece)
    }
}
