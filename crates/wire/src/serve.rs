//! A connection's only task.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use crate::{Closed, Sink as _, Socket};
use closing::finish;
use inbound::{Ending, Inbound, Next};

mod closing;
mod inbound;

/// Who understands a client's messages.
///
/// Both methods must be quick: they run on the connection's task, and other connections wait. What has to wait
/// itself goes into [`Step::Pending`]. Frames that a handler pushes to the client's own socket are flushed when
/// the messages at hand are handled.
pub trait Handler: Send {
    /// The client sent a text message.
    fn text(&mut self, text: &str) -> Step<'_>;

    /// The client sent a binary message.
    fn binary(&mut self, data: &[u8]) -> Step<'_>;
}

/// How far the handling of a message got.
pub enum Step<'a> {
    /// To its end. Costs no allocation; what almost every message should do.
    Done,
    /// The rest has to wait for something. Until it is done nothing more is read from the client, which is
    /// back-pressure; its queue is written as before. The future is dropped unfinished only if the connection
    /// is closing and the time for that is over, or if the task itself is dropped.
    Pending(Pin<Box<dyn Future<Output = ()> + Send + 'a>>),
}

impl<H: Handler + ?Sized> Handler for &mut H {
    fn text(&mut self, text: &str) -> Step<'_> {
        (**self).text(text)
    }

    fn binary(&mut self, data: &[u8]) -> Step<'_> {
        (**self).binary(data)
    }
}

/// Serves a connection from the end of its handshake to the end of its stream, and answers how it ended.
///
/// `leftover` is what was read after the handshake. While it waits the future holds no buffer, and is small: its
/// size is the handler's and a few words. Dropping it ends the stream without a close.
pub async fn serve<H: Handler>(socket: Arc<Socket>, leftover: Bytes, mut handler: H) -> Closed {
    let served = Served(socket);
    let socket = &*served.0;
    let mut inbound = Inbound::new(&leftover);
    drop(leftover);
    let mut deadline = None;
    let ending = loop {
        let step = match inbound.next(socket) {
            Next::End(ending) => break ending,
            // Closed by another task, or by the handler just now.
            _ if !socket.is_open() => break Ending::Server,
            Next::Text(text) => handler.text(text),
            Next::Binary(data) => handler.binary(data),
            Next::Handled => continue,
            Next::Wait => {
                inbound.release();
                socket.flush();
                poll_fn(|cx| socket.poll_wait(cx)).await;
                continue;
            }
            Next::Yield => {
                inbound.release();
                socket.flush();
                yield_to_others(socket).await;
                continue;
            }
        };
        if let Step::Pending(future) = step {
            inbound.release();
            socket.flush();
            deadline = drive(socket, future).await;
        }
    };
    inbound.release();
    let deadline = deadline.unwrap_or_else(|| Instant::now() + socket.context().limits.close_timeout);
    // Boxed: every connection would carry the size of its end from its beginning.
    Box::pin(finish(socket, inbound, ending, deadline)).await
}

/// Lets the other tasks of this thread run; goes on with a stalled write, which a client that sends without
/// pause would otherwise keep from being polled.
async fn yield_to_others(socket: &Socket) {
    let mut yielded = false;
    poll_fn(|cx| {
        let _open = socket.poll_open(cx);
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Drives a message's future, and meanwhile the socket's writes. Where the socket closes before the end, answers
/// when the close must be over; at that time the future is given up.
async fn drive(
    socket: &Socket,
    mut future: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
) -> Option<Instant> {
    let mut closing: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|cx| {
        let is_open = socket.poll_open(cx);
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if is_open {
            return Poll::Pending;
        }
        let timeout = socket.context().limits.close_timeout;
        closing.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(cx)
    })
    .await;
    closing.map(|sleep| sleep.deadline())
}

/// Ends the stream when the task ends, however it does.
struct Served(Arc<Socket>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.disconnect();
    }
}

#[cfg(test)]
mod tests;
