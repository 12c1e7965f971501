//! Pings and the deadlines of silence, with time that is paused and turned on by hand.

use std::time::Duration;

use serde_json::json;

use crate::rig::{Client, Rig, app, settings};

/// Lets seconds pass; in each the client does something or not.
async fn pass(rig: &Rig, client: &mut Client, seconds: u32, mut answers: impl FnMut(&Client) -> bool) {
    for _ in 0..seconds {
        tokio::time::advance(Duration::from_secs(1)).await;
        rig.wheel.tick().await;
        if answers(client) {
            client.send(&json!({"event": "pusher:pong", "data": {}})).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_answers_pings_stays_for_ever() {
    let rig = Rig::start(app(), settings());
    let mut client = rig.connect("7").await;
    let mut seen = 0;
    pass(&rig, &mut client, 3600, |client| {
        let pings = client.peer.count("pusher:ping");
        std::mem::replace(&mut seen, pings) < pings
    })
    .await;
    assert_eq!(client.peer.closed(), None);
    let pings = client.peer.count("pusher:ping");
    assert!((100..=125).contains(&pings), "{pings} pings in an hour");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_late_but_in_time_stays() {
    let rig = Rig::start(app(), settings());
    let mut client = rig.connect("7").await;
    let (mut seen, mut answer_in) = (0, None);
    pass(&rig, &mut client, 3600, |client| {
        let pings = client.peer.count("pusher:ping");
        if std::mem::replace(&mut seen, pings) < pings {
            answer_in = Some(28);
        }
        answer_in = answer_in.map(|seconds: u32| seconds.saturating_sub(1));
        answer_in == Some(0) && answer_in.take().is_some()
    })
    .await;
    assert_eq!(client.peer.closed(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_is_closed_after_one_ping() {
    let rig = Rig::start(app(), settings());
    let mut client = rig.connect("7").await;
    pass(&rig, &mut client, 59, |_| false).await;
    assert_eq!((client.peer.closed(), client.peer.count("pusher:ping")), (None, 1));
    pass(&rig, &mut client, 5, |_| false).await;
    assert_eq!(client.peer.closed(), Some((4201, "pong reply not received in time".into())));
    assert_eq!(client.peer.count("pusher:ping"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_talks_is_not_asked() {
    let rig = Rig::start(app(), settings());
    let mut client = rig.connect("7").await;
    let mut second = 0;
    pass(&rig, &mut client, 600, |_| {
        second += 1;
        second % 20 == 0
    })
    .await;
    assert_eq!((client.peer.closed(), client.peer.count("pusher:ping")), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn an_old_client_without_pings_is_closed_with_4202_after_its_long_silence() {
    let mut settings = settings();
    settings.idle_max = Duration::from_secs(300);
    let rig = Rig::start(app(), settings);
    let mut client = rig.connect("4").await;
    let mut second = 0;
    pass(&rig, &mut client, 200, |_| {
        second += 1;
        second == 150
    })
    .await;
    pass(&rig, &mut client, 245, |_| false).await;
    assert_eq!((client.peer.closed(), client.peer.count("pusher:ping")), (None, 0));
    pass(&rig, &mut client, 10, |_| false).await;
    assert_eq!(client.peer.closed(), Some((4202, "closed after inactivity".into())));
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_authorise_in_time_is_closed_with_4009() {
    let mut app = app();
    app.authorized_connections = Some(Duration::from_secs(10));
    let rig = Rig::start(app, settings());
    let mut client = rig.connect("7").await;
    let mut authorised = rig.connect("7").await;
    let subscription = authorised.subscription("private-a", None);
    authorised.send(&subscription).await;
    pass(&rig, &mut client, 9, |_| true).await;
    assert_eq!(client.peer.closed(), None);
    pass(&rig, &mut client, 4, |_| true).await;
    assert_eq!(client.peer.closed(), Some((4009, "connection did not authorise in time".into())));
    assert_eq!(authorised.peer.closed(), None);
}
