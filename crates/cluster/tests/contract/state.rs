//! What a state does: who is where, and who is told of each transition.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use courant_cluster::{
    CachedEvent, ChannelCounts, ChannelKey, Join, Joined, Left, Member, MessageId, SignedIn, SignedOut,
    State, StateError, SubscriberId,
};
use tokio::time::sleep;

macro_rules! state_cases {
    (#[$test:meta], $make:expr) => {
        cases!(state, #[$test], $make;
            the_first_join_occupies_a_channel_and_the_last_leave_vacates_it
            a_join_or_leave_made_twice_changes_and_reports_nothing
            a_leave_of_a_connection_that_is_not_there_changes_nothing
            a_user_is_added_by_the_first_connection_and_removed_by_the_last
            members_are_in_the_order_of_their_first_joining
            the_info_of_a_user_is_what_the_first_connection_gave
            a_full_channel_refuses_new_users_only_and_changes_nothing_by_it
            an_ordinary_channel_has_no_members
            channels_are_listed_by_prefix_and_name_while_they_are_occupied
            a_prefix_is_text_and_not_a_pattern
            applications_share_nothing
            the_last_event_is_kept_for_its_time
            a_new_event_takes_the_place_of_the_last
            a_join_finds_the_last_event_only_where_it_asks_for_it
            a_user_is_online_from_the_first_sign_in_to_the_last_sign_out
            users_are_answered_in_the_order_they_were_asked_for
            connections_are_counted_up_to_their_bound
        );
    };
}
pub(crate) use state_cases;

macro_rules! concurrent_state_cases {
    (#[$test:meta], $make:expr) => {
        cases!(state, #[$test], $make;
            of_joins_at_the_same_time_one_occupies_and_of_leaves_one_vacates
            a_bound_on_connections_holds_at_the_same_time
            a_bound_on_members_holds_at_the_same_time
        );
    };
}
pub(crate) use concurrent_state_cases;

pub(crate) fn key(channel: &str) -> ChannelKey {
    ChannelKey { app: "1001".into(), channel: channel.into() }
}

pub(crate) fn connection(low: u64) -> SubscriberId {
    SubscriberId { high: 1, low }
}

fn plain() -> Join {
    Join { member: None, members_max: 100, cached: false }
}

fn user(user_id: &str) -> Join {
    user_with(user_id, None)
}

fn user_with(user_id: &str, user_info: Option<&str>) -> Join {
    let member = Member { user_id: user_id.into(), user_info: user_info.map(Arc::from) };
    Join { member: Some(member), ..plain() }
}

fn ids(members: &[Member]) -> Vec<&str> {
    members.iter().map(|member| &*member.user_id).collect()
}

fn event(id: u64, ttl: Duration) -> CachedEvent {
    CachedEvent { id: MessageId(id), event: Bytes::from(format!(r#"{{"event":"{id}"}}"#)), ttl }
}

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn the_first_join_occupies_a_channel_and_the_last_leave_vacates_it(state: Arc<dyn State>) {
    let key = key("news");
    assert_eq!(state.counts(&key).await.unwrap(), ChannelCounts::default());
    for round in 0..2 {
        for n in 1..=3 {
            let joined = state.join(&key, connection(n), plain()).await.unwrap();
            assert_eq!((joined.occupied, joined.subscription_count), (n == 1, n), "round {round}");
        }
        let counts = state.counts(&key).await.unwrap();
        assert_eq!(counts, ChannelCounts { subscription_count: 3, user_count: 0 });
        for n in 1..=3 {
            let left = state.leave(&key, connection(n)).await.unwrap();
            let expected = Left { vacated: n == 3, member_removed: false, subscription_count: 3 - n };
            assert_eq!(left, expected, "round {round}");
        }
        assert_eq!(state.counts(&key).await.unwrap(), ChannelCounts::default());
    }
}

pub(crate) async fn a_join_or_leave_made_twice_changes_and_reports_nothing(state: Arc<dyn State>) {
    let (news, presence) = (key("news"), key("presence-x"));
    state.join(&news, connection(1), plain()).await.unwrap();
    let again = state.join(&news, connection(1), plain()).await.unwrap();
    assert_eq!((again.occupied, again.subscription_count), (false, 1));

    state.join(&presence, connection(1), user("u")).await.unwrap();
    let again = state.join(&presence, connection(1), user("u")).await.unwrap();
    assert_eq!((again.occupied, again.member_added, again.subscription_count), (false, false, 1));
    assert_eq!(ids(&again.members), ["u"], "it is told all the same who is there");
    let counts = state.counts(&presence).await.unwrap();
    assert_eq!(counts, ChannelCounts { subscription_count: 1, user_count: 1 });

    for key in [news, presence] {
        assert!(state.leave(&key, connection(1)).await.unwrap().vacated, "one leave undoes both joins");
        assert_eq!(state.leave(&key, connection(1)).await.unwrap(), Left::default());
    }
}

pub(crate) async fn a_leave_of_a_connection_that_is_not_there_changes_nothing(state: Arc<dyn State>) {
    let (news, presence) = (key("news"), key("presence-x"));
    assert_eq!(state.leave(&news, connection(1)).await.unwrap(), Left::default());
    state.join(&news, connection(1), plain()).await.unwrap();
    state.join(&presence, connection(1), user("u")).await.unwrap();
    for key in [&news, &presence] {
        let left = state.leave(key, connection(2)).await.unwrap();
        assert_eq!(left, Left { vacated: false, member_removed: false, subscription_count: 1 });
        assert_eq!(state.counts(key).await.unwrap().subscription_count, 1);
    }
}

pub(crate) async fn a_user_is_added_by_the_first_connection_and_removed_by_the_last(state: Arc<dyn State>) {
    let key = key("presence-x");
    let first = state.join(&key, connection(1), user("u")).await.unwrap();
    assert_eq!((first.occupied, first.member_added), (true, true));
    let second = state.join(&key, connection(2), user("u")).await.unwrap();
    assert_eq!((second.occupied, second.member_added, second.subscription_count), (false, false, 2));
    assert_eq!(ids(&second.members), ["u"]);
    let other = state.join(&key, connection(3), user("v")).await.unwrap();
    assert_eq!((other.occupied, other.member_added, other.subscription_count), (false, true, 3));
    let counts = state.counts(&key).await.unwrap();
    assert_eq!(counts, ChannelCounts { subscription_count: 3, user_count: 2 });

    let left = state.leave(&key, connection(1)).await.unwrap();
    assert_eq!(left, Left { vacated: false, member_removed: false, subscription_count: 2 });
    let left = state.leave(&key, connection(2)).await.unwrap();
    assert_eq!(left, Left { vacated: false, member_removed: true, subscription_count: 1 });
    let left = state.leave(&key, connection(3)).await.unwrap();
    assert_eq!(left, Left { vacated: true, member_removed: true, subscription_count: 0 });
    assert_eq!(state.members(&key).await.unwrap(), []);
}

pub(crate) async fn members_are_in_the_order_of_their_first_joining(state: Arc<dyn State>) {
    let key = key("presence-x");
    for (n, name) in (1..).zip(["c", "a", "10", "b", "9"]) {
        state.join(&key, connection(n), user(name)).await.unwrap();
    }
    let joined = state.join(&key, connection(6), user("a")).await.unwrap();
    assert_eq!(ids(&joined.members), ["c", "a", "10", "b", "9"]);

    state.leave(&key, connection(2)).await.unwrap();
    assert_eq!(ids(&state.members(&key).await.unwrap()), ["c", "a", "10", "b", "9"], "a is still there");
    state.leave(&key, connection(1)).await.unwrap();
    let joined = state.join(&key, connection(1), user("c")).await.unwrap();
    assert_eq!(ids(&joined.members), ["a", "10", "b", "9", "c"], "who went comes back as the last");
    assert_eq!(state.members(&key).await.unwrap(), joined.members);
}

pub(crate) async fn the_info_of_a_user_is_what_the_first_connection_gave(state: Arc<dyn State>) {
    let key = key("presence-x");
    let info = |members: &[Member]| members[0].user_info.as_deref().map(str::to_owned);
    state.join(&key, connection(1), user_with("u", Some(r#"{"n":1}"#))).await.unwrap();
    let joined = state.join(&key, connection(2), user_with("u", Some(r#"{"n":2}"#))).await.unwrap();
    assert_eq!(info(&joined.members).as_deref(), Some(r#"{"n":1}"#));
    state.leave(&key, connection(1)).await.unwrap();
    assert_eq!(info(&state.members(&key).await.unwrap()).as_deref(), Some(r#"{"n":1}"#));
    state.leave(&key, connection(2)).await.unwrap();
    let joined = state.join(&key, connection(2), user_with("u", None)).await.unwrap();
    assert_eq!(info(&joined.members), None, "a user who comes back gives it anew");
}

pub(crate) async fn a_full_channel_refuses_new_users_only_and_changes_nothing_by_it(state: Arc<dyn State>) {
    let key = key("presence-x");
    let bounded = |user_id| Join { members_max: 2, ..user(user_id) };
    state.join(&key, connection(1), bounded("a")).await.unwrap();
    state.join(&key, connection(2), bounded("b")).await.unwrap();
    let refused = state.join(&key, connection(3), bounded("c")).await;
    assert!(matches!(refused, Err(StateError::MembersFull { members_max: 2 })), "{refused:?}");
    let counts = state.counts(&key).await.unwrap();
    assert_eq!(counts, ChannelCounts { subscription_count: 2, user_count: 2 });
    assert_eq!(state.leave(&key, connection(3)).await.unwrap().subscription_count, 2);

    state.join(&key, connection(3), bounded("a")).await.expect("a is a member");
    state.leave(&key, connection(2)).await.unwrap();
    assert!(state.join(&key, connection(4), bounded("c")).await.unwrap().member_added, "b has gone");

    let empty = self::key("presence-none");
    let refused = state.join(&empty, connection(1), Join { members_max: 0, ..user("a") }).await;
    assert!(matches!(refused, Err(StateError::MembersFull { members_max: 0 })));
    assert!(
        state.join(&empty, connection(1), user("a")).await.unwrap().occupied,
        "it was not occupied before"
    );
}

pub(crate) async fn an_ordinary_channel_has_no_members(state: Arc<dyn State>) {
    let key = key("news");
    let joined = state.join(&key, connection(1), Join { members_max: 0, ..plain() }).await.unwrap();
    assert_eq!((joined.members, joined.member_added), (Vec::new(), false));
    assert_eq!(state.members(&key).await.unwrap(), []);
    assert!(!state.leave(&key, connection(1)).await.unwrap().member_removed);
}

pub(crate) async fn channels_are_listed_by_prefix_and_name_while_they_are_occupied(state: Arc<dyn State>) {
    let names = ["b", "presence-b", "a", "presence-a", "presence", "c", "ab", "größe"];
    for (n, name) in (1..).zip(names) {
        state
            .join(&key(name), connection(n), if name.contains("presence-") { user("u") } else { plain() })
            .await
            .unwrap();
    }
    state.join(&key("presence-a"), connection(100), user("v")).await.unwrap();
    state.leave(&key("c"), connection(6)).await.unwrap();

    let listed = state.channels("1001", "").await.unwrap();
    let listed = listed.iter().map(|(name, _)| &**name).collect::<Vec<_>>();
    assert_eq!(listed, ["a", "ab", "b", "größe", "presence", "presence-a", "presence-b"]);

    let listed = state.channels("1001", "presence-").await.unwrap();
    let counts = |subscription_count, user_count| ChannelCounts { subscription_count, user_count };
    assert_eq!(listed, [("presence-a".into(), counts(2, 2)), ("presence-b".into(), counts(1, 1))]);
    assert_eq!(
        state.channels("1001", "presence-a").await.unwrap().len(),
        1,
        "a prefix may be the whole name"
    );
    assert_eq!(state.channels("1001", "x").await.unwrap(), []);

    for n in 0..6000 {
        state.join(&key(&format!("many-{n:04}")), connection(1), plain()).await.unwrap();
    }
    let listed = state.channels("1001", "many-").await.unwrap();
    assert_eq!(listed.len(), 6000);
    assert!(listed.is_sorted_by_key(|(name, _)| name));
}

pub(crate) async fn a_prefix_is_text_and_not_a_pattern(state: Arc<dyn State>) {
    for name in ["a*c", "abc", "a?c", "a[b]c", "a%c", "a_c"] {
        state.join(&key(name), connection(1), plain()).await.unwrap();
    }
    for prefix in ["a*", "a?", "a[b", "a%", "a_"] {
        let listed = state.channels("1001", prefix).await.unwrap();
        assert_eq!(listed.len(), 1, "{prefix}: {listed:?}");
        assert!(listed[0].0.starts_with(prefix));
    }
}

pub(crate) async fn applications_share_nothing(state: Arc<dyn State>) {
    let other = |channel: &str| ChannelKey { app: "1002".into(), channel: channel.into() };
    state.join(&key("presence-x"), connection(1), user("u")).await.unwrap();
    state.put_cached(&key("cache-x"), event(1, MINUTE)).await.unwrap();
    state.sign_in("1001", "u", connection(1)).await.unwrap();
    state.connect("1001", connection(1), Some(1)).await.unwrap();

    let joined = state.join(&other("presence-x"), connection(2), user("v")).await.unwrap();
    assert_eq!((joined.occupied, joined.subscription_count, ids(&joined.members)), (true, 1, vec!["v"]));
    assert_eq!(state.channels("1002", "").await.unwrap().len(), 1);
    assert_eq!(state.channels("100", "").await.unwrap(), []);
    assert_eq!(state.cached(&other("cache-x")).await.unwrap(), None);
    assert_eq!(state.online("1002", &["u".into()]).await.unwrap(), [false]);
    assert_eq!(state.connect("1002", connection(1), Some(1)).await.unwrap(), 1);
    state.disconnect("1002", connection(1)).await.unwrap();
    assert!(state.connect("1001", connection(2), Some(1)).await.is_err(), "the first is still connected");
}

pub(crate) async fn the_last_event_is_kept_for_its_time(state: Arc<dyn State>) {
    let key = key("cache-x");
    assert_eq!(state.cached(&key).await.unwrap(), None);
    let kept = event(7, Duration::from_secs(2));
    state.put_cached(&key, kept.clone()).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    let found = state.cached(&key).await.unwrap().expect("it is kept, though nobody is in the channel");
    assert_eq!((found.id, &found.event), (kept.id, &kept.event));
    assert!(found.ttl <= Duration::from_millis(1500), "the time that remains: {:?}", found.ttl);
    assert!(found.ttl > Duration::from_millis(500), "{:?}", found.ttl);
    sleep(Duration::from_millis(1600)).await;
    assert_eq!(state.cached(&key).await.unwrap(), None);
    let joined = state.join(&key, connection(1), Join { cached: true, ..plain() }).await.unwrap();
    assert_eq!(joined.cached, None);
}

pub(crate) async fn a_new_event_takes_the_place_of_the_last(state: Arc<dyn State>) {
    let key = key("cache-x");
    state.put_cached(&key, event(1, MINUTE)).await.unwrap();
    state.put_cached(&key, event(2, Duration::from_secs(1))).await.unwrap();
    assert_eq!(state.cached(&key).await.unwrap().map(|event| event.id), Some(MessageId(2)));
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(state.cached(&key).await.unwrap(), None, "the one before does not come back");
    state.put_cached(&key, event(3, MINUTE)).await.unwrap();
    state.put_cached(&key, event(4, Duration::ZERO)).await.unwrap();
    assert_eq!(state.cached(&key).await.unwrap(), None, "no time at all is over at once");
}

pub(crate) async fn a_join_finds_the_last_event_only_where_it_asks_for_it(state: Arc<dyn State>) {
    let key = key("presence-cache-x");
    let cached = |join| Join { cached: true, ..join };
    assert_eq!(state.join(&key, connection(1), cached(user("u"))).await.unwrap().cached, None);
    state.put_cached(&key, event(5, MINUTE)).await.unwrap();
    let joined = state.join(&key, connection(2), cached(user("v"))).await.unwrap();
    assert_eq!(joined.cached.map(|event| event.id), Some(MessageId(5)));
    let again = state.join(&key, connection(2), cached(user("v"))).await.unwrap();
    assert_eq!(again.cached.map(|event| event.id), Some(MessageId(5)));
    let joined = state.join(&key, connection(3), user("w")).await.unwrap();
    assert_eq!(joined.cached, None, "it did not ask");
}

pub(crate) async fn a_user_is_online_from_the_first_sign_in_to_the_last_sign_out(state: Arc<dyn State>) {
    let (online, known) = (SignedIn { online: true }, SignedIn { online: false });
    let (offline, nothing) = (SignedOut { offline: true }, SignedOut { offline: false });
    for _ in 0..2 {
        assert_eq!(state.sign_out("1001", "u", connection(1)).await.unwrap(), nothing);
        assert_eq!(state.sign_in("1001", "u", connection(1)).await.unwrap(), online);
        assert_eq!(state.sign_in("1001", "u", connection(1)).await.unwrap(), known, "made twice");
        assert_eq!(state.sign_in("1001", "u", connection(2)).await.unwrap(), known);
        assert_eq!(state.sign_out("1001", "u", connection(3)).await.unwrap(), nothing);
        assert_eq!(state.sign_out("1001", "u", connection(1)).await.unwrap(), nothing);
        assert_eq!(state.sign_out("1001", "u", connection(1)).await.unwrap(), nothing, "made twice");
        assert_eq!(state.online("1001", &["u".into()]).await.unwrap(), [true]);
        assert_eq!(state.sign_out("1001", "u", connection(2)).await.unwrap(), offline);
        assert_eq!(state.online("1001", &["u".into()]).await.unwrap(), [false]);
    }
}

pub(crate) async fn users_are_answered_in_the_order_they_were_asked_for(state: Arc<dyn State>) {
    state.sign_in("1001", "a", connection(1)).await.unwrap();
    state.sign_in("1001", "b", connection(1)).await.unwrap();
    let asked = ["c", "b", "d", "a", "b"].map(Arc::from);
    assert_eq!(state.online("1001", &asked).await.unwrap(), [false, true, false, true, true]);
    assert!(state.online("1001", &[]).await.unwrap().is_empty());
}

pub(crate) async fn connections_are_counted_up_to_their_bound(state: Arc<dyn State>) {
    assert_eq!(state.connect("1001", connection(1), Some(2)).await.unwrap(), 1);
    assert_eq!(state.connect("1001", connection(2), Some(2)).await.unwrap(), 2);
    let refused = state.connect("1001", connection(3), Some(2)).await;
    assert!(matches!(refused, Err(StateError::ConnectionsFull { connections_max: 2 })), "{refused:?}");
    assert_eq!(state.connect("1001", connection(2), Some(2)).await.unwrap(), 2, "it is counted already");
    state.disconnect("1001", connection(3)).await.unwrap();
    assert!(state.connect("1001", connection(3), Some(2)).await.is_err(), "it never was counted");
    state.disconnect("1001", connection(1)).await.unwrap();
    state.disconnect("1001", connection(1)).await.unwrap();
    assert_eq!(state.connect("1001", connection(3), Some(2)).await.unwrap(), 2);
    assert_eq!(state.connect("1001", connection(4), None).await.unwrap(), 3, "without a bound");
}

const TASKS: u64 = 16;

/// Runs one task for each connection and returns what they returned.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    work: impl Fn(SubscriberId) -> F,
) -> Vec<T> {
    let tasks = (0..TASKS).map(|n| tokio::spawn(work(connection(n)))).collect::<Vec<_>>();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

pub(crate) async fn of_joins_at_the_same_time_one_occupies_and_of_leaves_one_vacates(state: Arc<dyn State>) {
    for round in 0..100 {
        let key = key(&format!("presence-{}", round % 3));
        let joined: Vec<Joined> = at_once(|connection| {
            let (state, key) = (state.clone(), key.clone());
            async move { state.join(&key, connection, user("u")).await.unwrap() }
        })
        .await;
        assert_eq!(joined.iter().filter(|joined| joined.occupied).count(), 1);
        assert_eq!(joined.iter().filter(|joined| joined.member_added).count(), 1);
        let counts = joined.iter().map(|joined| joined.subscription_count).collect::<BTreeSet<_>>();
        assert_eq!(counts, (1..=TASKS).collect(), "each join was of its own moment");

        let left: Vec<Left> = at_once(|connection| {
            let (state, key) = (state.clone(), key.clone());
            async move { state.leave(&key, connection).await.unwrap() }
        })
        .await;
        assert_eq!(left.iter().filter(|left| left.vacated).count(), 1);
        assert_eq!(left.iter().filter(|left| left.member_removed).count(), 1);
    }
}

pub(crate) async fn a_bound_on_connections_holds_at_the_same_time(state: Arc<dyn State>) {
    for _ in 0..100 {
        let connected = at_once(|connection| {
            let state = state.clone();
            async move { state.connect("1001", connection, Some(5)).await.ok() }
        })
        .await;
        let counts = connected.into_iter().flatten().collect::<BTreeSet<_>>();
        assert_eq!(counts, (1..=5).collect());
        at_once(|connection| {
            let state = state.clone();
            async move { state.disconnect("1001", connection).await.unwrap() }
        })
        .await;
    }
}

pub(crate) async fn a_bound_on_members_holds_at_the_same_time(state: Arc<dyn State>) {
    let key = key("presence-x");
    let joined = at_once(|connection| {
        let (state, key) = (state.clone(), key.clone());
        let join = Join { members_max: 5, ..user(&connection.low.to_string()) };
        async move { state.join(&key, connection, join).await.is_ok() }
    })
    .await;
    assert_eq!(joined.iter().filter(|joined| **joined).count(), 5);
    assert_eq!(state.members(&key).await.unwrap().len(), 5);
}
