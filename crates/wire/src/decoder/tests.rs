use proptest::prelude::*;

use super::*;
use crate::testing::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame};

/// An event that owns its payload.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Fragment,
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(data) => Self::Binary(data.to_owned()),
            Event::Fragment => Self::Fragment,
            Event::Ping(payload) => Self::Ping(payload.to_owned()),
            Event::Pong(payload) => Self::Pong(payload.to_owned()),
            Event::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// Decodes pieces one after the other, each to its end.
fn decode_with(limits: &Limits, pieces: &[&[u8]]) -> Result<Vec<Owned>, Violation> {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut at = 0;
        while at < piece.len() {
            let decoded = decoder.decode(&mut piece[at..], limits)?;
            at += decoded.consumed;
            events.extend(decoded.event.map(Owned::from));
        }
    }
    Ok(events)
}

fn decode(bytes: &[u8]) -> Result<Vec<Owned>, Violation> {
    let whole = decode_with(&Limits::default(), &[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(decode_with(&Limits::default(), &single), whole, "byte by byte is the same as whole");
    whole
}

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

#[test]
fn the_example_of_the_rfc_is_hello() {
    // RFC 6455, section 5.7.
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(decode(&hello), Ok(vec![text("Hello")]));
}

#[test]
fn messages_of_every_length_form_arrive_one_after_the_other() {
    let payloads = [0, 1, 0, 125, 126, 127, 65_535, 65_536, 0].map(|length| vec![0xA5; length]);
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(true, BINARY, payload)).collect();
    assert_eq!(decode(&stream), Ok(payloads.map(Owned::Binary).to_vec()));
}

#[test]
fn pings_between_fragments_come_before_the_message() {
    let stream = [
        frame(false, TEXT, "caf".as_bytes()),
        frame(true, PING, b"still there?"),
        frame(false, CONTINUATION, &"é".as_bytes()[..1]),
        frame(true, PONG, b""),
        frame(true, CONTINUATION, &"é".as_bytes()[1..]),
        frame(true, TEXT, b"next"),
    ];
    let expected = vec![
        Owned::Fragment,
        Owned::Ping(b"still there?".to_vec()),
        Owned::Fragment,
        Owned::Pong(vec![]),
        text("café"),
        text("next"),
    ];
    assert_eq!(decode(&stream.concat()), Ok(expected));
}

#[test]
fn frames_that_the_rfc_forbids_are_violations_with_its_codes() {
    let cases: &[(&[u8], Violation, u16)] = &[
        (&[0x81, 0x00], Violation::Unmasked, 1002),
        (&[0xC1, 0x80], Violation::ReservedBits, 1002),
        (&[0x91, 0x80], Violation::ReservedBits, 1002),
        (&[0x83, 0x80], Violation::Opcode(3), 1002),
        (&[0x8F, 0x80], Violation::Opcode(15), 1002),
        (&[0x09, 0x80], Violation::ControlFragmented, 1002),
        (&[0x89, 0xFE], Violation::ControlTooLong, 1002),
        (&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], Violation::Length, 1002),
        (&frame(true, CONTINUATION, b"x"), Violation::ContinuationOfNothing, 1002),
        (
            &[frame(false, TEXT, b"x"), frame(true, TEXT, b"y")].concat(),
            Violation::MessageInsideMessage,
            1002,
        ),
        (&frame(true, CLOSE, b"x"), Violation::CloseTooShort, 1002),
        (&frame(true, CLOSE, &[3, 232, 0xFF]), Violation::CloseReasonNotUtf8, 1007),
        (&frame(true, TEXT, &[0xC0, 0x80]), Violation::TextNotUtf8, 1007),
        (&frame(true, TEXT, "é".as_bytes().split_last().unwrap().1), Violation::TextNotUtf8, 1007),
    ];
    for (bytes, violation, code) in cases {
        assert_eq!(decode(bytes), Err(*violation), "{bytes:x?}");
        assert_eq!(violation.code(), *code);
        assert!(violation.to_string().len() <= 123, "fits into a close frame");
    }
}

#[test]
fn only_close_codes_that_may_be_sent_are_taken() {
    for code in 0..=u16::MAX {
        let close = frame(true, CLOSE, &code.to_be_bytes());
        let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = if may_be_sent {
            Ok(vec![Owned::Close(Some(code), String::new())])
        } else {
            Err(Violation::CloseCode(code))
        };
        assert_eq!(decode_with(&Limits::default(), &[&close]), expected);
    }
    assert_eq!(decode(&frame(true, CLOSE, b"")), Ok(vec![Owned::Close(None, String::new())]));
    let close = frame(true, CLOSE, b"\x0f\xa0bye");
    assert_eq!(decode(&close), Ok(vec![Owned::Close(Some(4000), "bye".to_owned())]));
}

#[test]
fn a_text_that_cannot_become_utf8_is_refused_before_its_end() {
    let valid = "κόσμε".as_bytes();
    let mut stream = frame(false, TEXT, &[valid, &[0xED, 0xA0, 0x80], valid].concat());
    // The surrogate's second byte already decides.
    stream.truncate(6 + valid.len() + 2);
    assert_eq!(decode(&stream), Err(Violation::TextNotUtf8));
    stream.pop();
    assert_eq!(decode(&stream), Ok(vec![]));
}

#[test]
fn oversize_is_refused_by_the_header_alone() {
    let limits = Limits { message_bytes_max: 100, frame_bytes_max: 60, ..Limits::default() };
    let header = |length: usize| frame(true, BINARY, &vec![0; length])[..8].to_vec();
    assert_eq!(decode_with(&limits, &[&header(60)]), Ok(vec![]));
    assert_eq!(decode_with(&limits, &[&header(61)]), Err(Violation::MessageTooBig));
    let huge = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4];
    assert_eq!(decode_with(&limits, &[&huge]), Err(Violation::MessageTooBig));
    let second = [frame(false, BINARY, &[0; 60]), frame(true, CONTINUATION, &[0; 41])[..6].to_vec()].concat();
    assert_eq!(decode_with(&limits, &[&second]), Err(Violation::MessageTooBig));
}

#[test]
fn fragments_are_counted_even_if_empty() {
    let limits = Limits { fragments_max: 3, ..Limits::default() };
    let message = |frames: usize| {
        let middle = frame(false, CONTINUATION, b"").repeat(frames - 2);
        [frame(false, TEXT, b""), middle, frame(true, CONTINUATION, b"")].concat()
    };
    assert!(decode_with(&limits, &[&message(3), &message(3)]).is_ok());
    assert_eq!(decode_with(&limits, &[&message(4)]), Err(Violation::TooManyFragments));
    assert_eq!(Violation::TooManyFragments.code(), 1008);
    let unlimited = Limits { fragments_max: 0, ..Limits::default() };
    assert!(decode_with(&unlimited, &[&message(10_000)]).is_ok());
}

#[test]
fn an_announced_length_reserves_no_memory() {
    let mut decoder = Decoder::new();
    let mut start = frame(true, BINARY, &[0; 60_000]);
    decoder.decode(&mut start[..20], &Limits::default()).unwrap();
    let message = decoder.partial.as_ref().unwrap().message.as_ref().unwrap();
    assert_eq!(message.bytes().len(), 12);
    assert!(message.capacity() < 100);
}

#[test]
fn a_decoder_between_messages_owns_nothing() {
    let limits = Limits::default();
    let mut decoder = Decoder::new();
    let mut stream = [frame(false, TEXT, b"in "), frame(true, CONTINUATION, b"parts")].concat();
    let (first, second) = stream.split_at_mut(12);
    let first_part = decoder.decode(first, &limits).unwrap().consumed;
    assert!(!decoder.is_idle());
    decoder.decode(&mut first[first_part..], &limits).unwrap();
    let event = decoder.decode(second, &limits).unwrap().event;
    assert_eq!(event, Some(Event::Text("in parts")));
    decoder.release();
    assert!(decoder.is_idle());
    assert_eq!(size_of::<Decoder>(), size_of::<usize>());
}

/// A legal message with its fragments, and pings between them.
fn message() -> impl Strategy<Value = (Vec<u8>, Vec<Owned>)> {
    let part = prop::collection::vec(any::<u8>(), 0..200);
    let parts = prop::collection::vec(part, 1..5);
    (any::<bool>(), "\\PC{0,80}", parts, any::<bool>()).prop_map(|(is_text, string, parts, pings)| {
        let parts = if is_text {
            let size = (string.len() / parts.len()).max(1);
            let mut parts: Vec<_> = string.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
            parts.resize(parts.len().max(1), Vec::new());
            parts
        } else {
            parts
        };
        let (mut stream, mut events) = (Vec::new(), Vec::new());
        for (at, part) in parts.iter().enumerate() {
            let first = if is_text { TEXT } else { BINARY };
            let is_last = at + 1 == parts.len();
            stream.extend(frame(is_last, if at == 0 { first } else { CONTINUATION }, part));
            match (is_last, is_text) {
                (false, _) => events.push(Owned::Fragment),
                (true, true) => events.push(text(&string)),
                (true, false) => events.push(Owned::Binary(parts.concat())),
            }
            if pings {
                stream.extend(frame(true, PING, &[at as u8; 7]));
                events.push(Owned::Ping(vec![at as u8; 7]));
            }
        }
        (stream, events)
    })
}

proptest! {
    #[test]
    fn messages_survive_any_fragmentation_and_any_split(
        messages in prop::collection::vec(message(), 1..8),
        cuts in prop::collection::vec(1_usize..300, 1..40),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|(stream, _)| stream.clone()).collect();
        let expected: Vec<Owned> = messages.into_iter().flat_map(|(_, events)| events).collect();
        let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(decode_with(&Limits { fragments_max: 0, ..Limits::default() }, &pieces), Ok(expected));
    }

    #[test]
    fn unmasking_in_parts_is_unmasking_whole(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        mask in any::<[u8; 4]>(),
        at in 0_usize..200,
    ) {
        let at = at.min(payload.len());
        let expected: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        let mut parts = payload;
        let (first, second) = parts.split_at_mut(at);
        unmask(first, mask, 0);
        unmask(second, mask, at);
        prop_assert_eq!(parts, expected);
    }
}
