//! Watchlists: who of the users that a user watches is online.

use serde_json::json;

use crate::support::{App, Pusher, Server};

async fn watcher(server: &Server, app: &App, user_data: &str) -> Pusher {
    let mut client = Pusher::connect(server, app).await;
    client.sign_in_with(user_data).await;
    client
}

#[tokio::test]
async fn after_the_sign_in_comes_who_is_online_and_who_is_not() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut a = Pusher::connect(&server, &app).await;
    a.sign_in("a").await;
    let mut client = watcher(&server, &app, r#"{"id":"me","watchlist":["c","a","b","me"]}"#).await;
    client
        .expect(concat!(
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":["#,
            r#"{\"name\":\"online\",\"user_ids\":[\"a\",\"me\"]},"#,
            r#"{\"name\":\"offline\",\"user_ids\":[\"b\",\"c\"]}]}"}"#
        ))
        .await;
    let mut client = watcher(&server, &app, r#"{"id":"me2","watchlist":["b"]}"#).await;
    client
        .expect(
            r#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"offline\",\"user_ids\":[\"b\"]}]}"}"#,
        )
        .await;
    client.expect_silence().await;
}

#[tokio::test]
async fn coming_and_going_are_told_once_for_all_of_a_users_connections() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut client = watcher(&server, &app, r#"{"id":"me","watchlist":["a","b"]}"#).await;
    client.expect_event("pusher_internal:watchlist_events").await;
    let online = |user_id: &str| {
        format!(
            r#"{{"event":"pusher_internal:watchlist_events","data":"{{\"events\":[{{\"name\":\"online\",\"user_ids\":[\"{user_id}\"]}}]}}"}}"#
        )
    };
    let offline = |user_id: &str| online(user_id).replace("online", "offline");
    let mut first = Pusher::connect(&server, &app).await;
    first.sign_in("a").await;
    client.expect(&online("a")).await;
    let mut second = Pusher::connect(&server, &app).await;
    second.sign_in("a").await;
    let mut stranger = Pusher::connect(&server, &app).await;
    stranger.sign_in("stranger").await;
    first.close().await;
    let mut b = Pusher::connect(&server, &app).await;
    b.sign_in("b").await;
    client.expect(&online("b")).await;
    second.close().await;
    client.expect(&offline("a")).await;
    // Cut off without a close.
    drop(b);
    client.expect(&offline("b")).await;
    client.expect_silence().await;
}

#[tokio::test]
async fn a_list_that_is_too_long_is_cut_and_the_sign_in_succeeds() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let mut first = Pusher::connect(&server, &app).await;
    first.sign_in("u099").await;
    let mut beyond = Pusher::connect(&server, &app).await;
    beyond.sign_in("u100").await;
    let watchlist: Vec<String> = (0..101).map(|at| format!("u{at:03}")).collect();
    let mut client = watcher(&server, &app, &json!({"id": "me", "watchlist": watchlist}).to_string()).await;
    client.expect_error(Some(4302), "The watchlist has 101 users, only the first 100 are watched").await;
    let events = client.expect_event("pusher_internal:watchlist_events").await.data_json();
    assert_eq!(events["events"][0], json!({"name": "online", "user_ids": ["u099"]}));
    assert_eq!(events["events"][1]["user_ids"].as_array().unwrap().len(), 99);
    beyond.close().await;
    first.close().await;
    let events = client.expect_event("pusher_internal:watchlist_events").await.data_json();
    assert_eq!(events, json!({"events": [{"name": "offline", "user_ids": ["u099"]}]}));
}

#[tokio::test]
async fn without_a_list_or_the_setting_nothing_is_told() {
    let app = App::usual();
    let server = Server::with(&app).await;
    for user_data in [r#"{"id":"a"}"#, r#"{"id":"b","watchlist":[]}"#, r#"{"id":"c","watchlist":null}"#] {
        watcher(&server, &app, user_data).await.expect_silence().await;
    }
    let app = App::usual().set("watchlist = false");
    let server = Server::with(&app).await;
    let long: Vec<String> = (0..200).map(|at| at.to_string()).collect();
    let mut client = watcher(&server, &app, &json!({"id": "me", "watchlist": long}).to_string()).await;
    let mut watched = Pusher::connect(&server, &app).await;
    watched.sign_in("7").await;
    client.expect_silence().await;
}

#[tokio::test]
async fn users_of_another_application_are_other_users() {
    let (app, other) = (App::usual(), App::new("1002", "other-key", "other-secret").set("watchlist = true"));
    let server = Server::builder().app(&app).app(&other).start().await;
    let mut client = watcher(&server, &app, r#"{"id":"me","watchlist":["a"]}"#).await;
    client.expect_event("pusher_internal:watchlist_events").await;
    let mut namesake = Pusher::connect(&server, &other).await;
    namesake.sign_in("a").await;
    client.expect_silence().await;
}
