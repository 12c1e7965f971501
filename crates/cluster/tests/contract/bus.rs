//! What a bus does, seen by a single gateway.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use courant_cluster::{Body, Bus, Message, MessageId, Receiver, SubscriberId, Topic};
use courant_wire::Frame;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

macro_rules! bus_cases {
    (#[$test:meta], $make:expr) => {
        cases!(bus, #[$test], $make;
            messages_of_a_topic_arrive_in_order_and_each_once
            messages_of_several_publishers_each_keep_their_order
            a_message_published_after_subscribe_returned_arrives
            subscribing_again_does_nothing
            a_message_arrives_on_its_topic_as_it_was_published
            a_topic_that_was_left_can_be_subscribed_again
            a_receiver_that_takes_its_time_loses_nothing
            odd_names_of_topics_stay_apart
        );
    };
}
pub(crate) use bus_cases;

const PATIENCE: Duration = Duration::from_secs(10);

/// Hands on all it gets, taking some time over each.
struct Recorder {
    takes: Duration,
    received: mpsc::Sender<(Topic, Message)>,
}

#[async_trait]
impl Receiver for Recorder {
    async fn receive(&self, topic: &Topic, message: Message) {
        if !self.takes.is_zero() {
            sleep(self.takes).await;
        }
        self.received.send((topic.clone(), message)).await.expect("the test is running");
    }
}

/// What arrived at a gateway.
struct Received(mpsc::Receiver<(Topic, Message)>);

impl Received {
    async fn next(&mut self) -> (Topic, Message) {
        timeout(PATIENCE, self.0.recv()).await.expect("a message arrives").expect("the bus is there")
    }

    async fn next_id(&mut self) -> u64 {
        self.next().await.1.id.0
    }

    /// Whatever arrives within a while that is long for a bus.
    async fn nothing(&mut self) {
        if let Ok(Some(message)) = timeout(Duration::from_millis(300), self.0.recv()).await {
            panic!("{message:?} arrived");
        }
    }
}

async fn gateway(make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>) -> (Arc<dyn Bus>, Received) {
    slow_gateway(make, Duration::ZERO).await
}

async fn slow_gateway(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
    takes: Duration,
) -> (Arc<dyn Bus>, Received) {
    let (received, messages) = mpsc::channel(10_000);
    (make(Arc::new(Recorder { takes, received })).await, Received(messages))
}

fn message(id: u64) -> Message {
    let body = Body::Frame(Frame::text(&format!("message {id}")));
    Message { id: MessageId(id), except: None, accepted_at_us: 1, body, trace: None }
}

pub(crate) async fn messages_of_a_topic_arrive_in_order_and_each_once(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = gateway(make).await;
    let topic = Topic::new("ordered");
    bus.subscribe(&topic).await.unwrap();
    for id in 0..1000 {
        bus.publish(&topic, message(id)).await.unwrap();
    }
    for id in 0..1000 {
        assert_eq!(received.next_id().await, id);
    }
    received.nothing().await;
}

pub(crate) async fn messages_of_several_publishers_each_keep_their_order(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = gateway(make).await;
    let topic = Topic::new("shared");
    bus.subscribe(&topic).await.unwrap();
    let publishers = (0..4).map(|publisher| {
        let (bus, topic) = (bus.clone(), topic.clone());
        tokio::spawn(async move {
            for n in 0..200 {
                bus.publish(&topic, message(publisher * 1000 + n)).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let mut next = [0, 1000, 2000, 3000];
    for _ in 0..800 {
        let id = received.next_id().await;
        let expected = &mut next[id as usize / 1000];
        assert_eq!(id, *expected);
        *expected += 1;
    }
    received.nothing().await;
}

pub(crate) async fn a_message_published_after_subscribe_returned_arrives(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = gateway(make).await;
    for id in 0..100 {
        let topic = Topic::new(format!("fresh-{id}"));
        bus.subscribe(&topic).await.unwrap();
        bus.publish(&topic, message(id)).await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(received.next_id().await);
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}

pub(crate) async fn subscribing_again_does_nothing(make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>) {
    let (bus, mut received) = gateway(make).await;
    let topic = Topic::new("again");
    bus.subscribe(&topic).await.unwrap();
    bus.subscribe(&topic).await.unwrap();
    bus.publish(&topic, message(1)).await.unwrap();
    assert_eq!(received.next_id().await, 1);
    received.nothing().await;
}

pub(crate) async fn a_message_arrives_on_its_topic_as_it_was_published(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = gateway(make).await;
    let (topic, other) = (Topic::new("one"), Topic::new("other"));
    bus.subscribe(&topic).await.unwrap();
    bus.subscribe(&other).await.unwrap();
    let frame = Message {
        id: MessageId(u64::MAX),
        except: Some(SubscriberId { high: u64::MAX, low: 7 }),
        accepted_at_us: 1_700_000_000_000_001,
        body: Body::Frame(Frame::text("größe \u{1F600}")),
        trace: Some(Bytes::from_static(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")),
    };
    let body = Body::Close { code: 4009, reason: Bytes::from_static(b"terminated") };
    let close = Message { id: MessageId(0), except: None, accepted_at_us: 0, body, trace: None };
    for sent in [frame, close] {
        bus.publish(&topic, sent.clone()).await.unwrap();
        let (arrived_on, arrived) = received.next().await;
        assert_eq!((arrived_on, format!("{arrived:?}")), (topic.clone(), format!("{sent:?}")));
    }
    bus.publish(&other, message(3)).await.unwrap();
    assert_eq!(received.next().await.0, other);
}

pub(crate) async fn a_topic_that_was_left_can_be_subscribed_again(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = gateway(make).await;
    let topic = Topic::new("left");
    bus.unsubscribe(&topic).await.unwrap();
    for id in 0..10 {
        bus.subscribe(&topic).await.unwrap();
        bus.publish(&topic, message(id)).await.unwrap();
        assert_eq!(received.next_id().await, id);
        bus.unsubscribe(&topic).await.unwrap();
    }
    received.nothing().await;
}

pub(crate) async fn a_receiver_that_takes_its_time_loses_nothing(
    make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>,
) {
    let (bus, mut received) = slow_gateway(make, Duration::from_millis(2)).await;
    let topic = Topic::new("slow");
    bus.subscribe(&topic).await.unwrap();
    for id in 0..200 {
        bus.publish(&topic, message(id)).await.unwrap();
    }
    for id in 0..200 {
        assert_eq!(received.next_id().await, id);
    }
}

pub(crate) async fn odd_names_of_topics_stay_apart(make: impl AsyncFn(Arc<dyn Receiver>) -> Arc<dyn Bus>) {
    let (bus, mut received) = gateway(make).await;
    let names = ["a.b", "a.*", "a.>", "*", ">", "a b", "A.B", "a/b", "größe", "$SYS.x", "=@,;_-"];
    for name in names {
        bus.subscribe(&Topic::new(name)).await.unwrap();
    }
    for (id, name) in (0..).zip(names) {
        bus.publish(&Topic::new(name), message(id)).await.unwrap();
        let (topic, arrived) = received.next().await;
        assert_eq!((topic.as_str(), arrived.id.0), (name, id));
    }
    received.nothing().await;
}
