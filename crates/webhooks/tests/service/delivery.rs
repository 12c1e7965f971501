use std::time::Duration;

use courant_auth::{Networks, WebhookEndpoint};
use courant_webhooks::{DeadReason, Event, Failure, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::receiver::{Answer, Receiver};
use crate::rig::{Rig, app, endpoint, miss, occupied, secret, settings, vacated};

#[tokio::test]
async fn receivers_can_verify_and_read_what_they_get_as_the_sdks_do() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let mut configured = endpoint(&receiver.url());
    configured.add_header("authorization", "Bearer mine").unwrap();
    let rig = Rig::new(vec![configured], settings()).await;
    rig.notify(Event::ClientEvent {
        channel: "presence-ä".into(),
        event: "client-a".into(),
        data: r#"{"x":"\u00e4 \"quoted\""}"#.into(),
        socket_id: "12.34".into(),
        user_id: Some("7".into()),
    })
    .await;
    let request = receiver.wait_for(1).await.remove(0);
    // pusher-http-node: `contentType === "application/json"`, key, HMAC of the raw body.
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("x-pusher-key"), "courant-key");
    assert!(secret().verifies(&[&request.body], request.header("x-pusher-signature")));
    assert_eq!(request.header("authorization"), "Bearer mine");
    let json = request.json();
    assert_eq!(
        json["events"],
        serde_json::json!([{
            "name": "client_event",
            "channel": "presence-ä",
            "event": "client-a",
            "data": r#"{"x":"\u00e4 \"quoted\""}"#,
            "socket_id": "12.34",
            "user_id": "7",
        }])
    );
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(now_ms - u128::from(json["time_ms"].as_u64().unwrap()) < 120_000);
}

#[tokio::test]
async fn anything_but_a_2xx_is_tried_again_with_the_same_id_and_body() {
    let elsewhere = Receiver::start(Answer::Status(200)).await;
    let receiver = Receiver::start(Answer::Status(500)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(occupied("a")).await;
    let answers =
        [Answer::Status(410), Answer::Status(404), Answer::Redirect(elsewhere.url()), Answer::Status(304)];
    for (at, answer) in answers.into_iter().enumerate() {
        receiver.wait_for(at + 1).await;
        receiver.answer(answer);
    }
    receiver.wait_for(6).await;
    receiver.answer(Answer::Status(204));
    rig.until_delivered().await;
    let received = receiver.received();
    assert!(received.iter().all(|request| request.webhook_id() == received[0].webhook_id()));
    assert!(received.iter().all(|request| request.body == received[0].body));
    assert!(elsewhere.received().is_empty(), "redirects are not followed");
    rig.notify(miss("cache-a")).await;
    let next = receiver.wait_for(received.len() + 1).await;
    assert_ne!(next.last().unwrap().webhook_id(), received[0].webhook_id());
}

#[tokio::test]
async fn a_return_within_the_grace_sends_nothing_and_an_end_is_sent_after_it() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    // Long enough for a slow machine to come back in time.
    let grace = Duration::from_secs(5);
    let rig = Rig::new(vec![endpoint(&receiver.url())], Settings { grace, ..settings() }).await;
    rig.notify(occupied("a")).await;
    rig.notify(vacated("a")).await;
    rig.notify(occupied("a")).await;
    let start = Instant::now();
    rig.notify(vacated("a")).await;
    receiver.wait_for(2).await;
    assert!(start.elapsed() >= grace);
    assert_eq!(receiver.events(), ["channel_occupied a", "channel_vacated a"]);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let hanging = Receiver::start(Answer::Hang).await;
    let receiver = Receiver::start(Answer::Status(200)).await;
    let endpoints = vec![endpoint(&hanging.url()), endpoint(&receiver.url())];
    let rig = Rig::new(endpoints, Settings { request_timeout: Duration::from_secs(600), ..settings() }).await;
    for n in 0..200 {
        rig.notify(miss(&format!("cache-{n}"))).await;
    }
    receiver.wait_for(200).await;
    assert_eq!(receiver.received().len(), 200);
    assert_eq!(hanging.received().len(), 8, "no more than the configured number at one time");
    rig.until("settled", |stats| stats.queued == 200).await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_fails() {
    let receiver = Receiver::start(Answer::Hang).await;
    let settings = Settings { request_timeout: Duration::from_millis(200), ..settings() };
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings).await;
    rig.notify(occupied("a")).await;
    rig.until("timed out", |stats| stats.endpoints[0].last_failure == Some(Failure::Timeout)).await;
    receiver.answer(Answer::Status(200));
    rig.until_delivered().await;
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_not_connected_to_whatever_their_spelling() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let port = receiver.address.port();
    let urls = ["127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"];
    let endpoints = urls.iter().map(|host| endpoint(&format!("http://{host}:{port}/"))).collect();
    let settings =
        Settings { allow_networks: Networks::default(), retry_for: Duration::from_millis(300), ..settings() };
    let rig = Rig::new(endpoints, settings).await;
    rig.notify(occupied("a")).await;
    rig.until_delivered().await;
    assert!(receiver.received().is_empty());
    let letters = rig.webhooks.dead_letters(100);
    assert_eq!(letters.len(), urls.len());
    for letter in letters {
        assert_eq!(letter.reason, DeadReason::Forbidden, "{letter:?}");
        assert!(letter.last.unwrap().to_string().contains("allow_networks"), "it says what to do");
    }
}

#[tokio::test]
async fn names_lead_to_allowed_addresses() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let port = receiver.address.port();
    let rig = Rig::new(vec![endpoint(&format!("http://localhost:{port}/"))], settings()).await;
    rig.notify(occupied("a")).await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!(request.header("host"), format!("localhost:{port}"));
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_it() {
    let receiver = Receiver::start(Answer::Endless).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    for n in 0..20 {
        rig.notify(miss(&format!("cache-{n}"))).await;
    }
    rig.until_delivered().await;
    assert_eq!(receiver.received().len(), 20);
}

#[tokio::test]
async fn what_is_no_http_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let garbage = tokio::spawn(async move {
        let mut answers = [&b"\x16\x03\x01 no http"[..], &[b'a'; 100_000], b""].into_iter().cycle();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answers.next().unwrap()).await;
        }
    });
    let rig = Rig::new(vec![endpoint(&url)], settings()).await;
    rig.notify(occupied("a")).await;
    rig.until("tried", |stats| stats.endpoints[0].failed >= 6).await;
    assert!(matches!(rig.webhooks.stats().endpoints[0].last_failure, Some(Failure::Connect(_))));
    assert_eq!(rig.webhooks.stats().queued, 1);
    garbage.abort();
}

#[tokio::test]
async fn batches_carry_many_events_in_order() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let batching = WebhookEndpoint { batching: true, ..endpoint(&receiver.url()) };
    let settings =
        Settings { batch_linger: Duration::from_millis(300), concurrency_per_endpoint: 1, ..settings() };
    let rig = Rig::new(vec![batching], settings).await;
    let sent: Vec<String> = (0..120).map(|n| format!("cache_miss cache-{n}")).collect();
    let notifications = (0..120).map(|n| rig.notify(miss(&format!("cache-{n}"))));
    futures_util::future::join_all(notifications).await;
    rig.until_delivered().await;
    assert_eq!(receiver.events(), sent);
    assert!(receiver.received().iter().all(|request| request.events().len() <= 50));
    assert!(receiver.received().len() < 60, "{} requests", receiver.received().len());
}

#[tokio::test]
async fn applications_without_webhooks_want_nothing() {
    let rig = Rig::new(vec![], settings()).await;
    assert!(courant_webhooks::EventKind::ALL.iter().all(|&kind| !rig.webhooks.wants(&app(), kind)));
    rig.notify(occupied("a")).await;
    assert_eq!(rig.webhooks.stats().announced, 0);
}

#[tokio::test]
async fn metrics_tell_what_became_of_attempts() {
    let receiver = Receiver::start(Answer::Status(500)).await;
    let rig = Rig::new(vec![endpoint(&receiver.url())], settings()).await;
    rig.notify(occupied("a")).await;
    receiver.wait_for(2).await;
    receiver.answer(Answer::Status(200));
    rig.until_delivered().await;
    assert_eq!(rig.metrics.webhooks_delivered.get(), 1);
    assert_eq!(rig.metrics.webhooks_queued.get(), 0);
    let text = rig.metrics.render();
    assert!(text.contains(r#"courant_webhooks_attempts_total{outcome="accepted"} 1"#), "{text}");
}
