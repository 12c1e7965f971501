//! The worker processes of a run, as one set of subscribers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;

use crate::progress::Progress;
use crate::protocol::{Command, Finished, OpenPlan, Opened, Reply};
use crate::role::{self, Role};
use crate::target::Target;
use crate::{latency, pusher};

/// Sockets that one worker may hold, below the limit of 20,000 files that is common for a process.
const CONNECTIONS_PER_WORKER_MAX: u32 = 16_000;

/// Connections that one source address can hold to one server: the kernel's default range has 28,232 ports.
const CONNECTIONS_PER_ADDRESS_MAX: u32 = 20_000;

/// How long a worker may take for a command that does not say itself how long it takes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How to open the subscribers of a run.
#[derive(Debug, Clone)]
pub(crate) struct Subscribers {
    /// Connections in all.
    pub(crate) count: u32,
    /// Connection `i` subscribes to channel `i % channels`.
    pub(crate) channels: u32,
    /// Channel names are this, a dash and a number.
    pub(crate) channel_prefix: String,
    /// Connections started per second; 0 is as fast as `in_flight_max` allows.
    pub(crate) rate_per_s: f64,
    /// Connections that may be opening at once.
    pub(crate) in_flight_max: u32,
    /// When an attempt is given up.
    pub(crate) timeout: Duration,
    /// Source addresses to connect from, 127.0.0.2 and up; 0 takes as many as are needed.
    pub(crate) source_addresses: u8,
}

/// What came of opening the subscribers, over all workers.
pub(crate) struct OpenedAll {
    /// Sums over the workers; the elapsed time is the longest.
    pub(crate) sums: Opened,
    /// From scheduled start to subscription.
    pub(crate) latency_us: Histogram<u64>,
    /// CPU time of the busiest worker.
    pub(crate) cpu_ns_max: u64,
}

/// What was received, over all workers.
pub(crate) struct FinishedAll {
    /// Sums over the workers; the last receipt is the latest.
    pub(crate) sums: Finished,
    /// From scheduled send to receipt.
    pub(crate) latency_us: Histogram<u64>,
    /// CPU time of the busiest worker.
    pub(crate) cpu_ns_max: u64,
}

/// Worker processes; dropping it ends them.
pub(crate) struct Fleet {
    workers: Vec<Worker>,
}

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<Reply>,
    seen: Arc<Seen>,
}

/// The last progress a worker told.
#[derive(Default)]
struct Seen {
    subscribed: AtomicU32,
    received: AtomicU64,
}

impl Fleet {
    /// Starts enough workers for `connections`, or `workers` if it is not 0.
    ///
    /// # Errors
    /// If this program can't be started again.
    pub(crate) fn start(connections: u32, workers: u32) -> anyhow::Result<Self> {
        let least = connections.div_ceil(CONNECTIONS_PER_WORKER_MAX).max(1);
        let workers = (0..workers.max(least)).map(|_| Worker::start()).collect::<anyhow::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Opens all subscribers that are not open.
    ///
    /// # Errors
    /// If a worker fails; a connection that fails is reported, not an error.
    pub(crate) fn open(
        &mut self,
        target: &Target,
        plan: &Subscribers,
        progress: &Progress,
    ) -> anyhow::Result<OpenedAll> {
        let workers = self.workers.len() as u32;
        let source_addresses = match (plan.source_addresses, plan.count) {
            (0, 0..=CONNECTIONS_PER_ADDRESS_MAX) => 0,
            (0, many) => many.div_ceil(CONNECTIONS_PER_ADDRESS_MAX).min(200) as u8,
            (asked, _) => asked,
        };
        let endpoint = &target.websocket;
        let upgrade = pusher::upgrade_request(&endpoint.host, &endpoint.prefix, &target.key);
        let upgrade = String::from_utf8(upgrade).context("the key is not text")?;
        let mut first = 0;
        for (index, worker) in (0..).zip(&mut self.workers) {
            let count = plan.count / workers + u32::from(index < plan.count % workers);
            worker.send(&Command::Open(OpenPlan {
                address: endpoint.address,
                upgrade: upgrade.clone(),
                channel_prefix: plan.channel_prefix.clone(),
                channels: plan.channels,
                first,
                count,
                rate_per_s: plan.rate_per_s / f64::from(workers),
                in_flight_max: plan.in_flight_max.div_ceil(workers),
                timeout_ms: plan.timeout.as_millis() as u64,
                source_addresses,
            }))?;
            first += count;
        }
        let mut all = OpenedAll { sums: Opened::default(), latency_us: latency::histogram(), cpu_ns_max: 0 };
        let report = || progress.tell(&format!("{} of {} subscribed", self.subscribed(), plan.count));
        for worker in &self.workers {
            // Each attempt has its own deadline, so a worker that still tells progress is not stuck.
            let Reply::Opened(opened) = worker.answer(Duration::from_secs(3600), &report)? else {
                bail!("a worker answered something else than it was asked");
            };
            all.add(opened);
        }
        Ok(all)
    }

    /// Forgets earlier messages; from now on those of `run` count.
    ///
    /// # Errors
    /// If a worker is gone.
    pub(crate) fn begin(&mut self, run: u32, lanes: u16) -> anyhow::Result<()> {
        self.command(&Command::Begin { run, lanes })?;
        for worker in &self.workers {
            worker.seen.received.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Closes every connection with a reset.
    ///
    /// # Errors
    /// If a worker is gone.
    pub(crate) fn close(&mut self) -> anyhow::Result<()> {
        self.command(&Command::Close)
    }

    /// Waits for the messages on their way, up to `grace`, and collects what was received.
    ///
    /// # Errors
    /// If a worker is gone.
    pub(crate) fn finish(&mut self, expected: &[Vec<u32>], grace: Duration) -> anyhow::Result<FinishedAll> {
        let command = Command::Finish { expected: expected.to_vec(), grace_ms: grace.as_millis() as u64 };
        for worker in &mut self.workers {
            worker.send(&command)?;
        }
        let mut all =
            FinishedAll { sums: Finished::default(), latency_us: latency::histogram(), cpu_ns_max: 0 };
        for worker in &self.workers {
            let Reply::Finished(finished) = worker.answer(grace + ANSWER_TIMEOUT, &|| {})? else {
                bail!("a worker answered something else than it was asked");
            };
            all.add(*finished);
        }
        Ok(all)
    }

    /// Connections that are subscribed, as last told.
    pub(crate) fn subscribed(&self) -> u32 {
        self.workers.iter().map(|worker| worker.seen.subscribed.load(Ordering::Relaxed)).sum()
    }

    /// Messages received in this run, as last told.
    pub(crate) fn received(&self) -> u64 {
        self.workers.iter().map(|worker| worker.seen.received.load(Ordering::Relaxed)).sum()
    }

    fn command(&mut self, command: &Command) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            worker.send(command)?;
        }
        for worker in &self.workers {
            let Reply::Done = worker.answer(ANSWER_TIMEOUT, &|| {})? else {
                bail!("a worker answered something else than it was asked");
            };
        }
        Ok(())
    }
}

impl Worker {
    /// Starts a worker and a thread that takes its replies.
    fn start() -> anyhow::Result<Self> {
        let mut child = role::start(Role::Worker, Stdio::piped())?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("the worker has no standard output")?;
        let seen = Arc::new(Seen::default());
        let told = Arc::clone(&seen);
        let (sender, replies) = sync_channel(4);
        std::thread::Builder::new().name("bench-worker-replies".to_owned()).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(Reply::Progress { subscribed, received }) => {
                        told.subscribed.store(subscribed, Ordering::Relaxed);
                        told.received.store(received, Ordering::Relaxed);
                    }
                    // Once the driver is gone there is nobody to tell.
                    Ok(reply) => {
                        if sender.send(reply).is_err() {
                            return;
                        }
                    }
                    // Not a reply: the driver sees the end of the channel.
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self { child, input, replies, seen })
    }

    fn send(&mut self, command: &Command) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let input = self.input.as_mut().context("the worker was told to end")?;
        input.write_all(&line).and_then(|()| input.flush()).context("a worker process ended early")
    }

    /// Waits for the answer to the last command, and calls `meanwhile` now and then.
    fn answer(&self, timeout: Duration, meanwhile: &dyn Fn()) -> anyhow::Result<Reply> {
        let started = Instant::now();
        loop {
            match self.replies.recv_timeout(Duration::from_millis(200)) {
                Ok(Reply::Failed { error }) => bail!("a worker failed: {error}"),
                Ok(reply) => return Ok(reply),
                Err(RecvTimeoutError::Timeout) if started.elapsed() < timeout => meanwhile(),
                Err(RecvTimeoutError::Timeout) => bail!("a worker gave no answer in {timeout:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("a worker process ended early"),
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.input = None;
        // It may be in the middle of a command; nothing it holds is worth waiting for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OpenedAll {
    fn add(&mut self, opened: Opened) {
        let sums = &mut self.sums;
        sums.subscribed += opened.subscribed;
        sums.elapsed_ns = sums.elapsed_ns.max(opened.elapsed_ns);
        sums.cpu_ns += opened.cpu_ns;
        self.cpu_ns_max = self.cpu_ns_max.max(opened.cpu_ns);
        merge(&mut sums.failures, opened.failures);
        opened.latency_us.add_to(&mut self.latency_us);
    }

    /// Attempts that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.sums.failures.values().sum()
    }
}

impl FinishedAll {
    fn add(&mut self, finished: Finished) {
        let sums = &mut self.sums;
        sums.received += finished.received;
        sums.missing += finished.missing;
        sums.duplicates += finished.duplicates;
        sums.reordered += finished.reordered;
        sums.stale += finished.stale;
        sums.pings += finished.pings;
        sums.reads += finished.reads;
        sums.cpu_ns += finished.cpu_ns;
        sums.run_delay_ns += finished.run_delay_ns;
        sums.last_receive_ns = sums.last_receive_ns.max(finished.last_receive_ns);
        self.cpu_ns_max = self.cpu_ns_max.max(finished.cpu_ns);
        merge(&mut sums.lost, finished.lost);
        merge(&mut sums.server_errors, finished.server_errors);
        finished.latency_us.add_to(&mut self.latency_us);
    }
}

fn merge(into: &mut std::collections::BTreeMap<String, u64>, from: std::collections::BTreeMap<String, u64>) {
    for (reason, count) in from {
        *into.entry(reason).or_default() += count;
    }
}
