use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{
    BINARY, CLOSE, CONTINUATION, Client, PING, PONG, TEXT, frame, loopback, narrow_loopback,
};
use crate::transport::tests::tls_over;
use crate::{Context, Frame, Limits, Pushed, Tick, Transport};

/// Sends back what comes.
struct Echo(Arc<Socket>);

impl Handler for Echo {
    fn text(&mut self, text: &str) -> Step<'_> {
        let _closing = self.0.push(&Frame::text(text));
        Step::Done
    }

    fn binary(&mut self, data: &[u8]) -> Step<'_> {
        let _closing = self.0.push(&Frame::binary(data));
        Step::Done
    }
}

/// Notes what comes, and goes on with each message only when it is permitted to.
struct Patient {
    seen: Arc<Mutex<Vec<String>>>,
    permits: Arc<Semaphore>,
}

impl Handler for Patient {
    fn text(&mut self, text: &str) -> Step<'_> {
        self.seen.lock().push(text.to_owned());
        Step::Pending(Box::pin(async {
            self.permits.acquire().await.unwrap().forget();
        }))
    }

    fn binary(&mut self, _data: &[u8]) -> Step<'_> {
        Step::Done
    }
}

fn roomy() -> Limits {
    Limits { message_bytes_max: 10_000_000, frame_bytes_max: 10_000_000, ..Limits::default() }
}

fn socket(transport: Transport, limits: Limits) -> Arc<Socket> {
    Arc::new(Socket::new(transport, Arc::new(Context::new(limits)), (4100, "slow consumer")))
}

/// An echo on loopback: its socket, its task, and a client.
async fn echo_with(limits: Limits, leftover: &[u8]) -> (Arc<Socket>, JoinHandle<Closed>, Client<TcpStream>) {
    let (server, client) = loopback().await;
    let socket = socket(Transport::plain(server), limits);
    let leftover = Bytes::copy_from_slice(leftover);
    let serving = tokio::spawn(serve(socket.clone(), leftover, Echo(socket.clone())));
    (socket, serving, Client(client))
}

async fn echo() -> (Arc<Socket>, JoinHandle<Closed>, Client<TcpStream>) {
    echo_with(Limits::default(), b"").await
}

#[tokio::test]
async fn the_future_of_a_connection_is_small() {
    let (server, _client) = loopback().await;
    let socket = socket(Transport::plain(server), Limits::default());
    let future = serve(socket.clone(), Bytes::new(), Echo(socket));
    println!("serve with a handler of {} bytes: {} bytes", size_of::<Echo>(), size_of_val(&future));
    assert!(size_of_val(&future) < 512, "{}", size_of_val(&future));
}

#[tokio::test]
async fn a_connection_that_waits_between_messages_holds_no_buffer() {
    let (server, client) = loopback().await;
    let socket = socket(Transport::plain(server), roomy());
    let mut client = Client(client);
    let parts = [frame(false, BINARY, &[1; 100_000]), frame(true, CONTINUATION, &[2; 100_000])];
    let leftover = frame(true, TEXT, b"first");
    let mut inbound = Inbound::new(&leftover);
    client.send_raw(&parts.concat()).await;
    let mut messages = 0;
    while messages < 2 {
        match inbound.next(&socket) {
            Next::Text(_) | Next::Binary(_) => messages += 1,
            Next::Wait => {
                inbound.release();
                poll_fn(|cx| socket.poll_wait(cx)).await;
            }
            _ => {}
        }
    }
    assert!(!inbound.holds_nothing());
    assert!(matches!(inbound.next(&socket), Next::Wait));
    inbound.release();
    assert!(inbound.holds_nothing());
}

#[tokio::test]
async fn messages_come_back_in_order() {
    let (_, serving, mut client) = echo().await;
    for number in 0..500 {
        client.send(TEXT, number.to_string().as_bytes()).await;
    }
    client.send(BINARY, &[1, 2, 3]).await;
    for number in 0..500 {
        assert_eq!(client.receive_text().await, number.to_string());
    }
    assert_eq!(client.receive().await, Some((BINARY, vec![1, 2, 3])));
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::Dropped);
}

#[tokio::test]
async fn what_was_read_with_the_handshake_comes_first() {
    let second = frame(true, TEXT, b"second");
    let leftover = [frame(true, TEXT, b"first"), second[..4].to_vec()].concat();
    let (_, _serving, mut client) = echo_with(Limits::default(), &leftover).await;
    assert_eq!(client.receive_text().await, "first");
    client.send_raw(&second[4..]).await;
    assert_eq!(client.receive_text().await, "second");
}

#[tokio::test]
async fn large_messages_arrive_in_fragments_with_pings_between() {
    let (_, _serving, mut client) = echo_with(roomy(), b"").await;
    let part = "grüße ".repeat(5000);
    client.send_raw(&frame(false, TEXT, part.as_bytes())).await;
    for _ in 0..20 {
        client.send(PING, b"between").await;
        client.send_raw(&frame(false, CONTINUATION, part.as_bytes())).await;
    }
    client.send_raw(&frame(true, CONTINUATION, b"end")).await;
    for _ in 0..20 {
        assert_eq!(client.receive().await, Some((PONG, b"between".to_vec())));
    }
    assert_eq!(client.receive_text().await, part.repeat(21) + "end");
}

#[tokio::test]
async fn a_megabyte_echoes_through_tls() {
    let (transport, client) = tls_over(narrow_loopback().await, &frame(true, TEXT, b"early")).await;
    let socket = socket(transport, Limits { queue_bytes_max: 4_000_000, ..roomy() });
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Echo(socket)));
    let (mut reading, mut writing) = tokio::io::split(client);
    let message: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let sent = frame(true, BINARY, &message);
    let sending = tokio::spawn(async move {
        writing.write_all(&sent).await.unwrap();
        writing.write_all(&frame(true, CLOSE, &1000_u16.to_be_bytes())).await.unwrap();
        writing.flush().await.unwrap();
        writing
    });
    let mut received = Vec::new();
    reading.read_to_end(&mut received).await.expect("ends with close_notify");
    let expected = [
        Frame::text("early").bytes().to_vec(),
        Frame::binary(&message).bytes().to_vec(),
        Frame::close(1000, "").bytes().to_vec(),
    ];
    assert!(received == expected.concat());
    drop(reading.unsplit(sending.await.unwrap()));
    assert_eq!(serving.await.unwrap(), Closed::ByPeer(1000));
}

#[tokio::test]
async fn a_close_of_the_peer_is_answered_with_its_code() {
    for (payload, code) in [(&b"\x0f\xa0bye"[..], 4000), (b"\x03\xe8", 1000), (b"", 1005)] {
        let (socket, serving, mut client) = echo().await;
        client.send(TEXT, b"before").await;
        client.send(CLOSE, payload).await;
        client.send(TEXT, b"after").await;
        assert_eq!(client.receive_text().await, "before");
        assert_eq!(client.receive().await, Some((CLOSE, payload[..payload.len().min(2)].to_vec())));
        assert!(client.ends().await, "the server ends the stream first");
        drop(client);
        assert_eq!(serving.await.unwrap(), Closed::ByPeer(code));
        assert_eq!(socket.push(&Frame::text("late")), Pushed::Closed);
    }
}

#[tokio::test]
async fn a_close_of_the_server_waits_for_the_peer_and_hears_no_more_messages() {
    let (socket, serving, mut client) = echo().await;
    client.send(TEXT, b"hello").await;
    assert_eq!(client.receive_text().await, "hello");
    socket.close(4200, "please reconnect");
    assert_eq!(client.receive().await, Some((CLOSE, b"\x10\x68please reconnect".to_vec())));
    client.send(TEXT, b"sent before the close was seen").await;
    assert!(!serving.is_finished());
    client.send(CLOSE, b"\x10\x68").await;
    assert_eq!(client.receive().await, None);
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::ByServer(4200));
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_close_is_gone_after_the_timeout() {
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let (socket, serving, mut client) = echo_with(limits, b"").await;
    socket.close(4200, "");
    assert_eq!(serving.await.unwrap(), Closed::ByServer(4200));
    assert_eq!(client.receive_close().await, 4200);
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_cannot_hold_a_closing_connection() {
    let limits = Limits { close_timeout: Duration::from_millis(200), ..roomy() };
    let (socket, serving, client) = echo_with(limits, b"").await;
    let (mut reading, mut writing) = client.0.into_split();
    let flood = tokio::spawn(async move {
        let message = frame(true, BINARY, &[0; 10_000]);
        while writing.write_all(&message).await.is_ok() {}
    });
    let sink =
        tokio::spawn(async move { while reading.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {} });
    socket.close(1001, "");
    assert_eq!(serving.await.unwrap(), Closed::ByServer(1001));
    drop(socket);
    flood.await.unwrap();
    sink.await.unwrap();
}

#[tokio::test]
async fn violations_are_answered_with_their_code_and_end_the_stream() {
    let cases = [
        (vec![0x81, 0x00], 1002),
        (frame(true, 0x3, b""), 1002),
        (frame(true, CONTINUATION, b"x"), 1002),
        (frame(true, TEXT, &[0xFF]), 1007),
        (frame(true, BINARY, &[0; 65_537])[..14].to_vec(), 1009),
        (frame(true, CLOSE, &999_u16.to_be_bytes()), 1002),
    ];
    for (bytes, code) in cases {
        let (_, serving, mut client) = echo().await;
        client.send(TEXT, b"fine so far").await;
        client.send_raw(&bytes).await;
        assert_eq!(client.receive_text().await, "fine so far");
        assert_eq!(client.receive_close().await, code);
        assert!(client.ends().await);
        drop(client);
        assert_eq!(serving.await.unwrap(), Closed::ByServer(code));
    }
}

#[tokio::test]
async fn the_close_frame_survives_bytes_that_come_after_the_violation() {
    let (_, serving, mut client) = echo().await;
    client.send_raw(&frame(true, BINARY, &[0; 300_000])).await;
    assert_eq!(client.receive_close().await, 1009);
    assert!(client.ends().await);
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::ByServer(1009));
}

#[tokio::test]
async fn a_task_that_is_dropped_ends_the_stream() {
    let (socket, serving, mut client) = echo().await;
    client.send(TEXT, b"hello").await;
    client.receive_text().await;
    serving.abort();
    assert!(client.ends().await, "though the hub still holds the socket");
    assert_eq!(socket.push(&Frame::text("late")), Pushed::Closed);
}

/// Polls `serve` inside itself and counts.
async fn counting_polls<F: Future>(future: F, polls: Arc<AtomicUsize>) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::Relaxed);
        future.as_mut().poll(cx)
    })
    .await
}

#[tokio::test]
async fn a_delivery_that_the_system_takes_wakes_no_task() {
    let (server, client) = loopback().await;
    let socket = socket(Transport::plain(server), Limits::default());
    let polls = Arc::new(AtomicUsize::new(0));
    let serving = serve(socket.clone(), Bytes::new(), Echo(socket.clone()));
    let _serving = tokio::spawn(counting_polls(serving, polls.clone()));
    let mut client = Client(client);
    client.send(TEXT, b"hello").await;
    client.receive_text().await;
    let before = polls.load(Ordering::Relaxed);
    for _ in 0..1000 {
        assert_eq!(socket.push(&Frame::text("news")), Pushed::Queued);
        socket.flush();
        assert_eq!(client.receive_text().await, "news");
    }
    assert_eq!(polls.load(Ordering::Relaxed), before);
}

#[tokio::test]
async fn a_pending_message_holds_the_next_ones_back_but_not_the_queue() {
    let (server, client) = loopback().await;
    let socket = socket(Transport::plain(server), Limits::default());
    let (seen, permits) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let handler = Patient { seen: seen.clone(), permits: permits.clone() };
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), handler));
    let mut client = Client(client);
    client.send_raw(&[frame(true, TEXT, b"one"), frame(true, TEXT, b"two")].concat()).await;
    while seen.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.push(&Frame::text("pushed meanwhile")), Pushed::Queued);
    socket.flush();
    assert_eq!(client.receive_text().await, "pushed meanwhile");
    assert_eq!(*seen.lock(), ["one"]);
    permits.add_permits(1);
    while seen.lock().len() < 2 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(1);
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::Dropped);
    assert_eq!(*seen.lock(), ["one", "two"]);
}

#[tokio::test]
async fn a_message_that_never_ends_does_not_outlive_the_close() {
    let (server, client) = loopback().await;
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let socket = socket(Transport::plain(server), limits);
    let (seen, permits) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let handler = Patient { seen: seen.clone(), permits };
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), handler));
    let mut client = Client(client);
    client.send(TEXT, b"stuck").await;
    while seen.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    socket.close(4009, "");
    assert_eq!(client.receive_close().await, 4009);
    assert_eq!(serving.await.unwrap(), Closed::ByServer(4009));
}

#[tokio::test]
async fn a_flood_of_pings_queues_no_pongs_for_a_client_that_does_not_read() {
    let (server, client) = narrow_loopback().await;
    let socket = socket(Transport::plain(server), Limits { queue_bytes_max: 200_000, ..Limits::default() });
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Echo(socket.clone())));
    let (reading, mut writing) = client.into_split();
    let most = 200_000;
    for number in 0..100_000_u32 {
        writing.write_all(&frame(true, PING, &number.to_be_bytes())).await.unwrap();
        assert!(socket.bytes_queued() <= most);
    }
    assert!(socket.is_open());
    // The latest ping is answered once the client reads, and what came before was answered or skipped, in order.
    let mut client = Client(reading.reunite(writing).unwrap());
    let mut last = None;
    while last != Some(99_999) {
        let Some((PONG, payload)) = client.receive().await else { panic!("expected only pongs") };
        let number = u32::from_be_bytes(payload.try_into().unwrap());
        assert!(last < Some(number));
        last = Some(number);
    }
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::Dropped);
}

/// Counts messages.
struct Count(Arc<AtomicUsize>);

impl Handler for Count {
    fn text(&mut self, _text: &str) -> Step<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Step::Done
    }

    fn binary(&mut self, _data: &[u8]) -> Step<'_> {
        Step::Done
    }
}

#[tokio::test]
async fn a_client_that_sends_without_pause_lets_other_tasks_run() {
    let leftover = Bytes::from(frame(true, TEXT, b"").repeat(100_000));
    let (server, _client) = loopback().await;
    let socket = socket(Transport::plain(server), Limits::default());
    let count = Arc::new(AtomicUsize::new(0));
    let mut serving = pin!(serve(socket, leftover, Count(count.clone())));
    let mut turns_of_others = 0;
    // After each poll it is the others' turn.
    poll_fn(|cx| {
        let before = count.load(Ordering::Relaxed);
        assert!(serving.as_mut().poll(cx).is_pending());
        let handled = count.load(Ordering::Relaxed) - before;
        assert!(handled <= 1000, "{handled} messages in one turn");
        turns_of_others += 1;
        if before + handled == 100_000 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    assert!(turns_of_others >= 100);
}

#[tokio::test(start_paused = true)]
async fn any_whole_frame_counts_as_heard() {
    let (socket, _serving, mut client) = echo().await;
    let start = Tick::now();
    client.send(PING, b"").await;
    client.receive().await;
    tokio::time::advance(Duration::from_secs(10)).await;
    client.send_raw(&frame(true, PING, b"12345")[..8]).await;
    client.send_raw(&frame(true, PING, b"12345")[8..]).await;
    client.receive().await;
    assert!(socket.last_inbound().since(start) >= Duration::from_secs(10));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_of_a_client_break_the_server(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        valid_first in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_, serving, mut client) = echo_with(roomy(), b"").await;
            if valid_first {
                client.send(TEXT, b"hello").await;
            }
            // The server may have ended the stream before all is written.
            let _written = client.0.write_all(&bytes).await;
            drop(client);
            serving.await.expect("no panic");
        });
    }
}
