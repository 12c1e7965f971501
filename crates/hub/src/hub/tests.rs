use std::sync::Arc;
use std::time::Duration;

use courant_cluster::{Body, Message, MessageId, Receiver, SubscriberId, Topic};
use courant_wire::{Frame, Pushed, Sink};
use parking_lot::Mutex;

use super::{Hub, HubSettings};

#[derive(Default)]
struct Recorder {
    queued: Mutex<Vec<Frame>>,
    written: Mutex<Vec<String>>,
    writes: Mutex<usize>,
    closed: Mutex<Option<u16>>,
}

impl Sink for Recorder {
    fn push(&self, frame: &Frame) -> Pushed {
        self.queued.lock().push(frame.clone());
        Pushed::Queued
    }
    fn flush(&self) {
        let queued = std::mem::take(&mut *self.queued.lock());
        *self.writes.lock() += 1;
        let texts = queued.iter().map(|frame| String::from_utf8(frame.payload().to_vec()).unwrap());
        self.written.lock().extend(texts);
    }
    fn close(&self, code: u16, _reason: &str) {
        self.closed.lock().get_or_insert(code);
    }
}

impl Recorder {
    async fn wrote(&self, count: usize) -> Vec<String> {
        tokio::time::timeout(Duration::from_secs(60), async {
            while self.written.lock().len() < count {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the frames arrive");
        self.written.lock().clone()
    }
}

fn hub() -> Arc<Hub> {
    Hub::start(HubSettings { workers: 2, queue_messages_max: 16 }, Arc::new(()))
}

fn id(low: u64) -> SubscriberId {
    SubscriberId { high: 1, low }
}

fn message(number: u64, except: Option<SubscriberId>) -> Message {
    let body = Body::Frame(Frame::text(&number.to_string()));
    Message { id: MessageId(number), except, accepted_at_us: 0, body, trace: None }
}

#[tokio::test]
async fn messages_reach_every_subscriber_in_order_but_the_excepted() {
    let hub = hub();
    let topic = Topic::new("t");
    let sinks: Vec<_> = (0..200).map(|_| Arc::new(Recorder::default())).collect();
    let mut subscriptions = Vec::new();
    for (low, sink) in sinks.iter().enumerate() {
        subscriptions.push(hub.subscribe(&topic, id(low as u64), sink.clone(), &[], None));
    }
    for number in 0..100 {
        hub.receive(&topic, message(number, Some(id(7)))).await;
    }
    hub.receive(&topic, message(100, None)).await;
    let all: Vec<String> = (0..=100).map(|number| number.to_string()).collect();
    for (low, sink) in sinks.iter().enumerate() {
        let expected = if low == 7 { &all[100..] } else { &all[..] };
        assert_eq!(sink.wrote(expected.len()).await, expected);
    }
    assert_eq!(hub.subscribers(&topic), 200);
}

#[tokio::test]
async fn a_greeting_comes_first_and_its_message_is_not_repeated() {
    let hub = hub();
    let topic = Topic::new("t");
    let sink = Arc::new(Recorder::default());
    let greeting = [Frame::text("hello"), Frame::text("5")];
    let _subscription = hub.subscribe(&topic, id(1), sink.clone(), &greeting, Some(MessageId(5)));
    hub.receive(&topic, message(5, None)).await;
    hub.receive(&topic, message(6, None)).await;
    assert_eq!(sink.wrote(3).await, ["hello", "5", "6"]);
}

#[tokio::test]
async fn who_left_gets_nothing_and_the_last_to_leave_is_told() {
    let hub = hub();
    let topic = Topic::new("t");
    let (first, second) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    let one = hub.subscribe(&topic, id(1), first.clone(), &[], None);
    let two = hub.subscribe(&topic, id(2), second.clone(), &[], None);
    assert!(!hub.unsubscribe(one));
    hub.receive(&topic, message(1, None)).await;
    assert_eq!(second.wrote(1).await, ["1"]);
    assert!(first.written.lock().is_empty());
    assert!(hub.unsubscribe(two));
    assert_eq!(hub.subscribers(&topic), 0);
    hub.receive(&topic, message(2, None)).await;
    assert!(first.written.lock().is_empty());
}

#[tokio::test]
async fn a_close_reaches_subscribers_with_its_code() {
    let hub = hub();
    let topic = Topic::new("t");
    let sink = Arc::new(Recorder::default());
    let _subscription = hub.subscribe(&topic, id(1), sink.clone(), &[], None);
    let body = Body::Close { code: 4009, reason: "gone".into() };
    hub.receive(&topic, Message { body, ..message(1, None) }).await;
    hub.receive(&topic, message(2, None)).await;
    sink.wrote(1).await;
    assert_eq!(*sink.closed.lock(), Some(4009));
}

#[tokio::test]
async fn members_that_come_and_go_during_fan_out_leave_the_others_complete() {
    let hub = hub();
    let topic = Topic::new("t");
    let steady: Vec<_> = (0..300).map(|_| Arc::new(Recorder::default())).collect();
    let mut passing = Vec::new();
    let mut kept = Vec::new();
    for (low, sink) in steady.iter().enumerate() {
        passing.push(hub.subscribe(
            &topic,
            id(10_000 + low as u64),
            Arc::new(Recorder::default()),
            &[],
            None,
        ));
        kept.push(hub.subscribe(&topic, id(low as u64), sink.clone(), &[], None));
    }
    for number in 0..200 {
        hub.receive(&topic, message(number, None)).await;
        if let Some(subscription) = passing.pop() {
            hub.unsubscribe(subscription);
        }
        tokio::task::yield_now().await;
    }
    for sink in &steady {
        let written = sink.wrote(200).await;
        assert_eq!(written, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn who_joins_while_a_message_waits_does_not_get_it() {
    let hub = hub();
    let topic = Topic::new("t");
    let (early, late) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
    let _early = hub.subscribe(&topic, id(1), early.clone(), &[], None);
    // The worker runs on this thread, so nothing is fanned out before the next await that waits.
    for number in 0..5 {
        hub.receive(&topic, message(number, None)).await;
    }
    let _late = hub.subscribe(&topic, id(2), late.clone(), &[Frame::text("4")], Some(MessageId(4)));
    hub.receive(&topic, message(5, None)).await;
    assert_eq!(early.wrote(6).await, ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(late.wrote(2).await, ["4", "5"]);
}
