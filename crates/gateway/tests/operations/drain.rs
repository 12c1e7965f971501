//! The graceful stop.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use crate::raw::{Raw, upgrade};
use crate::support::{Api, App, Message, PATIENCE, Pusher, Server, WebSocket, Xhr, soon, until};

async fn started(config: &str) -> (Server, App) {
    let app = App::usual();
    let server = Server::builder().app(&app).config(config).start().await;
    (server, app)
}

fn signal(server: &Server, signal: Signal) {
    let process = Pid::from_raw(i32::try_from(server.process_id()).unwrap()).unwrap();
    kill_process(process, signal).unwrap();
}

async fn is_draining(server: &Server) {
    until("the drain", async || {
        server.private_get("/readyz").await.filter(|response| response.status == 503)
    })
    .await;
}

/// Waits for the close, which must be the drain's, and answers it.
async fn drained(mut client: Pusher) -> Vec<String> {
    let mut events = Vec::new();
    loop {
        match client.next_message().await {
            Message::Text(text) => events.push(text),
            Message::Close(code, reason) => {
                assert_eq!((code, reason.as_str()), (4200, "the server is going away, reconnect"));
                client.websocket.send_close(code).await;
                assert_eq!(client.next_message().await, Message::End);
                return events;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready_refuses_upgrades_and_serves_the_rest() {
    let (mut server, app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
    // At least one close a second is made however long the drain is, so there are enough for this to last.
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(Pusher::connect(&server, &app).await);
        clients.last_mut().unwrap().subscribe("news").await;
    }
    let api = Api::new(&server, &app);
    server.terminate();
    is_draining(&server).await;
    assert_eq!(server.private_get("/readyz").await.unwrap().text(), "draining\n");
    assert_eq!(server.private_get("/livez").await.unwrap().status, 200);
    assert_eq!(server.metric("courant_draining").await, 1.0);
    for target in ["/app/app-key?protocol=7", "/app/unknown", "/elsewhere"] {
        let refused = WebSocket::connect(server.address, target, &[]).await.unwrap_err();
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{target}");
    }
    let refused = server.metric("courant_connections_rejected_total{reason=\"draining\"}").await;
    assert_eq!(refused, 3.0);
    // Who is still connected still gets what applications publish.
    api.trigger("news", "still", "here").await;
    let mut told = 0;
    for client in &mut clients {
        match client.next_message().await {
            Message::Text(text) => told += u32::from(text.contains("still")),
            Message::Close(4200, _) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(told > 0, "everybody was closed before the event");
    until("a count of who is left", async || {
        let left = server.metric("courant_drain_remaining").await;
        (0.0 < left && left < 60.0).then_some(())
    })
    .await;
    // Nobody waits for the rest.
    server.terminate();
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn closes_are_spread_over_the_time_in_random_order() {
    const CLIENTS: usize = 200;
    const DURATION: Duration = Duration::from_secs(3);
    let (mut server, app) = started("[drain]\nduration = \"3s\"\ndeadline = \"20s\"").await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Pusher::connect(&server, &app).await;
        clients.spawn(async move {
            drained(client).await;
            (Instant::now(), number)
        });
    }
    let begun = Instant::now();
    server.terminate();
    let mut closes = soon("all closes", clients.join_all()).await;
    closes.sort();
    let at = |index: usize| closes[index].0 - begun;
    // Never faster than planned; how much slower depends on the machine.
    assert!(at(CLIENTS - 1) >= DURATION.mul_f64(0.8), "all closed after {:?}", at(CLIENTS - 1));
    let took = at(CLIENTS - 1);
    let mut slices = [0; 5];
    for index in 0..CLIENTS {
        slices[((at(index).as_secs_f64() / took.as_secs_f64() * 5.0) as usize).min(4)] += 1;
    }
    assert!(
        slices.iter().all(|count| *count <= CLIENTS * 40 / 100),
        "closes in each fifth of the time: {slices:?}"
    );
    // Early and late comers are closed alike: each half has a fair share of the first half of the closes.
    let early = closes[..CLIENTS / 2].iter().filter(|(_, number)| *number < CLIENTS / 2).count();
    assert!((CLIENTS / 8..=CLIENTS * 3 / 8).contains(&early), "{early} of the first half came early");
    assert!(server.ended().await.success());
    assert!(!server.log().contains("did not end in time"));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT), (Signal::TERM, Signal::INT)]
    {
        let (mut server, app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
        let mut clients = Vec::new();
        for _ in 0..50 {
            clients.push(Pusher::connect(&server, &app).await);
        }
        signal(&server, first);
        is_draining(&server).await;
        signal(&server, second);
        assert!(server.ended().await.success());
        assert!(server.log().contains("ended before the drain was complete"), "{}", server.log());
    }
}

#[tokio::test]
async fn clients_that_leave_by_themselves_shorten_the_drain() {
    let (mut server, app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    signal(&server, Signal::INT);
    is_draining(&server).await;
    drop(clients);
    // An hour was planned.
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn who_left_takes_nobodys_turn() {
    let (mut server, app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    server.terminate();
    is_draining(&server).await;
    let last: Vec<Pusher> = clients.drain(..2).collect();
    drop(clients);
    // One close a second is due: not one attempt a second at a hundred, of whom nearly all are gone.
    for client in last {
        drained(client).await;
    }
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_server_without_clients_stops_at_once_whoever_holds_a_connection() {
    let (mut server, _app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
    let mut idle = Raw::connect(server.address).await;
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.read_to("courant\n").await;
    let silent = Raw::connect(server.address).await;
    let begun = Instant::now();
    server.terminate();
    assert!(server.ended().await.success());
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(idle.closed().await.text, "");
    silent.closed().await;
    assert!(!server.log().contains("did not end in time"), "{}", server.log());
}

#[tokio::test]
async fn members_leave_presence_channels_as_they_are_closed() {
    const MEMBERS: usize = 6;
    let (mut server, app) = started("[drain]\nduration = \"3s\"").await;
    let mut members: Vec<Pusher> = Vec::new();
    for number in 0..MEMBERS {
        let mut member = Pusher::connect(&server, &app).await;
        member.subscribe_as("presence-room", &number.to_string()).await;
        for other in &mut members {
            other.expect_event("pusher_internal:member_added").await;
        }
        members.push(member);
    }
    server.terminate();
    let mut draining = JoinSet::new();
    for member in members {
        draining.spawn(drained(member));
    }
    let mut heard = soon("all closes", draining.join_all()).await;
    heard.sort_by_key(Vec::len);
    // Who is closed first hears of nobody. Whoever is closed later has heard of the same ones, in the same order, and of
    // more; those that are closed together need not hear of each other.
    let longest = heard.last().unwrap();
    assert_eq!(heard[0], [""; 0]);
    assert!((2..MEMBERS).contains(&longest.len()), "{heard:#?}");
    assert!(longest.iter().all(|event| event.contains("member_removed")), "{longest:#?}");
    let removed: std::collections::BTreeSet<&String> = longest.iter().collect();
    assert_eq!(removed.len(), longest.len(), "nobody leaves twice");
    assert!(heard.iter().all(|events| longest.starts_with(events)), "{heard:#?}");
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn who_does_not_answer_the_close_does_not_hold_up_the_end() {
    let (mut server, app) = started("[drain]\nduration = \"0s\"\n[limits]\nclose_timeout = \"300ms\"").await;
    let mut mute = Raw::connect(server.address).await;
    mute.send(upgrade(app.key)).await;
    mute.read_to("connection_established").await;
    server.terminate();
    mute.read_to("the server is going away, reconnect").await;
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn fallback_sessions_are_drained_and_new_ones_go_elsewhere() {
    let (mut server, app) = started("[drain]\nduration = \"1h\"\ndeadline = \"2h\"").await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(Pusher::connect(&server, &app).await);
    }
    let (streaming, polling) = (Xhr::new(&server, &app, "stream"), Xhr::new(&server, &app, "poll"));
    let mut lines = streaming.stream().await;
    lines.expect("o").await;
    assert_eq!(polling.poll_line().await, "o");
    server.terminate();
    is_draining(&server).await;
    let refused = Xhr::new(&server, &app, "new").poll().await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(server.metric("courant_connections_rejected_total{reason=\"draining\"}").await, 1.0);
    // Those that are there go on.
    assert!(polling.poll_line().await.contains("connection_established"));
    assert!(lines.next().await.unwrap().contains("connection_established"));
    let close = r#"c[4200,"the server is going away, reconnect"]"#;
    // A poll that waits is told at once; the drain would not wait for one that comes later.
    let poll = polling.poll_line();
    let leave = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(clients);
    };
    let (polled, (), ()) = tokio::join!(poll, lines.expect(close), leave);
    assert_eq!(polled, close);
    assert_eq!(lines.next().await, None);
    assert!(server.ended().await.success());
}
