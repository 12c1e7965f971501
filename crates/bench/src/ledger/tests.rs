use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[test]
fn messages_in_order_are_counted() {
    let mut ledger = Ledger::default();
    for sequence in 0..200 {
        assert_eq!(ledger.enter(sequence), Arrival::Next);
    }
    assert_eq!(ledger.received(), 200);
}

#[test]
fn a_gap_leaves_the_count_short() {
    let mut ledger = Ledger::default();
    ledger.enter(0);
    ledger.enter(5);
    assert_eq!(ledger.received(), 2);
}

#[test]
fn a_message_after_a_later_one_is_late_and_counts_once() {
    let mut ledger = Ledger::default();
    ledger.enter(1);
    assert_eq!(ledger.enter(0), Arrival::Late);
    assert_eq!(ledger.enter(0), Arrival::Duplicate);
    assert_eq!(ledger.received(), 2);
}

#[test]
fn a_repeated_message_is_a_duplicate_within_the_window() {
    let mut ledger = Ledger::default();
    for sequence in 0..100 {
        ledger.enter(sequence);
    }
    assert_eq!(ledger.enter(99), Arrival::Duplicate);
    assert_eq!(ledger.enter(36), Arrival::Duplicate);
    assert_eq!(ledger.enter(35), Arrival::Late, "too far back to know, still never counted");
    assert_eq!(ledger.received(), 100);
}

#[test]
fn the_highest_number_does_not_overflow() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.enter(u32::MAX), Arrival::Next);
    assert_eq!(ledger.received(), 1);
}

proptest! {
    /// Against a set that remembers everything, for arrivals that stay within the window.
    #[test]
    fn it_agrees_with_a_set_that_remembers_all(arrivals in proptest::collection::vec(0u32..60, 0..200)) {
        let mut ledger = Ledger::default();
        let mut seen = BTreeSet::new();
        for sequence in arrivals {
            let late = seen.last().is_some_and(|last| sequence < *last);
            let expected = match seen.insert(sequence) {
                false => Arrival::Duplicate,
                true if late => Arrival::Late,
                true => Arrival::Next,
            };
            prop_assert_eq!(ledger.enter(sequence), expected);
            prop_assert_eq!(ledger.received() as usize, seen.len());
        }
    }
}
