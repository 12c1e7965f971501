//! `subscription_count`: how many are in a channel.

use std::time::Instant;

use crate::support::{App, Pusher, Server};

fn counting() -> App {
    App::usual().set("subscription_counting = true")
}

fn count(channel: &str, count: u64) -> String {
    format!(
        r#"{{"event":"pusher_internal:subscription_count","channel":"{channel}","data":"{{\"subscription_count\":{count}}}"}}"#
    )
}

#[tokio::test]
async fn each_change_is_told_to_all_who_are_there() {
    let app = counting();
    let server = Server::with(&app).await;
    for channel in ["news", "private-news", "private-encrypted-news"] {
        let mut first = Pusher::connect(&server, &app).await;
        first.subscribe(channel).await;
        first.expect(&count(channel, 1)).await;
        let mut second = Pusher::connect(&server, &app).await;
        second.subscribe(channel).await;
        first.expect(&count(channel, 2)).await;
        second.expect(&count(channel, 2)).await;
        second.unsubscribe(channel).await;
        first.expect(&count(channel, 1)).await;
        second.subscribe(channel).await;
        first.expect(&count(channel, 2)).await;
        second.close().await;
        first.expect(&count(channel, 1)).await;
        first.expect_silence().await;
    }
}

#[tokio::test]
async fn a_cache_channel_counts_after_its_kept_event() {
    let app = counting();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("cache-news").await;
    client.expect_event("pusher:cache_miss").await;
    client.expect(&count("cache-news", 1)).await;
}

#[tokio::test]
async fn presence_channels_are_not_counted() {
    let app = counting();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-a", "7").await;
    let mut other = Pusher::connect(&server, &app).await;
    other.subscribe_as("presence-a", "8").await;
    client.expect_event("pusher_internal:member_added").await;
    client.expect_silence().await;
    other.expect_silence().await;
}

#[tokio::test]
async fn without_the_setting_nobody_is_told() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("news").await;
    let mut other = Pusher::connect(&server, &app).await;
    other.subscribe("news").await;
    other.expect_silence().await;
    client.expect_silence().await;
}

#[tokio::test]
async fn with_more_than_a_hundred_the_count_is_told_every_five_seconds() {
    let app = counting();
    let server = Server::with(&app).await;
    let mut first = Pusher::connect(&server, &app).await;
    first.subscribe("news").await;
    first.expect(&count("news", 1)).await;
    let mut others = Vec::new();
    let mut told = Instant::now();
    for at in 2..=105 {
        let mut other = Pusher::connect(&server, &app).await;
        other.subscribe("news").await;
        others.push(other);
        if at <= 101 {
            first.expect(&count("news", at)).await;
            told = Instant::now();
        }
    }
    // What came between is told in one.
    first.expect(&count("news", 105)).await;
    let waited = told.elapsed().as_secs_f64();
    assert!(waited > 4.5, "after {waited} s");
    drop(others.split_off(50));
    // Not many any more: each change at once.
    loop {
        let event = first.expect_event("pusher_internal:subscription_count").await;
        if event.text == count("news", 51) {
            break;
        }
    }
}
