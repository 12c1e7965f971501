//! The workers that hand messages to subscribers.

use std::sync::Arc;

use bytes::Bytes;
use courant_cluster::{Body, Message};
use courant_wire::Pushed;
use tokio::sync::mpsc;

use crate::hub::{Entry, Observer};
use crate::members::Member;

/// Messages that one pass takes together. Each subscriber's share of a pass is one write.
const BATCH_MESSAGES_MAX: usize = 64;

/// Subscribers served before other tasks of the runtime get a turn: at about 8 us for a write, half a millisecond.
const SLICE_SUBSCRIBERS: usize = 64;

/// A message for the subscribers of a topic.
pub(crate) struct Job {
    pub(crate) entry: Arc<Entry>,
    pub(crate) message: Message,
    /// Its place among the messages of the topic, from 1.
    pub(crate) number: u64,
}

/// Serves a worker's queue until the hub is gone.
pub(crate) async fn run(mut jobs: mpsc::Receiver<Job>, observer: Arc<dyn Observer>) {
    let mut batch = Vec::with_capacity(BATCH_MESSAGES_MAX);
    let mut slice = Vec::with_capacity(SLICE_SUBSCRIBERS);
    while jobs.recv_many(&mut batch, BATCH_MESSAGES_MAX).await > 0 {
        observer.waiting(-(batch.len() as i64));
        // Stable: the messages of one topic stay in order.
        batch.sort_by_key(|job| Arc::as_ptr(&job.entry) as usize);
        while let Some(first) = batch.first() {
            let entry = first.entry.clone();
            let count = batch.iter().take_while(|job| Arc::ptr_eq(&job.entry, &entry)).count();
            let jobs = batch.drain(..count).map(|job| (job.number, job.message));
            let (numbers, messages): (Vec<u64>, Vec<Message>) = jobs.unzip();
            fan_out(&entry, &numbers, &messages, &mut slice, &*observer).await;
        }
    }
}

async fn fan_out(
    entry: &Entry,
    numbers: &[u64],
    messages: &[Message],
    slice: &mut Vec<Member>,
    observer: &dyn Observer,
) {
    let _span = observer.fanout_starts(&entry.topic, messages, entry.members.lock().len());
    let mut next = Some(0);
    while let Some(start) = next {
        next = entry.members.lock().slice(start, SLICE_SUBSCRIBERS, slice);
        let mut deliveries = 0;
        for member in slice.drain(..) {
            deliveries += deliver(&member, numbers, messages);
        }
        observer.delivered(messages, deliveries);
        if next.is_some() {
            tokio::task::yield_now().await;
        }
    }
}

fn deliver(member: &Member, numbers: &[u64], messages: &[Message]) -> usize {
    let mut pushed = 0;
    for (number, message) in numbers.iter().zip(messages) {
        if *number <= member.since || message.except == Some(member.id) || member.skip == Some(message.id) {
            continue;
        }
        match &message.body {
            Body::Frame(frame) => match member.sink.push(frame) {
                Pushed::Queued => pushed += 1,
                // The sink has begun to close by itself, and the rest would not arrive either.
                Pushed::Overflow | Pushed::Closed => break,
            },
            Body::Close { code, reason } => member.sink.close(*code, text(reason)),
        }
    }
    if pushed > 0 {
        member.sink.flush();
    }
    pushed
}

fn text(reason: &Bytes) -> &str {
    std::str::from_utf8(reason).unwrap_or_default()
}
