//! One subscriber: connect, upgrade, subscribe, receive.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::tally::Tally;
use crate::clock;
use crate::frame::{self, Frame};
use crate::ledger::Ledger;
use crate::poller::{Interest, Poller};
use crate::protocol::OpenPlan;
use crate::pusher::{self, Control};

/// The longest head of an HTTP answer to an upgrade, in bytes.
const HEAD_BYTES_MAX: usize = 8192;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or ended.
    Closed,
    /// Waiting for TCP.
    Connecting,
    /// Waiting for the answer to the upgrade.
    Upgrading,
    /// Waiting for `connection_established`.
    Greeting,
    /// Waiting for `subscription_succeeded`.
    Subscribing,
    /// Receiving.
    Subscribed,
}

/// What an event changed for the worker's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing.
    None,
    /// The subscription is in force.
    Subscribed,
    /// The connection ended.
    Lost {
        /// Whether it had been subscribed.
        was_subscribed: bool,
    },
}

/// A subscriber and what it has received.
pub(super) struct Connection {
    index: u32,
    phase: Phase,
    socket: Option<Socket>,
    /// Bytes of a frame that has not wholly come. Empty, and without memory, for almost all at almost any time.
    partial: Vec<u8>,
    lanes: Box<[Ledger]>,
    /// When it was due to start, while it opens.
    scheduled_ns: u64,
    /// When it was subscribed.
    subscribed_ns: u64,
    /// When the server was last heard, or asked.
    active_ns: u64,
    /// After how much silence it is asked.
    silence_ns_max: u64,
    /// Why it ended.
    failure: Option<String>,
}

impl Connection {
    /// Connection number `index` of the run, not started.
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            phase: Phase::Closed,
            socket: None,
            partial: Vec::new(),
            lanes: Box::default(),
            scheduled_ns: 0,
            subscribed_ns: 0,
            active_ns: 0,
            silence_ns_max: u64::MAX,
            failure: None,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// From the scheduled start to the subscription.
    pub(super) fn opening_ns(&self) -> u64 {
        self.subscribed_ns.saturating_sub(self.scheduled_ns)
    }

    /// Why the last attempt ended, once.
    pub(super) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Forgets what was received.
    pub(super) fn begin(&mut self, lanes: u16) {
        self.lanes = vec![Ledger::default(); usize::from(lanes)].into_boxed_slice();
    }

    /// How many of the messages published, by lane, have not come.
    pub(super) fn missing(&self, expected: &[u32]) -> u64 {
        let received = |lane: usize| self.lanes.get(lane).map_or(0, Ledger::received);
        expected.iter().enumerate().map(|(lane, count)| u64::from(count.saturating_sub(received(lane)))).sum()
    }

    /// Starts to connect. The time that counts from is `scheduled_ns`, when it was due.
    pub(super) fn start(&mut self, plan: &OpenPlan, poller: &Poller, token: u64, scheduled_ns: u64) {
        self.scheduled_ns = scheduled_ns;
        self.partial = Vec::new();
        self.failure = None;
        match connect(plan, self.index) {
            Ok(socket) => match poller.add(&socket, token, Interest::Write) {
                Ok(()) => {
                    self.socket = Some(socket);
                    self.phase = Phase::Connecting;
                }
                Err(error) => self.failure = Some(format!("epoll: {error}")),
            },
            Err(error) => self.failure = Some(format!("connect: {error}")),
        }
    }

    /// Ends the connection for `reason`.
    pub(super) fn close(&mut self, reason: &str) -> Progress {
        let was_subscribed = self.phase == Phase::Subscribed;
        self.phase = Phase::Closed;
        self.socket = None;
        self.partial = Vec::new();
        self.failure = Some(reason.to_owned());
        Progress::Lost { was_subscribed }
    }

    /// Handles a socket that is ready, and tells what changed.
    pub(super) fn on_ready(
        &mut self,
        buffer: &mut [u8],
        poller: &Poller,
        plan: &OpenPlan,
        tally: &mut Tally,
    ) -> Progress {
        let before = self.phase;
        let result = match before {
            Phase::Closed => Ok(()),
            Phase::Connecting => self.on_connected(poller, plan),
            _ => self.on_readable(buffer, plan, tally),
        };
        match result {
            Ok(()) if self.phase == Phase::Subscribed && before != Phase::Subscribed => Progress::Subscribed,
            Ok(()) => Progress::None,
            Err(reason) => {
                if before == Phase::Subscribed {
                    tally.lost(reason.clone());
                }
                // It may have become subscribed in the same read; the books hold only what was before.
                self.phase = before;
                self.close(&reason)
            }
        }
    }

    /// Pings a server that has been silent for as long as the protocol allows, as its official clients do.
    pub(super) fn keep_alive(&mut self, now: u64, tally: &mut Tally) -> Progress {
        if self.phase != Phase::Subscribed || now.saturating_sub(self.active_ns) < self.silence_ns_max {
            return Progress::None;
        }
        self.active_ns = now;
        let mut out = Vec::new();
        pusher::append_ping(&mut out);
        match self.write(&out) {
            Ok(()) => Progress::None,
            Err(reason) => {
                tally.lost(reason.clone());
                self.close(&reason)
            }
        }
    }

    fn on_connected(&mut self, poller: &Poller, plan: &OpenPlan) -> Result<(), String> {
        let Some(socket) = &self.socket else { return Ok(()) };
        match socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Err(format!("connect: {error}")),
        }
        write_whole(socket, plan.upgrade.as_bytes())?;
        let token = u64::from(self.index - plan.first);
        poller.modify(socket, token, Interest::Read).map_err(|error| format!("epoll: {error}"))?;
        self.phase = Phase::Upgrading;
        Ok(())
    }

    fn on_readable(&mut self, buffer: &mut [u8], plan: &OpenPlan, tally: &mut Tally) -> Result<(), String> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let kept = self.partial.len();
        let Some(space) = buffer.get_mut(kept..).filter(|space| !space.is_empty()) else {
            return Err(format!("a message of more than {kept} bytes"));
        };
        let read = match rustix::io::read(socket, space) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(format!("read: {error}")),
        };
        let now = clock::now_ns();
        self.active_ns = now;
        buffer[..kept].copy_from_slice(&self.partial);
        self.partial.clear();
        let mut rest = &buffer[..kept + read];
        if self.phase == Phase::Upgrading {
            match take_head(rest)? {
                Some(length) => rest = &rest[length..],
                None => {
                    self.partial.extend_from_slice(rest);
                    return Ok(());
                }
            }
            self.phase = Phase::Greeting;
        }
        tally.read();
        while let Some((frame, length)) = frame::parse(rest).map_err(|error| error.to_string())? {
            self.on_frame(frame, plan, tally, now)?;
            rest = &rest[length..];
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    fn on_frame(
        &mut self,
        frame: Frame<'_>,
        plan: &OpenPlan,
        tally: &mut Tally,
        now: u64,
    ) -> Result<(), String> {
        match frame {
            Frame::Text(text) => match tally.stamp(text) {
                Some(stamp) if tally.is_current(&stamp) => {
                    if let Some(ledger) = self.lanes.get_mut(usize::from(stamp.lane)) {
                        tally.arrived(ledger.enter(stamp.sequence), &stamp, now);
                    }
                    Ok(())
                }
                Some(_) => Ok(()),
                None => self.on_control(text, plan, tally, now),
            },
            Frame::Ping(payload) => {
                tally.ping();
                let mut out = Vec::with_capacity(payload.len() + 14);
                frame::append_pong(&mut out, payload);
                self.write(&out)
            }
            Frame::Pong => Ok(()),
            Frame::Close(Some(code)) => Err(format!("closed with {code}")),
            Frame::Close(None) => Err("closed without a code".to_owned()),
        }
    }

    fn on_control(
        &mut self,
        text: &[u8],
        plan: &OpenPlan,
        tally: &mut Tally,
        now: u64,
    ) -> Result<(), String> {
        let mut out = Vec::new();
        match (pusher::control(text), self.phase) {
            (Control::Established, Phase::Greeting) => {
                self.silence_ns_max = pusher::activity_timeout_s(text) * 1_000_000_000;
                let channel = self.index % plan.channels.max(1);
                pusher::append_subscribe(&mut out, &pusher::channel_name(&plan.channel_prefix, channel));
                self.phase = Phase::Subscribing;
                self.write(&out)
            }
            (Control::Subscribed, Phase::Subscribing) => {
                self.phase = Phase::Subscribed;
                self.subscribed_ns = now;
                Ok(())
            }
            (Control::Ping, _) => {
                tally.ping();
                pusher::append_pong(&mut out);
                self.write(&out)
            }
            (Control::Error, Phase::Subscribed) => {
                tally.server_error(text);
                Ok(())
            }
            (Control::Error, _) => Err(String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned()),
            _ => Ok(()),
        }
    }

    fn write(&self, bytes: &[u8]) -> Result<(), String> {
        self.socket.as_ref().map_or(Ok(()), |socket| write_whole(socket, bytes))
    }
}

/// A socket that is connecting, and will reset the connection when it is closed: a run of thousands must not
/// leave as many ports in TIME_WAIT for the next.
fn connect(plan: &OpenPlan, index: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(plan.address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    if plan.source_addresses > 0 && plan.address.is_ipv4() {
        let host = 2 + (index % u32::from(plan.source_addresses)) as u8;
        socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), 0).into())?;
    }
    match socket.connect(&plan.address.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket),
    }
}

/// What a client writes is short, so a socket that can't take it whole has stopped being read.
fn write_whole(socket: &Socket, bytes: &[u8]) -> Result<(), String> {
    match rustix::io::write(socket, bytes) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) | Err(Errno::AGAIN) => Err("the server does not read".to_owned()),
        Err(error) => Err(format!("write: {error}")),
    }
}

/// The length of the answer to the upgrade, once it is whole.
fn take_head(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return match bytes.len() {
            0..HEAD_BYTES_MAX => Ok(None),
            _ => Err("the answer to the upgrade does not end".to_owned()),
        };
    };
    match bytes.starts_with(b"HTTP/1.1 101") {
        true => Ok(Some(end + 4)),
        false => Err(format!(
            "refused: {}",
            String::from_utf8_lossy(&bytes[..end.min(60)]).lines().next().unwrap_or("")
        )),
    }
}
