use proptest::prelude::*;

use super::*;

const STAMP: Stamp = Stamp { run: 7, lane: 2, sequence: 0xdead_beef, scheduled_ns: u64::MAX };

#[test]
fn stamp_is_found_inside_any_envelope() {
    let mut frame = br#"{"event":"bench","channel":"a","data":""#.to_vec();
    STAMP.append(&mut frame, 128);
    frame.extend_from_slice(br#""}"#);
    assert_eq!(StampFinder::new().find(&frame), Some(STAMP));
}

#[test]
fn payload_has_the_length_that_was_asked_for() {
    for (asked, got) in [(0, STAMP_BYTES), (STAMP_BYTES, STAMP_BYTES), (500, 500)] {
        let mut out = Vec::new();
        STAMP.append(&mut out, asked);
        assert_eq!(out.len(), got);
    }
}

#[test]
fn control_messages_hold_no_stamp() {
    let finder = StampFinder::new();
    assert_eq!(finder.find(br#"{"event":"pusher:ping","data":"{}"}"#), None);
    assert_eq!(finder.find(b"cb:0000000g:0000:00000000:0000000000000000:"), None);
    assert_eq!(finder.find(b"cb:00000000:0000"), None);
}

proptest! {
    #[test]
    fn every_stamp_survives_the_trip(run: u32, lane: u16, sequence: u32, scheduled_ns: u64, before in "[d-z{\":]{0,40}") {
        let stamp = Stamp { run, lane, sequence, scheduled_ns };
        let mut frame = before.into_bytes();
        stamp.append(&mut frame, 100);
        prop_assert_eq!(StampFinder::new().find(&frame), Some(stamp));
    }

    #[test]
    fn hostile_frames_are_answered_without_a_panic(frame: Vec<u8>) {
        let _ = StampFinder::new().find(&frame);
    }
}
