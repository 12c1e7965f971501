//! Webhooks across the end of the process.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::bystander::counted;
use crate::receiver::{Answer, Posted, Receiver};
use crate::support::{Pusher, Server};
use crate::webhooks::{QUICK, counting, told, usual};

/// How often each event was accepted.
fn counts(events: &[Value]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry(event.to_string()).or_default() += 1;
    }
    counts
}

/// Waits until so many events were tried at least once. An attempt is made only when its event is on disk.
async fn tried(receiver: &Receiver, count: usize) {
    let is_enough = |posted: &[Posted]| {
        let tried: BTreeSet<String> =
            posted.iter().flat_map(Posted::events).map(|event| event.to_string()).collect();
        tried.len() >= count
    };
    receiver.until(&format!("attempts at {count} events"), is_enough).await;
}

fn vacated(channel: &str) -> Value {
    json!({"name": "channel_vacated", "channel": channel})
}

#[tokio::test]
async fn what_was_queued_at_a_kill_arrives_once_after_the_restart() {
    let receiver = Receiver::start(Answer::Status(503)).await;
    let app = told(counting(), &receiver, "/", "");
    let data = tempfile::tempdir().unwrap();
    let builder = Server::builder().app(&app).data_directory(data.path());
    // The first process tries each event once, so that at its end nothing is on its way.
    let patient = QUICK.replace("\"50ms\"", "\"1h\"").replace("\"200ms\"", "\"1h\"") + "retry_for = \"2h\"\n";
    let mut server = builder.clone().config(&patient).start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-room", "ann").await;
    for number in 0..5 {
        client.trigger("presence-room", "client-count", json!(number)).await;
    }
    client.subscribe("private-a").await;
    // Occupied twice, one member, five client events and one count.
    tried(&receiver, 9).await;
    counted(&server, "courant_webhooks_queued", 9.0).await;
    server.kill();
    drop(client);
    assert_eq!(receiver.events().len(), 0);

    receiver.answers(Answer::Status(200));
    let server = builder.config(QUICK).start().await;
    // And the ends of what had begun: nobody is connected any more.
    let events = receiver.accepted(12).await;
    counted(&server, "courant_webhooks_delivered_total", 12.0).await;
    let counts = counts(&events);
    assert!(counts.values().all(|count| *count == 1), "{counts:#?}");
    for number in 0..5 {
        let data = format!("\"data\":\"{number}\"");
        assert!(
            counts.keys().any(|event| event.contains("client-count") && event.contains(&data)),
            "{counts:#?}"
        );
    }
    let removed = json!({"name": "member_removed", "channel": "presence-room", "user_id": "ann"});
    for end in [vacated("presence-room"), vacated("private-a"), removed] {
        assert!(counts.contains_key(&end.to_string()), "{end} in {counts:#?}");
    }
    // A beginning comes before its end.
    let at = |name: &str| {
        events.iter().position(|event| event["name"] == name && event["channel"] == "private-a").unwrap()
    };
    assert!(at("channel_occupied") < at("channel_vacated"));
}

#[tokio::test]
async fn a_channel_occupied_at_a_kill_is_vacated_after_it_unless_its_clients_return() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let events = "event_types = [\"channel_occupied\", \"channel_vacated\"]";
    let app = told(usual(), &receiver, "/", events);
    let mut server = Server::builder().app(&app).config(&QUICK.replace("300ms", "4s")).start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-left").await;
    client.subscribe("private-kept").await;
    receiver.accepted(2).await;
    server.kill();
    drop(client);

    let server = server.start_again().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-kept").await;
    let is_vacated = |posted: &[Posted]| {
        posted.iter().flat_map(Posted::events).any(|event| event == vacated("private-left"))
    };
    let posted = receiver.until("the end of the other", is_vacated).await;
    // The one whose client returned has neither ended nor begun. What was accepted right before the kill may come twice,
    // with the same id.
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for posted in &posted {
        told.insert(posted.header("x-courant-webhook-id").to_owned(), posted.events()[0].clone());
    }
    let kept: Vec<&Value> = told.values().filter(|event| event["channel"] == "private-kept").collect();
    assert_eq!(kept, [&json!({"name": "channel_occupied", "channel": "private-kept"})]);
}

#[tokio::test]
async fn a_graceful_stop_repeats_nothing_and_loses_nothing() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let app = told(usual(), &receiver, "/", "event_types = [\"client_event\"]");
    let config = format!("{QUICK}[drain]\nduration = \"0s\"\n");
    let mut server = Server::builder().app(&app).config(&config).start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    for number in 0..3 {
        client.trigger("private-a", "client-before", json!(number)).await;
    }
    receiver.accepted(3).await;
    receiver.answers(Answer::Status(503));
    for number in 3..6 {
        client.trigger("private-a", "client-before", json!(number)).await;
    }
    tried(&receiver, 6).await;
    counted(&server, "courant_webhooks_queued", 3.0).await;
    server.terminate();
    drop(client);
    assert!(server.ended().await.success());
    receiver.answers(Answer::Status(200));
    let server = server.start_again().await;
    receiver.accepted(6).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    client.trigger("private-a", "client-after", json!(6)).await;
    let events = receiver.accepted(7).await;
    let mut data: Vec<&str> = events.iter().map(|event| event["data"].as_str().unwrap()).collect();
    data.sort_unstable();
    assert_eq!(data, ["0", "1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_kill_in_the_midst_of_deliveries_loses_none() {
    const EVENTS: usize = 60;
    let receiver = Receiver::start(Answer::Status(503)).await;
    let app = told(usual(), &receiver, "/", "event_types = [\"client_event\"]");
    let mut server = Server::builder().app(&app).config(QUICK).start().await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("private-a").await;
    for number in 0..EVENTS {
        client.trigger("private-a", "client-count", json!(number)).await;
    }
    tried(&receiver, EVENTS).await;
    receiver.answers(Answer::Status(200));
    receiver.accepted(EVENTS / 4).await;
    server.kill();
    let _server = server.start_again().await;
    let is_all = |posted: &[Posted]| {
        let accepted = posted.iter().filter(|posted| posted.status == Some(200));
        let data: BTreeSet<String> =
            accepted.flat_map(Posted::events).map(|event| event["data"].to_string()).collect();
        data.len() == EVENTS
    };
    let posted = receiver.until("all events", is_all).await;
    // Those whose acceptance was not yet on disk may come twice, and then with the same id.
    let mut ids = BTreeMap::new();
    for posted in posted {
        let id = posted.header("x-courant-webhook-id").to_owned();
        assert_eq!(ids.entry(posted.body.clone()).or_insert(id.clone()), &id);
    }
}
