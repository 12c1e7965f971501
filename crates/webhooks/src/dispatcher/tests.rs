use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use courant_auth::{App, AppId, Key, KeyPair, Secret, WebhookEndpoint, WebhookEvent};
use proptest::prelude::*;

use super::*;
use crate::{DeadReason, Event, Failure};

const SECOND: Duration = Duration::from_secs(1);

fn app(id: &str, webhooks: Vec<WebhookEndpoint>) -> App {
    let pair = KeyPair::new(Key::new(&format!("key-{id}")).unwrap(), Secret::new("secret").unwrap());
    App { webhooks, ..App::new(AppId::new(id).unwrap(), vec![pair]) }
}

fn endpoint(name: &str) -> WebhookEndpoint {
    WebhookEndpoint::new(&format!("https://{name}.example.com/")).unwrap()
}

fn one() -> AppId {
    AppId::new("1").unwrap()
}

fn occupied(channel: &str) -> Event {
    Event::ChannelOccupied { channel: channel.into() }
}

fn vacated(channel: &str) -> Event {
    Event::ChannelVacated { channel: channel.into() }
}

fn miss(channel: &str) -> Event {
    Event::CacheMiss { channel: channel.into() }
}

/// A dispatcher whose journal is a vector and whose time is ours.
struct Rig {
    settings: Settings,
    apps: Apps,
    dispatcher: Dispatcher,
    now: Instant,
    log: Vec<Bytes>,
    /// What receivers accepted: the endpoint and the events, as JSON.
    accepted: Vec<(EndpointNumber, String)>,
}

impl Rig {
    fn new(webhooks: Vec<WebhookEndpoint>, settings: Settings) -> Self {
        Self::of_apps(vec![app("1", webhooks)], settings)
    }

    fn of_apps(apps: Vec<App>, settings: Settings) -> Self {
        let apps = Apps::new(apps).unwrap();
        let now = Instant::now();
        let dispatcher = open(&settings, &apps, &[], now);
        Self { settings, apps, dispatcher, now, log: Vec::new(), accepted: Vec::new() }
    }

    fn report(&mut self, event: Event) {
        self.dispatcher.report(&one(), event, self.now);
    }

    /// What the journal does.
    fn write(&mut self) {
        let pending = self.dispatcher.take_pending();
        self.log.extend(pending.records);
        self.dispatcher.release(pending.releases, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        while self.dispatcher.tick(self.now) == Tick::Now {}
        self.write();
    }

    /// Kills the process: what is not written is lost. Starts another with the configuration there is.
    fn crash(&mut self) {
        self.dispatcher = open(&self.settings, &self.apps, &self.log, self.now);
        self.write();
    }

    /// Makes all attempts that are due, with this outcome.
    fn attempt_all(&mut self, mut outcome: impl FnMut(EndpointNumber) -> Result<(), Failure>) -> usize {
        let mut made = 0;
        for endpoint in self.endpoints() {
            while let Some(attempt) = self.attempt(endpoint) {
                self.settle(endpoint, attempt, outcome(endpoint));
                made += 1;
            }
        }
        made
    }

    /// Begins all attempts that may run at one time; the last begun is the first to end.
    fn attempt_reversed(&mut self, mut outcome: impl FnMut() -> Result<(), Failure>) {
        for endpoint in self.endpoints() {
            let begun: Vec<Attempt> = std::iter::from_fn(|| self.attempt(endpoint)).collect();
            for attempt in begun.into_iter().rev() {
                self.settle(endpoint, attempt, outcome());
            }
        }
    }

    fn endpoints(&self) -> Vec<EndpointNumber> {
        self.dispatcher.lanes.keys().copied().collect()
    }

    fn attempt(&mut self, endpoint: EndpointNumber) -> Option<Attempt> {
        let step = self.dispatcher.next(endpoint, self.now);
        self.write();
        match step {
            Step::Attempt(attempt) => Some(attempt),
            Step::WaitUntil(_) | Step::Wait => None,
        }
    }

    fn settle(&mut self, endpoint: EndpointNumber, attempt: Attempt, outcome: Result<(), Failure>) {
        if outcome.is_ok() {
            let events = attempt.events.iter().map(|event| event.json.get().to_owned());
            self.accepted.extend(events.map(|event| (endpoint, event)));
        }
        self.dispatcher.settle(endpoint, attempt.id, outcome, self.now, 0.0);
        self.write();
    }

    fn deliver(&mut self) {
        self.write();
        while self.attempt_all(|_| Ok(())) > 0 {}
    }

    /// The names of what the first endpoint accepted.
    fn names(&self) -> Vec<String> {
        self.names_at(1)
    }

    fn names_at(&self, endpoint: EndpointNumber) -> Vec<String> {
        let name = |json: &str| serde_json::from_str::<Event>(json).unwrap().kind().to_string();
        self.accepted.iter().filter(|(at, _)| *at == endpoint).map(|(_, json)| name(json)).collect()
    }
}

fn open(settings: &Settings, apps: &Apps, log: &[Bytes], now: Instant) -> Dispatcher {
    let mut ledger = Ledger::new(settings);
    for record in log {
        ledger.apply(serde_json::from_slice(record).unwrap(), apps).unwrap();
    }
    Dispatcher::new(Arc::new(settings.clone()), apps, ledger, Metrics::new(), now)
}

fn fail() -> Result<(), Failure> {
    Err(Failure::Status(500))
}

#[test]
fn every_kind_reaches_an_endpoint_that_asks_for_everything() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    let channel: Arc<str> = "presence-a".into();
    let user_id: Arc<str> = "7".into();
    rig.report(occupied("presence-a"));
    rig.report(Event::MemberAdded { channel: channel.clone(), user_id: user_id.clone() });
    rig.report(Event::ClientEvent {
        channel: channel.clone(),
        event: "client-a".into(),
        data: "{}".into(),
        socket_id: "1.1".into(),
        user_id: Some(user_id.clone()),
    });
    rig.report(miss("cache-a"));
    rig.report(Event::SubscriptionCount { channel: channel.clone(), subscription_count: 1 });
    rig.report(Event::MemberRemoved { channel, user_id });
    rig.report(vacated("presence-a"));
    rig.deliver();
    assert_eq!(rig.names().len(), 5);
    rig.pass(3 * SECOND);
    rig.deliver();
    let mut names = rig.names();
    assert_eq!(&names[5..], ["member_removed", "channel_vacated"]);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 7);
}

#[test]
fn filters_apply_to_each_event_of_each_endpoint() {
    let mut by_kind = endpoint("kind");
    by_kind.event_types = vec![WebhookEvent::ChannelVacated];
    let mut by_prefix = endpoint("prefix");
    by_prefix.channel_prefix = Some("private-".into());
    let mut by_suffix = endpoint("suffix");
    by_suffix.channel_suffix = Some("-x".into());
    let mut rig = Rig::new(vec![by_kind, by_prefix, by_suffix], Settings::default());
    for channel in ["private-a", "private-x", "a-x", "a"] {
        rig.report(occupied(channel));
    }
    rig.deliver();
    assert_eq!(rig.names_at(1), [""; 0]);
    assert_eq!(rig.names_at(2), ["channel_occupied", "channel_occupied"]);
    assert_eq!(rig.names_at(3), ["channel_occupied", "channel_occupied"]);
    for channel in ["private-a", "private-x", "a-x", "a"] {
        rig.report(vacated(channel));
    }
    rig.pass(3 * SECOND);
    rig.deliver();
    assert_eq!(rig.names_at(1), ["channel_vacated"; 4]);
    assert_eq!((rig.names_at(2).len(), rig.names_at(3).len()), (4, 4));
}

#[test]
fn channels_that_no_endpoint_cares_for_are_not_remembered() {
    let mut by_prefix = endpoint("a");
    by_prefix.channel_prefix = Some("private-".into());
    let mut rig = Rig::new(vec![by_prefix], Settings::default());
    rig.report(occupied("a"));
    rig.report(vacated("b"));
    rig.report(Event::MemberAdded { channel: "presence-a".into(), user_id: "7".into() });
    assert_eq!(rig.dispatcher.stats().announced, 0);
}

#[test]
fn either_of_a_pair_being_wanted_asks_for_reports_of_both() {
    let mut ends = endpoint("a");
    ends.event_types = vec![WebhookEvent::ChannelVacated, WebhookEvent::ClientEvent];
    let rig = Rig::new(vec![ends], Settings::default());
    let registry = rig.dispatcher.registry();
    let wanted: Vec<_> = WebhookEvent::ALL.into_iter().filter(|&kind| registry.wants(&one(), kind)).collect();
    assert_eq!(
        wanted,
        [WebhookEvent::ChannelOccupied, WebhookEvent::ChannelVacated, WebhookEvent::ClientEvent]
    );
    assert!(!registry.wants(&AppId::new("2").unwrap(), WebhookEvent::ChannelOccupied));
}

#[test]
fn nothing_is_sent_before_it_is_written() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    rig.write();
    rig.report(occupied("a"));
    assert!(matches!(rig.dispatcher.next(1, rig.now), Step::Wait));
    rig.write();
    assert!(matches!(rig.dispatcher.next(1, rig.now), Step::Attempt(_)));
}

#[test]
fn a_failing_delivery_is_tried_for_five_minutes_and_then_is_a_dead_letter() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    rig.report(occupied("a"));
    rig.write();
    let start = rig.now;
    let mut at = Vec::new();
    for _ in 0..400 {
        if rig.attempt_all(|_| fail()) > 0 {
            at.push((rig.now - start).as_secs());
        }
        rig.pass(SECOND);
    }
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 300]);
    let letters = rig.dispatcher.dead_letters(10);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason, letters[0].attempts), (DeadReason::Expired, 11));
    assert_eq!(letters[0].last, Some(Failure::Status(500)));
    assert_eq!(letters[0].url, "https://a.example.com/");
    assert_eq!(letters[0].events[0].get(), r#"{"name":"channel_occupied","channel":"a"}"#);
    assert_eq!(rig.dispatcher.stats().queued, 0);
    // And it is one after a restart.
    rig.crash();
    assert_eq!(rig.dispatcher.dead_letters(10).len(), 1);
    assert_eq!(rig.attempt_all(|_| fail()), 0);
}

#[test]
fn restarts_neither_prolong_nor_cut_the_retries() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    rig.report(miss("cache-a"));
    rig.write();
    let start = rig.now;
    let mut at = Vec::new();
    let mut webhook_ids = BTreeSet::new();
    for _ in 0..400 {
        if let Step::Attempt(attempt) = rig.dispatcher.next(1, rig.now) {
            at.push((rig.now - start).as_secs());
            webhook_ids.insert(attempt.webhook_id);
            rig.dispatcher.settle(1, attempt.id, fail(), rig.now, 0.0);
            rig.write();
            rig.crash();
        }
        rig.pass(SECOND);
    }
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 300]);
    assert_eq!(webhook_ids.len(), 1, "the id is the same in every attempt, over restarts");
    assert_eq!(rig.dispatcher.dead_letters(10)[0].attempts, 11);
}

#[test]
fn an_accepted_webhook_is_not_sent_again_after_a_restart() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    rig.report(occupied("a"));
    rig.report(miss("cache-a"));
    rig.deliver();
    rig.crash();
    rig.deliver();
    assert_eq!(rig.names().len(), 2);
}

#[test]
fn a_queued_webhook_arrives_once_after_a_restart() {
    let mut rig = Rig::new(vec![endpoint("a"), endpoint("b")], Settings::default());
    for n in 0..100 {
        rig.report(miss(&format!("cache-{n}")));
    }
    rig.write();
    rig.crash();
    rig.deliver();
    assert_eq!((rig.names_at(1).len(), rig.names_at(2).len()), (100, 100));
    rig.crash();
    rig.deliver();
    assert_eq!(rig.accepted.len(), 200);
}

#[test]
fn after_a_restart_what_was_announced_ends_unless_it_returns() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    rig.report(occupied("stays"));
    rig.report(occupied("goes"));
    rig.report(Event::MemberAdded { channel: "presence-a".into(), user_id: "7".into() });
    rig.deliver();
    rig.crash();
    rig.report(occupied("stays"));
    rig.pass(3 * SECOND);
    rig.deliver();
    assert_eq!(rig.accepted.len(), 5);
    let ends: Vec<_> = rig.accepted[3..].iter().map(|(_, json)| json.as_str()).collect();
    assert!(ends.contains(&r#"{"name":"channel_vacated","channel":"goes"}"#), "{ends:?}");
    assert!(ends.contains(&r#"{"name":"member_removed","channel":"presence-a","user_id":"7"}"#));
    // The end is durable too: it is not told again.
    rig.crash();
    rig.report(occupied("stays"));
    rig.pass(3 * SECOND);
    rig.deliver();
    assert_eq!(rig.accepted.len(), 5);
}

#[test]
fn a_full_queue_refuses_the_newest_and_says_so() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings { queue_max: 3, ..Settings::default() });
    for n in 0..5 {
        rig.report(miss(&format!("cache-{n}")));
    }
    let letters = rig.dispatcher.dead_letters(10);
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].events[0].get(), r#"{"name":"cache_miss","channel":"cache-4"}"#);
    assert_eq!((letters[0].reason, letters[0].id.as_deref()), (DeadReason::QueueFull, None));
    rig.deliver();
    assert_eq!(rig.accepted.len(), 3);
    rig.report(miss("cache-9"));
    rig.deliver();
    assert_eq!(rig.accepted.len(), 4);
}

#[test]
fn a_queue_full_of_bytes_refuses_too() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings { queue_bytes_max: 100, ..Settings::default() });
    for n in 0..10 {
        rig.report(miss(&format!("cache-{n}")));
    }
    // Each has 41 bytes; the one that crosses the bound is still taken.
    assert_eq!(rig.dispatcher.stats().queued, 3);
}

#[test]
fn a_flood_of_refusals_writes_a_bounded_number_of_records() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings { queue_max: 1, ..Settings::default() });
    rig.write();
    for n in 0..10_000 {
        rig.report(miss(&format!("cache-{n}")));
    }
    assert_eq!(rig.dispatcher.take_pending().records.len(), 101);
    assert_eq!(rig.dispatcher.metrics.webhooks_dead.of(DeadReason::QueueFull.label()).get(), 9_999);
}

#[test]
fn a_dead_endpoint_leaves_the_others_their_share() {
    let mut rig = Rig::new(
        vec![endpoint("dead"), endpoint("alive")],
        Settings { queue_max: 100, ..Settings::default() },
    );
    for n in 0..1000 {
        rig.report(miss(&format!("cache-{n}")));
        rig.write();
        rig.attempt_all(|endpoint| if endpoint == 1 { fail() } else { Ok(()) });
    }
    assert_eq!(rig.names_at(2).len(), 1000);
    assert_eq!(rig.dispatcher.stats().queued, 50);
}

#[test]
fn the_end_of_what_was_told_has_room_in_a_full_queue() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings { queue_max: 2, ..Settings::default() });
    rig.report(occupied("a"));
    rig.report(occupied("b"));
    rig.report(occupied("refused"));
    for channel in ["a", "b", "refused"] {
        rig.report(vacated(channel));
    }
    rig.pass(3 * SECOND);
    assert_eq!(rig.dispatcher.stats().queued, 4);
    rig.deliver();
    let told: Vec<_> = rig.accepted.iter().map(|(_, json)| json.contains("refused")).collect();
    assert_eq!(told, [false; 4], "who was not told of the begin is not told of the end");
}

#[test]
fn too_many_announced_are_refused_and_never_ended() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings { announced_max: 1, ..Settings::default() });
    rig.report(occupied("a"));
    rig.report(occupied("b"));
    rig.report(vacated("b"));
    rig.pass(3 * SECOND);
    rig.deliver();
    assert_eq!(rig.names(), ["channel_occupied"]);
    assert_eq!(rig.dispatcher.dead_letters(1)[0].reason, DeadReason::AnnouncedFull);
}

#[test]
fn an_application_that_is_flooded_with_channels_leaves_the_others_theirs() {
    let mut misses_only = endpoint("c");
    misses_only.event_types = vec![WebhookEvent::CacheMiss];
    let apps = vec![
        app("1", vec![endpoint("a")]),
        app("2", vec![endpoint("b")]),
        // These begin and end nothing, so no share is kept for them.
        app("3", vec![misses_only]),
        app("4", vec![]),
    ];
    let mut rig = Rig::of_apps(apps, Settings { announced_max: 100, ..Settings::default() });
    let two = AppId::new("2").unwrap();
    for n in 0..1000 {
        rig.report(occupied(&format!("flood-{n}")));
    }
    assert_eq!(rig.dispatcher.metrics.webhooks_announced.get(), 50);
    for n in 0..51 {
        rig.dispatcher.report(&two, occupied(&format!("channel-{n}")), rig.now);
    }
    rig.deliver();
    assert_eq!((rig.names_at(1).len(), rig.names_at(2).len()), (50, 50));
    let dead = &rig.dispatcher.metrics.webhooks_dead;
    assert_eq!(dead.of(DeadReason::AnnouncedFull.label()).get(), 950 + 1);
    assert_eq!(dead.of(DeadReason::QueueFull.label()).get(), 0);
    // The shares are the same after a restart, and free once all have ended.
    rig.crash();
    assert_eq!(rig.dispatcher.metrics.webhooks_announced.get(), 100);
    rig.dispatcher.report(&two, occupied("refused"), rig.now);
    assert_eq!(rig.dispatcher.dead_letters(1)[0].app, "2");
    rig.pass(3 * SECOND);
    assert_eq!(rig.dispatcher.metrics.webhooks_announced.get(), 0);
}

#[test]
fn a_burst_of_counts_becomes_the_latest_one() {
    let mut rig = Rig::new(vec![endpoint("a")], Settings::default());
    for subscription_count in 101..=1000 {
        rig.report(Event::SubscriptionCount { channel: "a".into(), subscription_count });
    }
    rig.pass(5 * SECOND);
    rig.deliver();
    let counts: Vec<_> = rig.accepted.iter().map(|(_, json)| json.as_str()).collect();
    assert_eq!(
        counts,
        [
            r#"{"name":"subscription_count","channel":"a","subscription_count":101}"#,
            r#"{"name":"subscription_count","channel":"a","subscription_count":1000}"#
        ]
    );
}

#[test]
fn batches_carry_all_events_once_and_keep_their_id_and_content_over_a_restart() {
    let batched = WebhookEndpoint { batching: true, ..endpoint("a") };
    let mut rig = Rig::new(vec![batched], Settings { batch_max: 4, ..Settings::default() });
    for n in 0..10 {
        rig.report(miss(&format!("cache-{n}")));
    }
    rig.write();
    let mut seen = BTreeMap::new();
    for _ in 0..3 {
        rig.pass(SECOND);
        // The requests are sent, but the answers never come.
        loop {
            let step = rig.dispatcher.next(1, rig.now);
            rig.write();
            let Step::Attempt(attempt) = step else {
                if matches!(rig.dispatcher.next(1, rig.now), Step::Wait) { break } else { continue }
            };
            let events: Vec<_> = attempt.events.iter().map(|event| event.json.get().to_owned()).collect();
            let known = seen.entry(attempt.webhook_id).or_insert_with(|| events.clone());
            assert_eq!(*known, events);
        }
        rig.crash();
    }
    assert_eq!(seen.values().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    rig.deliver();
    assert_eq!(rig.accepted.len(), 10);
    assert_eq!(rig.dispatcher.stats().queued_bytes, 0);
}

#[test]
fn deliveries_to_an_endpoint_that_is_no_longer_configured_become_dead_letters() {
    let mut rig = Rig::new(vec![endpoint("gone"), endpoint("stays")], Settings::default());
    rig.report(occupied("a"));
    rig.write();
    rig.apps = Apps::new(vec![app("1", vec![endpoint("new"), endpoint("stays")])]).unwrap();
    rig.crash();
    let letters = rig.dispatcher.dead_letters(10);
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].url.as_str(), letters[0].reason),
        ("https://gone.example.com/", DeadReason::Unconfigured)
    );
    rig.deliver();
    assert_eq!(rig.names_at(2), ["channel_occupied"]);
    // Who is new was never told that it began, and is not told that it ends.
    rig.pass(3 * SECOND);
    rig.deliver();
    assert_eq!((rig.names_at(2).len(), rig.accepted.len()), (2, 2));
}

#[test]
fn endpoints_with_the_same_url_are_told_apart() {
    let mut occupations = endpoint("a");
    occupations.event_types = vec![WebhookEvent::ChannelOccupied];
    let mut misses = endpoint("a");
    misses.event_types = vec![WebhookEvent::CacheMiss];
    let mut rig = Rig::new(vec![occupations, misses], Settings::default());
    rig.report(occupied("a"));
    rig.report(miss("cache-a"));
    rig.write();
    rig.crash();
    rig.deliver();
    assert_eq!(
        (rig.names_at(1), rig.names_at(2)),
        (vec!["channel_occupied".into()], vec!["cache_miss".into()])
    );
}

/// Something that happens to a dispatcher.
#[derive(Clone, Debug)]
enum Act {
    Toggle(usize),
    Miss(usize),
    Pass(u64),
    Attempt(Vec<bool>, bool),
    Write,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4usize).prop_map(Act::Toggle),
        1 => (0..4usize).prop_map(Act::Miss),
        3 => (0..4000u64).prop_map(Act::Pass),
        3 => (prop::collection::vec(prop::bool::weighted(0.6), 1..4), any::<bool>())
            .prop_map(|(outcomes, is_reversed)| Act::Attempt(outcomes, is_reversed)),
        3 => Just(Act::Write),
        1 => Just(Act::Crash),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_begins_and_ends_alternate_and_the_last_word_is_true(
        acts in prop::collection::vec(act(), 1..120),
        is_batching in any::<bool>(),
        queue_max in prop_oneof![Just(1000usize), 2..6usize],
    ) {
        let webhook = WebhookEndpoint { batching: is_batching, ..endpoint("a") };
        let settings = Settings { queue_max, retry_for: SECOND * 1_000_000, ..Settings::default() };
        let mut rig = Rig::new(vec![webhook], settings);
        rig.write();
        let mut is_present = [false; 4];
        for act in acts {
            match act {
                Act::Toggle(at) => {
                    is_present[at] = !is_present[at];
                    let channel = format!("channel-{at}");
                    rig.report(if is_present[at] { occupied(&channel) } else { vacated(&channel) });
                }
                Act::Miss(at) => rig.report(miss(&format!("cache-{at}"))),
                Act::Pass(ms) => rig.pass(Duration::from_millis(ms)),
                Act::Attempt(outcomes, is_reversed) => {
                    let mut outcomes = outcomes.into_iter();
                    let mut outcome = || if outcomes.next().unwrap_or(true) { Ok(()) } else { fail() };
                    if is_reversed {
                        rig.attempt_reversed(outcome);
                    } else {
                        rig.attempt_all(|_| outcome());
                    }
                }
                Act::Write => rig.write(),
                Act::Crash => {
                    rig.crash();
                    is_present = [false; 4];
                }
            }
            let queued: usize = rig.dispatcher.lanes.values().map(|lane| lane.events).sum();
            prop_assert_eq!(queued, rig.dispatcher.ledger.deliveries().map(|(_, d)| d.events.len()).sum::<usize>());
            prop_assert_eq!(queued, rig.dispatcher.admission.events());
            let announced = rig.dispatcher.metrics.webhooks_announced.get();
            prop_assert_eq!(announced, rig.dispatcher.ledger.spans.len() as i64);
        }
        rig.write();
        for _ in 0..40 {
            rig.pass(70 * SECOND);
            rig.deliver();
        }
        prop_assert_eq!(rig.dispatcher.stats().queued, 0);
        prop_assert_eq!(rig.dispatcher.stats().queued_bytes, 0);
        for (at, present) in is_present.into_iter().enumerate() {
            let channel = format!("channel-{at}");
            let mut told: Vec<bool> = Vec::new();
            for (_, json) in &rig.accepted {
                let event: Event = serde_json::from_str(json).unwrap();
                if **event.channel() == *channel {
                    told.push(event.kind() == WebhookEvent::ChannelOccupied);
                }
            }
            if !is_batching {
                let is_alternating = told.iter().enumerate().all(|(at, &begins)| begins == (at % 2 == 0));
                prop_assert!(is_alternating, "{}: {:?}", channel, told);
            }
            let begins = told.iter().filter(|&&begins| begins).count();
            let ends = told.len() - begins;
            if queue_max == 1000 {
                prop_assert_eq!(begins, ends + usize::from(present), "{}: {:?}", channel, told);
            } else {
                // With a begin refused, neither is told.
                prop_assert!(begins == ends || (present && begins == ends + 1));
            }
        }
        // What was read back is what was.
        let live = snapshot_text(&rig.dispatcher.ledger);
        let mut ledger = Ledger::new(&rig.settings);
        for record in &rig.log {
            ledger.apply(serde_json::from_slice(record).unwrap(), &rig.apps).unwrap();
        }
        prop_assert_eq!(snapshot_text(&ledger), live);
    }
}

fn snapshot_text(ledger: &Ledger) -> String {
    let mut snapshot = ledger.snapshot();
    snapshot.announced.sort_by(|a, b| a.channel.cmp(&b.channel));
    // Endpoints are forgotten when a log is opened.
    snapshot.endpoints.clear();
    serde_json::to_string(&snapshot).unwrap()
}
