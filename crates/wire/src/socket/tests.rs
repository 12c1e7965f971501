use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::*;
use crate::testing::{CLOSE, Client, Counts, TEXT, loopback, narrow_loopback};
use crate::{Handler, Limits, Step, serve};

const SLOW: (u16, &str) = (4100, "slow consumer");

/// Hears everything and says nothing.
struct Silent;

impl Handler for Silent {
    fn text(&mut self, _text: &str) -> Step<'_> {
        Step::Done
    }

    fn binary(&mut self, _data: &[u8]) -> Step<'_> {
        Step::Done
    }
}

fn socket(tcp: TcpStream, limits: Limits) -> (Arc<Socket>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let context = Arc::new(Context { limits, observer: counts.clone() });
    (Arc::new(Socket::new(Transport::plain(tcp), context, SLOW)), counts)
}

/// Waits until the system has seen that the stream takes something.
async fn until_writable(tcp: &TcpStream) {
    tcp.writable().await.unwrap();
}

fn count(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::Relaxed)
}

#[test]
fn an_idle_socket_is_small() {
    assert!(size_of::<Socket>() <= 320, "{}", size_of::<Socket>());
}

#[tokio::test]
async fn a_flush_writes_directly_without_any_task() {
    let (server, client) = loopback().await;
    until_writable(&server).await;
    let (socket, counts) = socket(server, Limits::default());
    // There is no task at all: nobody serves the socket.
    for number in 0..100 {
        assert_eq!(socket.push(&Frame::text(&number.to_string())), Pushed::Queued);
    }
    assert_eq!(socket.bytes_queued(), 10 * 3 + 90 * 4);
    assert_eq!(count(&counts.bytes_written), 0, "a push writes nothing");
    socket.flush();
    assert_eq!(socket.bytes_queued(), 0);
    assert_eq!(count(&counts.frames_written), 100);
    assert_eq!(count(&counts.bytes_written), 10 * 3 + 90 * 4);
    let mut client = Client(client);
    for number in 0..100 {
        assert_eq!(client.receive_text().await, number.to_string());
    }
}

#[tokio::test]
async fn a_batch_larger_than_the_bound_is_written_not_refused() {
    let (server, client) = loopback().await;
    until_writable(&server).await;
    let (socket, counts) = socket(server, Limits { queue_bytes_max: 2000, ..Limits::default() });
    for _ in 0..100 {
        assert_eq!(socket.push(&Frame::text(&"x".repeat(500))), Pushed::Queued);
    }
    socket.flush();
    assert_eq!(count(&counts.overflows), 0);
    let mut client = Client(client);
    for _ in 0..100 {
        assert_eq!(client.receive_text().await.len(), 500);
    }
}

/// Pushes until the queue overflows; answers how many frames were taken.
fn push_to_overflow(socket: &Socket, payload: &str, queue_bytes_max: usize) -> usize {
    let frame = Frame::text(payload);
    for pushed in 0..1_000_000 {
        match socket.push(&frame) {
            Pushed::Queued => socket.flush(),
            Pushed::Overflow => return pushed,
            Pushed::Closed => panic!("closed before it overflowed"),
        }
        assert!(socket.bytes_queued() <= queue_bytes_max);
    }
    panic!("the queue has no bound");
}

#[tokio::test]
async fn a_slow_consumer_is_bounded_and_closed_after_whole_frames() {
    let (server, client) = narrow_loopback().await;
    until_writable(&server).await;
    let limits = Limits { queue_bytes_max: 100_000, ..Limits::default() };
    let (socket, counts) = socket(server, limits);
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Silent));
    let payload = "x".repeat(3000);
    let taken = push_to_overflow(&socket, &payload, 100_000);
    assert!(taken >= 30);
    assert!(socket.bytes_queued() < 3100, "only the end of one frame and the close are left");
    assert_eq!(socket.push(&Frame::text("more")), Pushed::Closed);
    assert_eq!(count(&counts.overflows), 1);

    // When the client comes back to life it finds a stream in order: some whole messages, then the close.
    let mut client = Client(client);
    let mut received = 0;
    loop {
        match client.receive().await {
            Some((TEXT, text)) => {
                assert_eq!(text, payload.as_bytes());
                received += 1;
            }
            Some((CLOSE, close)) => {
                assert_eq!(close, [&4100_u16.to_be_bytes()[..], b"slow consumer"].concat());
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(received < taken);
    client.send(CLOSE, &4100_u16.to_be_bytes()).await;
    assert!(client.ends().await);
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::ByServer(4100));
    assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_slow_consumer_that_never_reads_is_gone_after_the_close_timeout() {
    let (server, client) = narrow_loopback().await;
    until_writable(&server).await;
    let close_timeout = Duration::from_millis(100);
    let limits = Limits { queue_bytes_max: 10_000, close_timeout, ..Limits::default() };
    let (socket, counts) = socket(server, limits);
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Silent));
    push_to_overflow(&socket, "some text", 10_000);
    assert_eq!(serving.await.unwrap(), Closed::ByServer(4100));
    assert_eq!(socket.bytes_queued(), 0);
    assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
    drop(client);
}

#[tokio::test]
async fn a_stalled_queue_goes_on_by_itself_and_in_order() {
    let (server, client) = narrow_loopback().await;
    until_writable(&server).await;
    let limits = Limits { queue_bytes_max: 10_000_000, ..Limits::default() };
    let (socket, counts) = socket(server, limits);
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Silent));
    for number in 0..2000 {
        assert_eq!(socket.push(&Frame::text(&format!("{number:01000}"))), Pushed::Queued);
        socket.flush();
    }
    assert!(socket.bytes_queued() > 0, "the client has not read");
    assert!(counts.queued.load(Ordering::Relaxed) > 0);
    let mut client = Client(client);
    for number in 0..2000 {
        assert_eq!(client.receive_text().await, format!("{number:01000}"));
    }
    assert_eq!(count(&counts.frames_written), 2000);
    assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::Dropped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_from_many_threads_neither_mix_nor_get_lost() {
    let (server, client) = narrow_loopback().await;
    let limits = Limits { queue_bytes_max: 100_000_000, ..Limits::default() };
    let (socket, counts) = socket(server, limits);
    let serving = tokio::spawn(serve(socket.clone(), Bytes::new(), Silent));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let socket = socket.clone();
            std::thread::spawn(move || {
                for number in 0..2000 {
                    let text = format!("{thread} {number} {}", "x".repeat(number % 700));
                    assert_eq!(socket.push(&Frame::text(&text)), Pushed::Queued);
                    socket.flush();
                }
            })
        })
        .collect();
    let mut client = Client(client);
    let mut next = [0; 4];
    for _ in 0..8000 {
        let text = client.receive_text().await;
        let mut words = text.split(' ');
        let thread: usize = words.next().unwrap().parse().unwrap();
        let number: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(number, next[thread], "each thread's frames are in order");
        next[thread] += 1;
    }
    for thread in threads {
        thread.join().unwrap();
    }
    drop(client);
    assert_eq!(serving.await.unwrap(), Closed::Dropped);
    assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_first_close_counts_and_comes_after_what_is_queued() {
    let (server, client) = loopback().await;
    until_writable(&server).await;
    let (socket, _) = socket(server, Limits::default());
    assert_eq!(socket.push(&Frame::text("last words")), Pushed::Queued);
    socket.close(4001, "first");
    socket.close(4002, "second");
    assert_eq!(socket.push(&Frame::text("too late")), Pushed::Closed);
    assert!(!socket.is_open());
    let mut client = Client(client);
    assert_eq!(client.receive_text().await, "last words");
    assert_eq!(client.receive().await, Some((CLOSE, b"\x0f\xa1first".to_vec())));
    client.send(CLOSE, &4001_u16.to_be_bytes()).await;
    drop(client);
    assert_eq!(serve(socket, Bytes::new(), Silent).await, Closed::ByServer(4001));
}

#[tokio::test]
async fn a_close_with_1005_has_no_code() {
    let (server, client) = loopback().await;
    until_writable(&server).await;
    let (socket, _) = socket(server, Limits::default());
    socket.close(1005, "ignored");
    assert_eq!(Client(client).receive().await, Some((CLOSE, vec![])));
}

#[tokio::test]
async fn a_dropped_socket_takes_its_queue_off_the_gauge() {
    let (server, _client) = narrow_loopback().await;
    until_writable(&server).await;
    let (socket, counts) = socket(server, Limits::default());
    for _ in 0..300 {
        assert_eq!(socket.push(&Frame::text(&"x".repeat(3000))), Pushed::Queued);
        socket.flush();
    }
    assert_eq!(counts.queued.load(Ordering::Relaxed), socket.bytes_queued() as i64);
    assert!(socket.bytes_queued() > 0);
    drop(socket);
    assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
}
