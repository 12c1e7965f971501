//! The end of a connection: what is queued is written, the peer is heard out, the stream is ended in order.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, timeout_at};

use super::inbound::{Ending, Inbound, Next};
use crate::{Closed, Socket, scratch};

/// What is read, for nothing, after this side has ended its direction. A stream that is dropped with bytes unread
/// is reset, and a reset can overtake the close frame; but no peer may keep a connection for ever by sending.
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// Closes until `deadline`, then abandons what is left.
pub(super) async fn finish(
    socket: &Socket,
    mut inbound: Inbound,
    ending: Ending,
    deadline: Instant,
) -> Closed {
    let mut peer_has_closed = ending != Ending::Server;
    let close = async {
        poll_fn(|cx| poll_close_frames(cx, socket, &mut inbound, &mut peer_has_closed)).await;
        poll_fn(|cx| poll_shutdown_write(cx, socket)).await.is_ok() && drain(socket).await
    };
    if !timeout_at(deadline, close).await.unwrap_or(false) {
        socket.transport().abandon();
    }
    socket.closed()
}

/// Waits until this side's close frame is written and the peer's is here. Messages of the peer no longer count.
fn poll_close_frames(
    cx: &mut Context<'_>,
    socket: &Socket,
    inbound: &mut Inbound,
    peer_has_closed: &mut bool,
) -> Poll<()> {
    while !*peer_has_closed {
        match inbound.next(socket) {
            Next::Text(_) | Next::Binary(_) | Next::Handled => {}
            Next::Wait => match socket.transport().poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_shutting_down)) => *peer_has_closed = true,
                Poll::Pending => break,
            },
            Next::Yield => {
                cx.waker().wake_by_ref();
                break;
            }
            Next::End(_) => *peer_has_closed = true,
        }
    }
    inbound.release();
    ready!(socket.poll_written(cx));
    if *peer_has_closed || socket.has_ended() { Poll::Ready(()) } else { Poll::Pending }
}

fn poll_shutdown_write(cx: &mut Context<'_>, socket: &Socket) -> Poll<io::Result<()>> {
    loop {
        match socket.transport().try_shutdown_write() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(socket.transport().poll_write_ready(cx))?;
            }
            done_or_broken => return Poll::Ready(done_or_broken),
        }
    }
}

/// Reads to the end of the stream; answers whether that came in time.
async fn drain(socket: &Socket) -> bool {
    let mut drained = 0;
    while drained <= DRAIN_BYTES_MAX {
        let mut buffer = scratch::take();
        let read = socket.transport().try_read(&mut buffer);
        scratch::give(buffer);
        match read {
            Ok(0) => return true,
            Ok(read) => drained += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if poll_fn(|cx| socket.transport().poll_read_ready(cx)).await.is_err() {
                    return false;
                }
            }
            Err(_broken) => return true,
        }
    }
    false
}
