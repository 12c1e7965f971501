use courant_auth::{App, Key, KeyPair, Secret};

use super::*;

fn apps() -> Apps {
    let pair = KeyPair::new(Key::new("key").unwrap(), Secret::new("secret").unwrap());
    Apps::new(vec![App::new(AppId::new("1").unwrap(), vec![pair])]).unwrap()
}

fn apply(ledger: &mut Ledger, records: &[&str]) {
    for record in records {
        ledger.apply(serde_json::from_str(record).unwrap(), &apps()).unwrap();
    }
}

fn texts(ledger: &Ledger) -> String {
    serde_json::to_string(&ledger.snapshot()).unwrap()
}

const RECORDS: [&str; 8] = [
    r#"{"created":{"log":77}}"#,
    r#"{"endpoints":{"known":[{"number":1,"app":"1","url":"https://a.example.com/","ordinal":0}]}}"#,
    r#"{"queued":{"first":1,"time_ms":5,"app":"1","event":{"name":"channel_occupied","channel":"a"},"to":[1]}}"#,
    r#"{"queued":{"first":2,"time_ms":6,"app":"1","event":{"name":"cache_miss","channel":"cache-a"},"to":[1]}}"#,
    r#"{"queued":{"first":3,"time_ms":7,"app":"1","event":{"name":"cache_miss","channel":"cache-b"},"to":[1]}}"#,
    r#"{"batched":{"ids":[2,3]}}"#,
    r#"{"failed":{"id":2,"attempts":1,"spent":{"secs":1,"nanos":0},"last":{"status":500}}}"#,
    r#"{"died":{"id":1,"reason":"expired","attempts":11,"last":"timeout","at_ms":9}}"#,
];

#[test]
fn records_of_the_first_version_are_understood() {
    let mut ledger = Ledger::new(&Settings::default());
    apply(&mut ledger, &RECORDS);
    assert_eq!(
        ledger.deliveries().map(|(id, delivery)| (id, delivery.events.len())).collect::<Vec<_>>(),
        [(2, 2)]
    );
    assert_eq!(ledger.spans.len(), 1);
    let letter = ledger.dead.iter().next().unwrap();
    assert_eq!(letter.id.as_deref(), Some("000000000000004d-1"));
    assert_eq!(
        (letter.url.as_str(), letter.last.clone()),
        ("https://a.example.com/", Some(Failure::Timeout))
    );
}

#[test]
fn a_snapshot_stands_for_the_records_before_it() {
    for cut in 0..=RECORDS.len() {
        let mut whole = Ledger::new(&Settings::default());
        apply(&mut whole, &RECORDS);
        let mut before = Ledger::new(&Settings::default());
        apply(&mut before, &RECORDS[..cut]);
        let mut after = Ledger::new(&Settings::default());
        after.restore(serde_json::from_str(&texts(&before)).unwrap(), &apps());
        apply(&mut after, &RECORDS[cut..]);
        assert_eq!(texts(&after), texts(&whole), "cut at {cut}");
    }
}

#[test]
fn ids_are_not_used_again_after_all_is_delivered() {
    let mut ledger = Ledger::new(&Settings::default());
    apply(&mut ledger, &RECORDS);
    apply(&mut ledger, &[r#"{"delivered":{"ids":[2]}}"#]);
    let mut after = Ledger::new(&Settings::default());
    after.restore(serde_json::from_str(&texts(&ledger)).unwrap(), &apps());
    let queued = QueuedEvent { time_ms: 1, json: serde_json::from_str("{}").unwrap() };
    let event = Event::CacheMiss { channel: "cache-a".into() };
    assert_eq!(after.queue(None, &event, queued, &[1]), 4);
}

#[test]
fn records_about_what_is_gone_change_nothing() {
    let mut ledger = Ledger::new(&Settings::default());
    apply(&mut ledger, &RECORDS);
    let before = texts(&ledger);
    apply(
        &mut ledger,
        &[
            r#"{"delivered":{"ids":[900]}}"#,
            r#"{"batched":{"ids":[]}}"#,
            r#"{"batched":{"ids":[900,901]}}"#,
            r#"{"failed":{"id":900,"attempts":1,"spent":{"secs":1,"nanos":0},"last":{"connect":"refused"}}}"#,
            r#"{"died":{"id":900,"reason":"forbidden","attempts":1,"last":{"forbidden":"no"},"at_ms":9}}"#,
        ],
    );
    assert_eq!(texts(&ledger), before);
}

#[test]
fn what_belongs_to_an_application_that_is_gone_is_not_announced() {
    let mut ledger = Ledger::new(&Settings::default());
    apply(
        &mut ledger,
        &[
            r#"{"queued":{"first":1,"time_ms":5,"app":"gone","event":{"name":"channel_occupied","channel":"a"},"to":[1]}}"#,
        ],
    );
    assert_eq!((ledger.spans.len(), ledger.deliveries().count()), (0, 1));
}
