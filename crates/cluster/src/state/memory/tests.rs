use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::MessageId;

fn key(channel: &str) -> ChannelKey {
    ChannelKey { app: "1001".into(), channel: channel.into() }
}

fn event(text: &str, ttl_s: u64) -> CachedEvent {
    CachedEvent {
        id: MessageId(1),
        event: Bytes::copy_from_slice(text.as_bytes()),
        ttl: Duration::from_secs(ttl_s),
    }
}

fn cache(cached_events_max: usize, cached_bytes_max: usize) -> Cache {
    Cache::new(MemoryStateLimits { cached_events_max, cached_bytes_max })
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_forgets_what_would_expire_first() {
    let mut cache = cache(2, usize::MAX);
    let now = Instant::now();
    cache.put(&key("a"), event("a", 30), now);
    cache.put(&key("b"), event("b", 10), now);
    cache.put(&key("c"), event("c", 20), now);
    let kept = ["a", "b", "c"].map(|channel| cache.get(&key(channel), now).is_some());
    assert_eq!(kept, [true, false, true]);
    assert_eq!(cache.held().0, 2);
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_cache_stay_within_their_bound() {
    let mut cache = cache(usize::MAX, 10_000);
    let now = Instant::now();
    for n in 0..1000 {
        cache.put(&key(&n.to_string()), event(&"x".repeat(n % 700), 60), now);
        assert!(cache.held().1 <= 10_000);
    }
    assert!(cache.held().0 > 10, "and are put to use: {:?}", cache.held());
}

#[tokio::test(start_paused = true)]
async fn an_event_larger_than_the_cache_leaves_its_channel_without_one() {
    let mut cache = cache(usize::MAX, 1000);
    let now = Instant::now();
    cache.put(&key("a"), event("old", 60), now);
    cache.put(&key("b"), event("other", 60), now);
    cache.put(&key("a"), event(&"x".repeat(2000), 60), now);
    assert_eq!(cache.get(&key("a"), now), None);
    assert!(cache.get(&key("b"), now).is_some(), "nothing else is displaced for it");
}

#[tokio::test(start_paused = true)]
async fn expired_events_are_forgotten_though_nobody_asks_for_them() {
    let mut cache = cache(usize::MAX, usize::MAX);
    for n in 0..1000 {
        cache.put(&key(&n.to_string()), event("x", 1), Instant::now());
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..1000 {
        cache.put(&key("one"), event("x", 60), Instant::now());
    }
    assert_eq!(cache.held().0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_beyond_the_clock_is_kept() {
    let mut cache = cache(1, usize::MAX);
    cache.put(&key("a"), CachedEvent { ttl: Duration::MAX, ..event("x", 0) }, Instant::now());
    assert!(cache.get(&key("a"), Instant::now()).is_some());
}

#[test]
fn a_channel_of_one_connection_is_small() {
    assert_eq!(size_of::<Channel>(), 24);
}

#[tokio::test]
async fn nothing_is_left_of_an_application_whose_last_connection_went() {
    let state = MemoryState::default();
    let key = key("presence-x");
    let connection = SubscriberId { high: 1, low: 1 };
    let member = Some(Member { user_id: "u".into(), user_info: None });
    state.connect(&key.app, connection, Some(1)).await.unwrap();
    state.sign_in(&key.app, "u", connection).await.unwrap();
    state.join(&key, connection, Join { member, members_max: 1, cached: true }).await.unwrap();

    state.leave(&key, connection).await.unwrap();
    state.sign_out(&key.app, "u", connection).await.unwrap();
    state.disconnect(&key.app, connection).await.unwrap();
    for nth in 0..SHARDS {
        assert!(state.channels.read_nth(nth, &key.app, |_| ()).is_none());
        assert!(state.users.read_nth(nth, &key.app, |_| ()).is_none());
    }
    assert!(state.quota.is_empty());
}

#[tokio::test]
async fn a_refused_join_leaves_no_channel_behind() {
    let state = MemoryState::default();
    let member = Some(Member { user_id: "u".into(), user_info: None });
    let join = Join { member, members_max: 0, cached: false };
    let refused = state.join(&key("presence-x"), SubscriberId { high: 1, low: 1 }, join).await;
    assert!(matches!(refused, Err(StateError::MembersFull { members_max: 0 })));
    assert!(state.channels("1001", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_channel_may_have_connections_with_and_without_a_member() {
    let state = MemoryState::default();
    let key = key("x");
    let connection = |low| SubscriberId { high: 1, low };
    let join = |user: Option<&str>, members_max| Join {
        member: user.map(|user| Member { user_id: user.into(), user_info: None }),
        members_max,
        cached: false,
    };
    state.join(&key, connection(1), join(None, 0)).await.unwrap();
    state.join(&key, connection(2), join(None, 0)).await.unwrap();
    assert!(state.join(&key, connection(3), join(Some("u"), 0)).await.is_err());
    let again = state.join(&key, connection(1), join(Some("u"), 9)).await.unwrap();
    assert!(!again.member_added, "it is in already, and as nobody");
    let joined = state.join(&key, connection(3), join(Some("u"), 9)).await.unwrap();
    assert_eq!((joined.occupied, joined.member_added, joined.subscription_count), (false, true, 3));
    let left = state.leave(&key, connection(1)).await.unwrap();
    assert_eq!(left, Left { vacated: false, member_removed: false, subscription_count: 2 });
    assert!(state.leave(&key, connection(3)).await.unwrap().member_removed);
    assert!(state.leave(&key, connection(2)).await.unwrap().vacated);
}
