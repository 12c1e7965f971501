use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use courant_webhooks::{Event, Settings};
use tokio::time::Instant;

use crate::log::Fault;
use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, app, endpoint, miss, occupied, settings};

fn client_event(n: usize, data_bytes: usize) -> Event {
    Event::ClientEvent {
        channel: "private-a".into(),
        event: format!("client-{n}"),
        data: "x".repeat(data_bytes),
        socket_id: "1.1".into(),
        user_id: None,
    }
}

#[tokio::test]
async fn many_reports_share_an_append() {
    let receiver = Receiver::start(Answer::Hang).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    futures_util::future::join_all((0..2000).map(|n| rig.notify(miss(&format!("cache-{n}"))))).await;
    let appends = rig.log.appends.load(Ordering::Relaxed);
    assert!(appends < 100, "{appends} appends for 2000 events");
}

#[tokio::test]
async fn a_log_that_is_mostly_garbage_is_replaced_by_a_snapshot() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(occupied("a")).await;
    for round in 0..10 {
        let notifications = (0..100).map(|n| rig.notify(client_event(round * 100 + n, 10_000)));
        futures_util::future::join_all(notifications).await;
    }
    rig.notify(occupied("b")).await;
    rig.until_recorded(1002).await;
    let snapshots = rig.log.snapshots.load(Ordering::Relaxed);
    assert!((1..=3).contains(&snapshots), "{snapshots} snapshots of 10 MB");
    let rig = rig.crash().await;
    rig.until("ended", |stats| stats.announced == 0 && stats.queued == 0).await;
    let events = receiver.events();
    assert_eq!(events.len(), 1004);
    assert_eq!(events.iter().filter(|event| event.starts_with("channel_vacated")).count(), 2);
}

#[tokio::test]
async fn while_the_disk_is_full_webhooks_are_sent_and_later_it_has_them() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(miss("cache-before")).await;
    rig.log.set_fault(Fault::Full);
    for n in 0..20 {
        rig.notify(miss(&format!("cache-{n}"))).await;
    }
    rig.until_delivered().await;
    assert!(rig.webhooks.stats().is_journal_failing);
    receiver.answer(Answer::Hang);
    rig.notify(miss("cache-after")).await;
    receiver.wait_for(22).await;
    rig.log.set_fault(Fault::None);
    rig.until("written", |stats| !stats.is_journal_failing).await;
    receiver.answer(Answer::Status(200));
    let rig = rig.crash().await;
    rig.until_delivered().await;
    assert_eq!(receiver.received().len(), 23, "only what hung is sent again");
}

#[tokio::test]
async fn when_the_disk_was_full_for_long_a_snapshot_makes_up_for_it() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(occupied("a")).await;
    rig.log.set_fault(Fault::Full);
    for round in 0..40 {
        let notifications = (0..100).map(|n| rig.notify(client_event(round * 100 + n, 10_000)));
        futures_util::future::join_all(notifications).await;
    }
    rig.until_delivered().await;
    receiver.answer(Answer::Hang);
    rig.notify(miss("cache-a")).await;
    receiver.wait_for(4002).await;
    rig.log.set_fault(Fault::None);
    rig.until("written", |stats| !stats.is_journal_failing).await;
    rig.until("written", |_| rig.log.snapshots.load(Ordering::Relaxed) > 0).await;
    receiver.answer(Answer::Status(200));
    let rig = rig.restart().await;
    rig.until("ended", |stats| stats.announced == 0 && stats.queued == 0).await;
    let events: BTreeSet<String> = receiver.events().split_off(4002).into_iter().collect();
    assert_eq!(events.into_iter().collect::<Vec<_>>(), ["cache_miss cache-a", "channel_vacated a"]);
}

#[tokio::test]
async fn a_disk_that_is_stuck_delays_one_report_within_the_bound_and_then_none() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let settings = Settings { append_wait_max: Duration::from_secs(1), queue_max: 100, ..settings() };
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings).await;
    rig.log.set_fault(Fault::Stuck);
    let start = Instant::now();
    rig.notify(occupied("a")).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    for n in 0..1000 {
        rig.notify(miss(&format!("cache-{n}"))).await;
    }
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(rig.webhooks.stats().queued, 100, "the queue stays bounded");
    let start = Instant::now();
    rig.webhooks.shutdown(start).await;
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn who_no_longer_owns_the_queue_sends_nothing() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(miss("cache-a")).await;
    rig.until_recorded(1).await;
    let successor = rig.open_again().await;
    successor.notify(&app(), miss("cache-b")).await;
    receiver.wait_for(2).await;
    rig.notify(miss("cache-c")).await;
    rig.until("fenced", |stats| stats.is_journal_failing).await;
    successor.notify(&app(), miss("cache-d")).await;
    receiver.wait_for(3).await;
    assert_eq!(receiver.events(), ["cache_miss cache-a", "cache_miss cache-b", "cache_miss cache-d"]);
}
