//! `pusher:unsubscribe`, and coming back.

use crate::support::{Api, App, Pusher, Server};

#[tokio::test]
async fn an_unsubscription_is_not_answered_and_ends_the_events() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe("a").await;
    client.subscribe("b").await;
    client.unsubscribe("a").await;
    client.expect_silence().await;
    api.trigger("a", "lost", "1").await;
    api.trigger("b", "kept", "2").await;
    client.expect(r#"{"event":"kept","channel":"b","data":"2"}"#).await;
    client.subscribe("a").await;
    api.trigger("a", "back", "3").await;
    client.expect(r#"{"event":"back","channel":"a","data":"3"}"#).await;
}

#[tokio::test]
async fn unsubscribing_from_where_one_is_not_is_nothing() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    for channel in ["a", "", "no name", "private-a", "#server-to-user-7"] {
        client.unsubscribe(channel).await;
    }
    client.expect_silence().await;
}

#[tokio::test]
async fn a_channel_can_be_left_and_joined_again_in_one_breath() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = Pusher::connect(&server, &app).await;
    client.subscribe_as("presence-a", "7").await;
    for _ in 0..30 {
        client.unsubscribe("presence-a").await;
        let greeting = client.subscribe_as("presence-a", "7").await;
        assert_eq!(greeting.data_json()["presence"]["count"], 1);
    }
    client.expect_silence().await;
}
