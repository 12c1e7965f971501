use proptest::prelude::*;

use super::*;

fn frame(length: usize, seed: usize) -> Bytes {
    (0..length).map(|at| (at * 31 + seed) as u8).collect()
}

/// What `with_next` offers, joined, and in how many slices.
fn offered(queue: &Queue) -> (Vec<u8>, usize) {
    queue.with_next(|slices| (slices.iter().flat_map(|slice| slice.iter().copied()).collect(), slices.len()))
}

#[test]
fn small_frames_are_offered_as_one_copy_and_large_ones_as_slices() {
    let mut queue = Queue::default();
    for seed in 0..100 {
        queue.push_back(frame(100, seed));
    }
    assert_eq!(offered(&queue).1, 1);
    assert_eq!(offered(&queue).0.len(), 10_000);

    let mut queue = Queue::default();
    for seed in 0..100 {
        queue.push_back(frame(10_000, seed));
    }
    assert_eq!(offered(&queue).1, SLICES_MAX);
}

#[test]
fn an_emptied_queue_holds_no_allocation() {
    let mut queue = Queue::default();
    for seed in 0..1000 {
        queue.push_back(frame(10, seed));
    }
    assert_eq!(queue.advance(10_000), 1000);
    assert!(queue.is_empty());
    assert_eq!(queue.rest.capacity(), 0);
}

#[test]
fn dropping_what_is_unstarted_keeps_the_rest_of_a_started_frame() {
    let mut queue = Queue::default();
    queue.push_back(frame(100, 1));
    queue.push_back(frame(100, 2));
    queue.advance(30);
    queue.drop_unstarted();
    assert_eq!(queue.bytes(), 70);
    assert_eq!(offered(&queue).0, frame(100, 1)[30..]);
    queue.advance(70);
    queue.push_back(frame(100, 3));
    queue.drop_unstarted();
    assert!(queue.is_empty());
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn frames_without_bytes_to_speak_of_are_bounded_too() {
    let mut queue = Queue::default();
    let mut count = 0;
    while queue.fits(2, 3400) {
        queue.push_back(frame(2, 0));
        count += 1;
    }
    assert_eq!(count, 100, "each costs 34 bytes");
}

proptest! {
    #[test]
    fn what_is_pushed_is_written_once_and_in_order(
        steps in prop::collection::vec((0_usize..3000, 0_usize..60_000, 0_usize..4), 1..60),
    ) {
        let mut queue = Queue::default();
        let (mut pushed, mut written, mut ended, mut count) = (Vec::new(), Vec::new(), 0, 0);
        for (seed, (length, take, more)) in steps.into_iter().enumerate() {
            for extra in 0..=more {
                let frame = frame(2 + length, seed + extra);
                pushed.extend_from_slice(&frame);
                queue.push_back(frame);
                count += 1;
            }
            let (bytes, slices) = offered(&queue);
            prop_assert!(slices <= SLICES_MAX);
            let take = take.min(bytes.len());
            written.extend_from_slice(&bytes[..take]);
            ended += queue.advance(take);
            prop_assert_eq!(queue.bytes(), pushed.len() - written.len());
        }
        while !queue.is_empty() {
            let (bytes, _) = offered(&queue);
            prop_assert!(!bytes.is_empty());
            written.extend_from_slice(&bytes);
            ended += queue.advance(bytes.len());
        }
        prop_assert_eq!(written, pushed);
        prop_assert_eq!(ended, count);
    }
}
