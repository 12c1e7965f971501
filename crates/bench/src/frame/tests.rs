use proptest::prelude::*;

use super::*;

fn server_text(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81];
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        medium => {
            out.push(126);
            out.extend_from_slice(&(medium as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

#[test]
fn incomplete_frames_wait_for_more() {
    let whole = server_text(&[b'a'; 300]);
    for length in 0..whole.len() {
        assert_eq!(parse(&whole[..length]), Ok(None), "{length} bytes");
    }
    assert_eq!(parse(&whole), Ok(Some((Frame::Text(&[b'a'; 300]), whole.len()))));
}

#[test]
fn control_frames_are_told_apart() {
    assert_eq!(parse(&[0x89, 1, b'p']), Ok(Some((Frame::Ping(b"p"), 3))));
    assert_eq!(parse(&[0x8a, 0]), Ok(Some((Frame::Pong, 2))));
    assert_eq!(parse(&[0x88, 2, 0x10, 0x68]), Ok(Some((Frame::Close(Some(4200)), 4))));
    assert_eq!(parse(&[0x88, 0]), Ok(Some((Frame::Close(None), 2))));
}

#[test]
fn what_the_protocol_never_sends_is_an_error() {
    assert_eq!(parse(&[0x81, 0x80]), Err(FrameError::Masked));
    assert_eq!(parse(&[0x01, 0]), Err(FrameError::Unsupported(0x01)));
    assert_eq!(parse(&[0x82, 0]), Err(FrameError::Unsupported(0x82)));
    assert_eq!(parse(&[0xc1, 0]), Err(FrameError::Unsupported(0xc1)));
    let endless = [0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(parse(&endless), Err(FrameError::TooLong(u64::MAX)));
}

#[test]
fn client_frames_are_masked_with_zero() {
    let mut out = Vec::new();
    append_text(&mut out, b"hi");
    assert_eq!(out, [0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    out.clear();
    append_pong(&mut out, b"");
    assert_eq!(out, [0x8a, 0x80, 0, 0, 0, 0]);
}

proptest! {
    #[test]
    fn hostile_bytes_are_answered_without_a_panic(bytes: Vec<u8>) {
        if let Ok(Some((_, used))) = parse(&bytes) {
            prop_assert!((2..=bytes.len()).contains(&used));
        }
    }

    #[test]
    fn consecutive_frames_are_split_exactly(first in proptest::collection::vec(any::<u8>(), 0..400), second: Vec<u8>) {
        let mut bytes = server_text(&first);
        let length = bytes.len();
        bytes.extend(server_text(&second));
        prop_assert_eq!(parse(&bytes), Ok(Some((Frame::Text(&first), length))));
        prop_assert!(matches!(parse(&bytes[length..]), Ok(Some((Frame::Text(_), _)))));
    }
}
