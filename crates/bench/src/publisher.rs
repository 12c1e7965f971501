//! Publishing over HTTP, open loop: each request has a time at which it is due, whatever became of those before.
//!
//! A *lane* is one keep-alive connection with at most one request under way. What one lane publishes, each
//! receiver must get in that order; lanes among each other promise nothing. A request that is due while all
//! lanes are busy waits, and its waiting counts as latency.

mod lane;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use self::lane::{Lane, Outcome};
use crate::poller::Poller;
use crate::pusher::{self, Event};
use crate::stamp::Stamp;
use crate::target::{Endpoint, Target};
use crate::{clock, latency};

/// How far ahead of now a schedule starts, so that its first request is not late already.
const LEAD_NS: u64 = 2_000_000;

/// The longest wait between two looks at the clock, for progress.
const TURN_NS_MAX: u64 = 100_000_000;

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// So many per second, evenly spaced. Latency counts from the schedule.
    PerSecond(f64),
    /// The next as soon as a lane is free. Latency is the service time and says nothing about a real load.
    Saturated,
}

/// A stretch of publishing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    /// Stamped on each message.
    pub(crate) run: u32,
    /// When requests are due.
    pub(crate) pace: Pace,
    /// How long requests are due for.
    pub(crate) duration: Duration,
    /// Channels, used in turn.
    pub(crate) channels: &'a [String],
    /// Events in a request: 1, or up to 10 at the batch endpoint.
    pub(crate) batch: u32,
    /// How long after the last due time answers are waited for.
    pub(crate) grace: Duration,
}

/// What was published.
pub(crate) struct Published {
    /// Requests that were due.
    pub(crate) due: u64,
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Requests that the server accepted.
    pub(crate) accepted: u64,
    /// Requests that failed, by reason.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Accepted messages by channel and lane.
    pub(crate) messages: Vec<Vec<u32>>,
    /// From due to answered.
    pub(crate) latency_us: Histogram<u64>,
    /// Requests that were due while all lanes were busy.
    pub(crate) waited: u64,
    /// From due to sent: how late the generator was, or how long lanes were busy.
    pub(crate) lag_us: Histogram<u64>,
    /// When the first request was due.
    pub(crate) started_ns: u64,
    /// When the last answer came.
    pub(crate) ended_ns: u64,
}

impl Published {
    /// Accepted messages.
    pub(crate) fn accepted_messages(&self) -> u64 {
        self.messages.iter().flatten().copied().map(u64::from).sum()
    }

    /// Requests that were due and never accepted.
    pub(crate) fn lost(&self) -> u64 {
        self.due - self.accepted
    }
}

/// The publishing side of a run.
pub(crate) struct Publisher {
    requests: pusher::Publisher,
    endpoint: Endpoint,
    poller: Poller,
    lanes: Vec<Lane>,
    /// Free lanes, the last used at the end: it is used first, so that at low rates all messages share a lane and
    /// the order of all of them is checked.
    idle: Vec<usize>,
}

impl Publisher {
    /// Makes `lanes` connections that open with their first request.
    ///
    /// # Errors
    /// If the kernel gives no epoll instance.
    pub(crate) fn new(target: &Target, lanes: u16, payload_bytes: usize) -> anyhow::Result<Self> {
        Ok(Self {
            requests: pusher::Publisher::new(target, payload_bytes)?,
            endpoint: target.http.clone(),
            poller: Poller::new()?,
            lanes: (0..lanes.max(1)).map(|_| Lane::default()).collect(),
            idle: (0..usize::from(lanes.max(1))).rev().collect(),
        })
    }

    /// How many lanes there are.
    pub(crate) fn lanes(&self) -> u16 {
        self.lanes.len() as u16
    }

    /// Publishes as `work` says, and calls `meanwhile` now and then with the number of requests sent.
    ///
    /// # Errors
    /// If the kernel fails; what the server does wrong is in the result.
    pub(crate) fn publish(
        &mut self,
        work: &Work<'_>,
        meanwhile: &mut dyn FnMut(u64),
    ) -> anyhow::Result<Published> {
        let mut session = Session::new(work, self.lanes.len());
        let give_up_ns = session.end_ns + work.grace.as_nanos() as u64;
        let mut ready = Vec::new();
        loop {
            // The clock is read for each, so that a server that refuses all of them does not keep this busy for ever.
            while let Some(&lane) = self.idle.last() {
                let Some(due_ns) = session.due_by(clock::now_ns()) else { break };
                self.idle.pop();
                self.send(&mut session, lane, due_ns);
            }
            let now = clock::now_ns();
            let all_sent = session.next_due(now).is_none();
            if (all_sent && self.idle.len() == self.lanes.len()) || now > give_up_ns {
                break;
            }
            ready.clear();
            self.poller.wait(session.wait_ns(now, !self.idle.is_empty()), &mut ready)?;
            for &token in &ready {
                self.serve(&mut session, token as usize);
            }
            meanwhile(session.published.sent);
        }
        self.abandon(&mut session);
        Ok(session.published)
    }

    fn send(&mut self, session: &mut Session<'_>, index: usize, due_ns: u64) {
        let Self { requests, endpoint, poller, lanes, idle } = self;
        let lane = &mut lanes[index];
        let channels = session.channels(index as u16, due_ns);
        let events: Vec<Event<'_>> = channels
            .iter()
            .map(|&(at, stamp)| Event { channel: &session.work.channels[at], stamp })
            .collect();
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        requests.append_request(lane.request(due_ns, channels.iter().map(|&(at, _)| at)), &events, unix_s);
        let result = lane.send(endpoint, poller, index as u64);
        session.published.sent += 1;
        session.published.waited += u64::from(lane.was_awaited());
        session.published.lag_us.saturating_record(clock::now_ns().saturating_sub(due_ns) / 1000);
        if let Err(error) = result {
            session.failed(error);
            lane.reset();
            idle.push(index);
        }
    }

    fn serve(&mut self, session: &mut Session<'_>, index: usize) {
        let lane = &mut self.lanes[index];
        match lane.on_ready(&self.poller, index as u64) {
            Outcome::Pending => return,
            Outcome::Accepted => session.accepted(index, lane.due_ns(), lane.channels()),
            Outcome::Failed(reason) => session.failed(reason),
            // A connection the server closed between two requests; the next request opens another.
            Outcome::Idle => return,
        }
        self.idle.push(index);
    }

    /// Gives up requests without an answer; their connections can't be used again.
    fn abandon(&mut self, session: &mut Session<'_>) {
        for index in 0..self.lanes.len() {
            if !self.idle.contains(&index) {
                session.failed("no answer in time".to_owned());
                self.lanes[index].reset();
                self.idle.push(index);
            }
        }
    }
}

/// The books of one call of [`Publisher::publish`].
struct Session<'a> {
    work: &'a Work<'a>,
    published: Published,
    /// Next sequence number by channel and lane.
    sequences: Vec<Vec<u32>>,
    next_channel: usize,
    end_ns: u64,
    due_total: u64,
}

impl<'a> Session<'a> {
    fn new(work: &'a Work<'a>, lanes: usize) -> Self {
        let started_ns = clock::now_ns() + LEAD_NS;
        let due_total = match work.pace {
            Pace::PerSecond(rate) => (rate * work.duration.as_secs_f64()).ceil().max(1.0) as u64,
            Pace::Saturated => u64::MAX,
        };
        Self {
            work,
            published: Published {
                due: if due_total == u64::MAX { 0 } else { due_total },
                sent: 0,
                accepted: 0,
                waited: 0,
                failures: BTreeMap::new(),
                messages: vec![vec![0; lanes]; work.channels.len()],
                latency_us: latency::histogram(),
                lag_us: latency::histogram(),
                started_ns,
                ended_ns: started_ns,
            },
            sequences: vec![vec![0; lanes]; work.channels.len()],
            next_channel: 0,
            end_ns: started_ns + work.duration.as_nanos() as u64,
            due_total,
        }
    }

    /// When the next request is due, if there is one.
    fn next_due(&self, now: u64) -> Option<u64> {
        match self.work.pace {
            Pace::PerSecond(rate) if self.published.sent < self.due_total => {
                Some(self.published.started_ns + (self.published.sent as f64 / rate * 1e9) as u64)
            }
            Pace::Saturated if now < self.end_ns => Some(now),
            _ => None,
        }
    }

    /// When the next request was due, if it should have been sent by `now`.
    fn due_by(&self, now: u64) -> Option<u64> {
        self.next_due(now).filter(|due| *due <= now)
    }

    /// How long to wait: with a free lane until the next request is due, without one until a lane is free.
    fn wait_ns(&self, now: u64, lane_is_idle: bool) -> u64 {
        match self.next_due(now) {
            Some(due) if lane_is_idle => due.saturating_sub(now).min(TURN_NS_MAX),
            _ => TURN_NS_MAX,
        }
    }

    /// The channels of the next request with their stamps; numbers are used up even if the request fails.
    fn channels(&mut self, lane: u16, due_ns: u64) -> Vec<(usize, Stamp)> {
        self.published.due = self.published.due.max(self.published.sent + 1);
        (0..self.work.batch.max(1))
            .map(|_| {
                let channel = self.next_channel;
                self.next_channel = (channel + 1) % self.work.channels.len();
                let sequence = &mut self.sequences[channel][usize::from(lane)];
                *sequence += 1;
                (channel, Stamp { run: self.work.run, lane, sequence: *sequence - 1, scheduled_ns: due_ns })
            })
            .collect()
    }

    fn accepted(&mut self, lane: usize, due_ns: u64, channels: &[usize]) {
        let now = clock::now_ns();
        self.published.accepted += 1;
        self.published.ended_ns = now;
        self.published.latency_us.saturating_record(now.saturating_sub(due_ns) / 1000);
        for &channel in channels {
            self.published.messages[channel][lane] += 1;
        }
    }

    fn failed(&mut self, reason: String) {
        *self.published.failures.entry(reason).or_default() += 1;
    }
}
