//! `xhr`: a response for each thing that there is to tell.

use serde_json::json;

use crate::support::xhr::messages;
use crate::support::{Api, App, Server, Xhr, soon};
use crate::{ping, pong, socket_id, subscribe, succeeded};

#[tokio::test]
async fn a_session_opens_and_carries_messages_both_ways() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    let response = xhr.poll().await;
    assert_eq!((response.status, response.text().as_str()), (200, "o\n"));
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let established = messages(&xhr.poll_line().await);
    assert_eq!(established.len(), 1);
    socket_id(&established[0]);
    assert_eq!(xhr.send(&[subscribe("a"), subscribe("b"), ping()]).await.status, 204);
    let mut answers = Vec::new();
    while answers.len() < 3 {
        answers.extend(messages(&xhr.poll_line().await));
    }
    assert_eq!(answers, [succeeded("a"), succeeded("b"), pong()]);
    assert_eq!(server.metric(r#"courant_connections{app="1001",transport="xhr_polling"}"#).await, 1.0);
}

#[tokio::test]
async fn a_poll_waits_until_there_is_something() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    xhr.send(&[subscribe("a")]).await;
    xhr.poll_line().await;
    for at in 0..20 {
        let data = at.to_string();
        let both = async { tokio::join!(xhr.poll_line(), api.trigger("a", "x", &data)) };
        let (line, ()) = soon("a poll", both).await;
        assert_eq!(messages(&line), [json!({"event": "x", "channel": "a", "data": at.to_string()})]);
    }
}

#[tokio::test]
async fn what_came_meanwhile_comes_together() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let api = Api::new(&server, &app);
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    xhr.send(&[subscribe("a")]).await;
    xhr.poll_line().await;
    let mut got = Vec::new();
    for at in 0..50 {
        api.trigger("a", &at.to_string(), "1").await;
    }
    let mut polls = 0;
    while got.len() < 50 {
        got.extend(messages(&xhr.poll_line().await));
        polls += 1;
    }
    let names: Vec<String> =
        got.iter().map(|message| message["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..50).map(|at| at.to_string()).collect::<Vec<_>>());
    assert!(polls < 50, "{polls} polls for 50 events");
}

#[tokio::test]
async fn the_newest_of_two_polls_is_the_one_that_receives() {
    let app = App::usual();
    let server = Server::with(&app).await;
    let xhr = Xhr::new(&server, &app, "abcdefgh");
    assert_eq!(xhr.poll_line().await, "o");
    xhr.poll_line().await;
    let older = xhr.stream().await;
    // Its head is here, so it receives; the next one ends it.
    let (line, older) = soon("both", async {
        tokio::join!(xhr.poll_line(), async {
            let mut older = older;
            let end = older.next().await;
            xhr.send(&[ping()]).await;
            end
        })
    })
    .await;
    assert_eq!(older, None);
    assert_eq!(messages(&line), [pong()]);
}
