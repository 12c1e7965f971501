//! A worker process: thousands of subscribers in one thread.
//!
//! Workers are processes, not threads, because a process may hold a limited number of sockets. A worker does
//! what the driver writes to its standard input and answers on its standard output.

mod connection;
mod open;
mod tally;

use std::collections::VecDeque;
use std::io::{self, Write};

use anyhow::Context;

use self::connection::{Connection, Progress};
use self::tally::Tally;
use crate::poller::{Interest, Poller};
use crate::protocol::{Command, Finished, OpenPlan, Reply};
use crate::{clock, proc};

/// Read buffer shared by all connections: holds a socket's usual backlog in one read.
const READ_BYTES: usize = 256 * 1024;

/// The token of standard input; connections have their index.
const STDIN: u64 = u64::MAX;

/// How often the driver is told of progress.
const PROGRESS_NS: u64 = 200_000_000;

/// How often silent connections are looked for; a fraction of the shortest time-out that a server may ask for.
const KEEP_ALIVE_NS: u64 = 500_000_000;

/// Runs until the driver closes the pipe.
///
/// # Errors
/// If the driver can't be talked to. What goes wrong with the server is reported, not returned.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut worker = Worker::new()?;
    while let Some(command) = worker.next_command()? {
        let reply =
            worker.execute(command).unwrap_or_else(|error| Reply::Failed { error: format!("{error:#}") });
        send(&reply)?;
    }
    Ok(())
}

struct Worker {
    poller: Poller,
    ready: Vec<u64>,
    buffer: Box<[u8]>,
    connections: Vec<Connection>,
    plan: Option<OpenPlan>,
    tally: Tally,
    subscribed: u32,
    commands: VecDeque<Command>,
    input: Vec<u8>,
    input_ended: bool,
    progress_due_ns: u64,
    keep_alive_due_ns: u64,
}

impl Worker {
    fn new() -> anyhow::Result<Self> {
        let poller = Poller::new()?;
        poller.add(io::stdin(), STDIN, Interest::Read).context("standard input can't be watched")?;
        Ok(Self {
            poller,
            ready: Vec::new(),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            connections: Vec::new(),
            plan: None,
            tally: Tally::new(0),
            subscribed: 0,
            commands: VecDeque::new(),
            input: Vec::new(),
            input_ended: false,
            progress_due_ns: 0,
            keep_alive_due_ns: 0,
        })
    }

    /// Serves the connections until there is a command; `None` once the driver is gone.
    fn next_command(&mut self) -> anyhow::Result<Option<Command>> {
        loop {
            if let Some(command) = self.commands.pop_front() {
                return Ok(Some(command));
            }
            if self.input_ended {
                return Ok(None);
            }
            self.turn(PROGRESS_NS)?;
            self.report_progress()?;
        }
    }

    fn execute(&mut self, command: Command) -> anyhow::Result<Reply> {
        match command {
            Command::Open(plan) => Ok(Reply::Opened(self.open(plan)?)),
            Command::Begin { run, lanes } => {
                for connection in &mut self.connections {
                    connection.begin(lanes);
                }
                self.tally = Tally::new(run);
                Ok(Reply::Done)
            }
            Command::Finish { expected, grace_ms } => {
                Ok(Reply::Finished(Box::new(self.finish(&expected, grace_ms)?)))
            }
            Command::Close => {
                self.connections.clear();
                self.plan = None;
                self.subscribed = 0;
                Ok(Reply::Done)
            }
        }
    }

    /// Waits until everything expected has come, or nothing more can be hoped for.
    fn finish(&mut self, expected: &[Vec<u32>], grace_ms: u64) -> anyhow::Result<Finished> {
        let deadline = clock::now_ns() + grace_ms * 1_000_000;
        let total: u64 = (0..self.connections.len()).map(|index| self.expected_of(index, expected)).sum();
        while self.tally.received() < total && clock::now_ns() < deadline && !self.input_ended {
            self.turn(10_000_000)?;
            self.report_progress()?;
        }
        let missing = (0..self.connections.len())
            .map(|index| match (self.channel_of(index), &self.connections[index]) {
                (Some(channel), connection) => {
                    connection.missing(expected.get(channel).map_or(&[][..], Vec::as_slice))
                }
                (None, _) => 0,
            })
            .sum();
        Ok(self.tally.finish(missing))
    }

    fn channel_of(&self, index: usize) -> Option<usize> {
        let plan = self.plan.as_ref()?;
        Some((plan.first as usize + index) % (plan.channels.max(1) as usize))
    }

    fn expected_of(&self, index: usize, expected: &[Vec<u32>]) -> u64 {
        let lanes = self.channel_of(index).and_then(|channel| expected.get(channel));
        lanes.map_or(0, |lanes| lanes.iter().copied().map(u64::from).sum())
    }

    /// Waits up to `timeout_ns` for something to happen and handles all that has.
    fn turn(&mut self, timeout_ns: u64) -> anyhow::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        self.poller.wait(timeout_ns, &mut ready)?;
        for &token in &ready {
            if token == STDIN {
                self.read_input()?;
            } else if let Some(index) =
                usize::try_from(token).ok().filter(|index| *index < self.connections.len())
            {
                self.serve(index);
            }
        }
        self.ready = ready;
        self.keep_alive(clock::now_ns());
        Ok(())
    }

    fn serve(&mut self, index: usize) {
        let Some(plan) = &self.plan else { return };
        let connection = &mut self.connections[index];
        let progress = connection.on_ready(&mut self.buffer, &self.poller, plan, &mut self.tally);
        self.book(progress);
    }

    fn book(&mut self, progress: Progress) {
        match progress {
            Progress::None => {}
            Progress::Subscribed => self.subscribed += 1,
            Progress::Lost { was_subscribed } => self.subscribed -= u32::from(was_subscribed),
        }
    }

    /// Pings silent servers. A look at all connections now and then is cheaper than a timer for each.
    fn keep_alive(&mut self, now: u64) {
        if now < self.keep_alive_due_ns {
            return;
        }
        self.keep_alive_due_ns = now + KEEP_ALIVE_NS;
        for index in 0..self.connections.len() {
            let progress = self.connections[index].keep_alive(now, &mut self.tally);
            self.book(progress);
        }
    }

    fn read_input(&mut self) -> anyhow::Result<()> {
        let mut chunk = [0; 64 * 1024];
        let bytes = match rustix::io::read(io::stdin(), &mut chunk) {
            Ok(bytes) => bytes,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error).context("the driver's commands can't be read"),
        };
        self.input_ended |= bytes == 0;
        self.input.extend_from_slice(&chunk[..bytes]);
        while let Some(end) = memchr::memchr(b'\n', &self.input) {
            let command =
                serde_json::from_slice(&self.input[..end]).context("the driver sent an unknown command")?;
            self.commands.push_back(command);
            self.input.drain(..=end);
        }
        Ok(())
    }

    fn report_progress(&mut self) -> anyhow::Result<()> {
        let now = clock::now_ns();
        if now < self.progress_due_ns {
            return Ok(());
        }
        self.progress_due_ns = now + PROGRESS_NS;
        send(&Reply::Progress { subscribed: self.subscribed, received: self.tally.received() })
    }
}

fn send(reply: &Reply) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("the driver can't be answered")
}

/// CPU time and time spent waiting for a core, of this process so far.
fn own_times() -> (u64, u64) {
    (clock::own_cpu_ns(), proc::run_delay_ns(std::process::id()))
}
