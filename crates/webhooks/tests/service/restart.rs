use std::collections::BTreeSet;
use std::time::Duration;

use courant_auth::WebhookEndpoint;
use courant_webhooks::{DeadReason, Settings};
use tokio::time::Instant;

use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, endpoint, miss, occupied, settings, vacated};

#[tokio::test]
async fn what_was_queued_before_a_crash_arrives_after_it_once_each() {
    let receiver = Receiver::start(Answer::Hang).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    futures_util::future::join_all((0..500).map(|n| rig.notify(miss(&format!("cache-{n}"))))).await;
    receiver.wait_for(8).await;
    // Those eight reached it, and it never said so.
    receiver.answer(Answer::Status(200));
    let rig = rig.crash().await;
    rig.until_recorded(500).await;
    let received = receiver.received();
    assert_eq!(received.len(), 508);
    let ids: BTreeSet<&str> = received.iter().map(|request| request.webhook_id()).collect();
    assert_eq!(ids.len(), 500, "what is sent again has the id it had");
    assert_eq!(receiver.events().into_iter().collect::<BTreeSet<_>>().len(), 500);
    let rig = rig.crash().await;
    rig.until_delivered().await;
    assert_eq!(receiver.received().len(), 508);
}

#[tokio::test]
async fn after_a_stop_nothing_is_sent_twice() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let mut rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    for round in 0..5 {
        let notifications = (0..40).map(|n| rig.notify(miss(&format!("cache-{round}-{n}"))));
        futures_util::future::join_all(notifications).await;
        rig = rig.restart().await;
    }
    rig.until_delivered().await;
    assert_eq!(receiver.received().len(), 200);
    assert_eq!(receiver.events().into_iter().collect::<BTreeSet<_>>().len(), 200);
}

#[tokio::test]
async fn a_channel_that_nobody_came_back_to_is_vacated_after_a_crash() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    // Long enough for a slow machine to come back in time.
    let settings = Settings { grace: Duration::from_secs(3), ..settings() };
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings).await;
    rig.notify(occupied("stays")).await;
    rig.notify(occupied("goes")).await;
    rig.notify(occupied("was-going")).await;
    rig.notify(vacated("was-going")).await;
    rig.until_recorded(3).await;
    let rig = rig.crash().await;
    rig.notify(occupied("stays")).await;
    receiver.wait_for(5).await;
    let mut ends = receiver.events().split_off(3);
    ends.sort();
    assert_eq!(ends, ["channel_vacated goes", "channel_vacated was-going"]);
    assert_eq!(rig.webhooks.stats().announced, 1);
}

#[tokio::test]
async fn dead_letters_survive() {
    let receiver = Receiver::start(Answer::Status(503)).await;
    let settings = Settings { retry_for: Duration::from_millis(100), ..settings() };
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings).await;
    rig.notify(miss("cache-a")).await;
    rig.until("given up", |stats| stats.dead_letters == 1).await;
    let before = rig.webhooks.dead_letters(10);
    let rig = rig.restart().await;
    let after = rig.webhooks.dead_letters(10);
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    assert_eq!((after[0].reason, rig.webhooks.stats().queued), (DeadReason::Expired, 0));
}

#[tokio::test]
async fn a_receiver_that_is_down_over_a_crash_gets_everything_when_it_is_back() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let address = receiver.address;
    let batching = WebhookEndpoint { batching: true, ..endpoint(&receiver.url()) };
    drop(receiver);
    let mut rig = Rig::new(vec![batching], settings()).await;
    for round in 0..3 {
        let notifications = (0..60).map(|n| rig.notify(miss(&format!("cache-{round}-{n}"))));
        futures_util::future::join_all(notifications).await;
        rig.until("tried", |stats| stats.endpoints[0].failed > 0).await;
        rig = rig.crash().await;
    }
    let receiver = Receiver::start_on(address, Answer::Status(200), None).await;
    rig.until_delivered().await;
    let events = receiver.events();
    assert_eq!((events.len(), events.into_iter().collect::<BTreeSet<_>>().len()), (180, 180));
}

#[tokio::test]
async fn a_stop_waits_for_attempts_until_its_deadline_and_no_longer() {
    let receiver = Receiver::start(Answer::Hang).await;
    let settings = Settings { request_timeout: Duration::from_secs(600), ..settings() };
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings).await;
    rig.notify(occupied("a")).await;
    receiver.wait_for(1).await;
    let start = Instant::now();
    rig.webhooks.shutdown(start + Duration::from_millis(300)).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(60));
    // Reports after the stop change nothing and hang nobody.
    rig.notify(occupied("b")).await;
    receiver.answer(Answer::Status(200));
    let rig = rig.crash().await;
    receiver.wait_for(2).await;
    let received = receiver.received();
    assert_eq!(received[0].webhook_id(), received[1].webhook_id());
    rig.until_delivered().await;
}
