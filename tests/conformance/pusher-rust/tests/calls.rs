//! Every call that the SDK offers, but for webhooks.

use std::collections::HashMap;

use conformance_pusher_rust::{APP_ID, KEY, SECRET, Subscriber, address, data, sdk, unique};
use pusher::{Member, PusherBuilder};
use serde_json::json;

fn subscribed(prefix: &str) -> (Subscriber, String) {
    let (mut subscriber, channel) = (Subscriber::connect(KEY), unique(prefix));
    subscriber.subscribe(&channel, None);
    (subscriber, channel)
}

/// A connection of a user in a presence channel.
fn joined(channel: &str, user_id: &str) -> Subscriber {
    let mut subscriber = Subscriber::connect(KEY);
    let member = Member { user_id, user_info: None };
    let auth = sdk().authenticate_presence_channel(channel, &subscriber.socket_id, &member).unwrap();
    subscriber.subscribe(channel, Some(&auth));
    subscriber
}

fn parameters(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[tokio::test]
async fn trigger_reaches_its_channel() {
    let (mut subscriber, channel) = subscribed("public");
    // The SDK sends `"socket_id": null`.
    let answer = sdk().trigger(&channel, "e", json!({"text": "ä€😀"})).await.unwrap();
    assert!(answer.event_ids.is_none());
    assert_eq!(data(&subscriber.expect("e")), json!({"text": "ä€😀"}));
}

#[tokio::test]
async fn trigger_exclusive_leaves_out_a_connection() {
    let (mut sender, channel) = subscribed("public");
    let mut other = Subscriber::connect(KEY);
    other.subscribe(&channel, None);
    sdk().trigger_exclusive(&channel, "first", "x", &sender.socket_id).await.unwrap();
    sdk().trigger(&channel, "second", "x").await.unwrap();
    other.expect("first");
    assert_eq!(next_of(&mut sender, &["first", "second"]), "second");
}

#[tokio::test]
async fn trigger_multi_reaches_each_channel() {
    let (mut subscriber, one) = subscribed("public");
    let two = unique("public");
    subscriber.subscribe(&two, None);
    sdk().trigger_multi(&[&one, &two], "e", "x").await.unwrap();
    let mut channels =
        [subscriber.expect("e"), subscriber.expect("e")].map(|message| message["channel"].clone());
    channels.sort_by_key(|channel| channel.to_string());
    assert_eq!(channels, [json!(one), json!(two)]);
}

#[tokio::test]
async fn trigger_multi_exclusive_leaves_out_a_connection_in_each_channel() {
    let (mut subscriber, one) = subscribed("public");
    let two = unique("public");
    subscriber.subscribe(&two, None);
    sdk().trigger_multi_exclusive(&[&one, &two], "first", "x", &subscriber.socket_id).await.unwrap();
    for channel in [&one, &two] {
        sdk().trigger(channel, "second", "x").await.unwrap();
        assert_eq!(next_of(&mut subscriber, &["first", "second"]), "second");
    }
}

#[tokio::test]
async fn channels_lists_what_is_occupied() {
    let (_subscriber, channel) = subscribed("public");
    let list = sdk().channels().await.unwrap().channels;
    assert!(list[&channel].occupied.is_none() && list[&channel].subscription_count.is_none());
}

#[tokio::test]
async fn channels_with_options_counts_users() {
    let channel = unique("presence");
    let _members = [joined(&channel, "ada"), joined(&channel, "ada"), joined(&channel, "bob")];
    let options = parameters(&[("filter_by_prefix", &channel), ("info", "user_count")]);
    let list = sdk().channels_with_options(options).await.unwrap().channels;
    assert_eq!((list.len(), list[&channel].user_count), (1, Some(2)));
}

#[tokio::test]
async fn channel_tells_whether_it_is_occupied() {
    let (_subscriber, channel) = subscribed("public");
    assert_eq!(sdk().channel(&channel).await.unwrap().occupied, Some(true));
    assert_eq!(sdk().channel(&unique("public")).await.unwrap().occupied, Some(false));
}

#[tokio::test]
async fn channel_with_options_counts() {
    let channel = unique("presence");
    let _members = [joined(&channel, "ada"), joined(&channel, "ada")];
    let options = parameters(&[("info", "user_count,subscription_count")]);
    let answer = sdk().channel_with_options(&channel, options).await.unwrap();
    assert_eq!((answer.user_count, answer.subscription_count), (Some(1), Some(2)));
}

#[tokio::test]
async fn channel_users_lists_users_once_each() {
    let channel = unique("presence");
    let _members = [joined(&channel, "ada"), joined(&channel, "ada"), joined(&channel, "bob")];
    let users = sdk().channel_users(&channel).await.unwrap().users;
    let mut ids: Vec<_> = users.into_iter().map(|user| user.id).collect();
    ids.sort();
    assert_eq!(ids, ["ada", "bob"]);
}

#[tokio::test]
async fn channel_users_of_a_public_channel_is_an_error_with_its_text() {
    let error = sdk().channel_users("public").await.unwrap_err();
    assert_eq!(error, "Error: 400 Bad Request. Users can only be retrieved for presence channels\n");
}

#[tokio::test]
async fn authenticate_private_channel_opens_it() {
    let (mut subscriber, channel) = (Subscriber::connect(KEY), unique("private"));
    let auth = sdk().authenticate_private_channel(&channel, &subscriber.socket_id).unwrap();
    subscriber.subscribe(&channel, Some(&auth));
}

#[tokio::test]
async fn authenticate_presence_channel_opens_it() {
    let (mut subscriber, channel) = (Subscriber::connect(KEY), unique("presence"));
    let member = Member { user_id: "ada", user_info: Some(HashMap::from([("name", "Ada")])) };
    let auth = sdk().authenticate_presence_channel(&channel, &subscriber.socket_id, &member).unwrap();
    let answer = subscriber.subscribe(&channel, Some(&auth));
    let expected = json!({"presence": {"ids": ["ada"], "hash": {"ada": {"name": "Ada"}}, "count": 1}});
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_member_without_info_is_welcome() {
    // The SDK sends `"user_info": null`.
    joined(&unique("presence"), "ada");
}

#[tokio::test]
async fn a_client_made_from_a_url_publishes() {
    let url = format!("http://{KEY}:{SECRET}@{}/apps/{APP_ID}", address());
    // It drops the port of the URL.
    let sdk = PusherBuilder::from_url(&url).host(&address()).finalize();
    sdk.trigger("public", "e", "x").await.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_an_error() {
    let sdk = PusherBuilder::new(APP_ID, KEY, "not-the-secret").host(&address()).finalize();
    let error = sdk.trigger("public", "e", "x").await.unwrap_err();
    assert!(error.starts_with("Error: 401 Unauthorized. "), "{error}");
}

/// The next message whose event is one of these; which it is.
fn next_of(subscriber: &mut Subscriber, events: &[&str]) -> String {
    loop {
        let message = subscriber.receive();
        if let Some(event) = message["event"].as_str().filter(|event| events.contains(event)) {
            return event.to_owned();
        }
    }
}
