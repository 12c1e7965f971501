use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::*;
use crate::{Body, MessageId};

/// Takes as many messages as it has room for.
struct Bounded {
    room: Semaphore,
    taken: Mutex<Vec<u64>>,
}

impl Bounded {
    fn new(room: usize) -> Arc<Self> {
        Arc::new(Self { room: Semaphore::new(room), taken: Mutex::default() })
    }

    fn bus(self: &Arc<Self>) -> MemoryBus {
        MemoryBus::new(self.clone(), Duration::from_secs(1))
    }
}

#[async_trait]
impl Receiver for Bounded {
    async fn receive(&self, _topic: &Topic, message: Message) {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
            self.taken.lock().push(message.id.0);
        }
    }
}

fn message(id: u64) -> Message {
    Message {
        id: MessageId(id),
        except: None,
        accepted_at_us: 0,
        body: Body::Close { code: 4009, reason: Bytes::new() },
        trace: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_finds_no_room_until_the_deadline_is_full_and_not_published() {
    let receiver = Bounded::new(1);
    let bus = receiver.bus();
    let topic = Topic::new("t");
    bus.publish(&topic, message(1)).await.unwrap();

    let started = Instant::now();
    assert!(matches!(bus.publish(&topic, message(2)).await, Err(BusError::Full)));
    assert_eq!(started.elapsed(), Duration::from_secs(1));

    receiver.room.add_permits(1);
    bus.publish(&topic, message(3)).await.unwrap();
    assert_eq!(*receiver.taken.lock(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_waits_goes_on_when_there_is_room_before_the_deadline() {
    let receiver = Bounded::new(0);
    let bus = receiver.bus();
    let topic = Topic::new("t");
    let room_later = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        receiver.room.add_permits(1);
    };
    let (published, ()) = tokio::join!(bus.publish(&topic, message(1)), room_later);
    published.unwrap();
    assert_eq!(*receiver.taken.lock(), [1]);
}

#[tokio::test(start_paused = true)]
async fn one_blocked_publisher_does_not_stop_another() {
    let receiver = Bounded::new(0);
    let bus = receiver.bus();
    let topic = Topic::new("t");
    let started = Instant::now();
    let (first, second) = tokio::join!(bus.publish(&topic, message(1)), bus.publish(&topic, message(2)));
    assert!(first.is_err() && second.is_err());
    assert_eq!(started.elapsed(), Duration::from_secs(1), "both waited at the same time");
}
