use super::*;

fn letter(at_ms: u64, text: &str) -> DeadLetter {
    DeadLetter {
        id: Some("a-1".into()),
        app: "1001".into(),
        url: "https://example.com/".into(),
        events: vec![serde_json::value::to_raw_value(text).unwrap()],
        reason: DeadReason::Expired,
        attempts: 11,
        last: Some(Failure::Status(500)),
        at_ms,
    }
}

#[test]
fn only_the_newest_letters_are_kept() {
    let mut letters = DeadLetters::new(3, 1000);
    (0..10).for_each(|at_ms| letters.push(letter(at_ms, "x")));
    assert_eq!(letters.iter().map(|letter| letter.at_ms).collect::<Vec<_>>(), [7, 8, 9]);
}

#[test]
fn letters_are_bounded_in_bytes_even_if_one_alone_is_too_large() {
    let mut letters = DeadLetters::new(100, 50);
    (0..10).for_each(|at_ms| letters.push(letter(at_ms, &"x".repeat(18))));
    assert_eq!(letters.iter().map(|letter| letter.at_ms).collect::<Vec<_>>(), [8, 9]);
    letters.push(letter(10, &"x".repeat(60)));
    assert_eq!((letters.len(), letters.bytes), (0, 0));
}

#[test]
fn no_letters_are_kept_where_none_are_wanted() {
    let mut letters = DeadLetters::new(0, 1000);
    letters.push(letter(1, "x"));
    assert_eq!(letters.len(), 0);
}

#[test]
fn a_letter_is_readable_as_json() {
    assert_eq!(
        serde_json::to_string(&letter(5, "x")).unwrap(),
        r#"{"id":"a-1","app":"1001","url":"https://example.com/","events":["x"],"reason":"expired","attempts":11,"last":{"status":500},"at_ms":5}"#
    );
}
