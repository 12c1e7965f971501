//! The least that a server of this protocol can do: one thread, one frame built per message, one write per
//! subscriber. No authentication, no limits, no liveness.
//!
//! It is two things. Measured by the generator it gives the ceiling of the machine for un-batched delivery, below
//! which the generator is not the limit. And it can be told to make faults, by which the tests see that a run
//! notices them. Nobody else should connect to it: it computes no `Sec-WebSocket-Accept`.

mod client;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, bail};
use socket2::{Domain, Protocol, Socket, Type};

use self::client::{Client, Request};
use crate::affinity;
use crate::args::{Fault, SinkArgs};
use crate::poller::{Interest, Poller};

/// The token of the listening socket; clients have their index.
const LISTENER: u64 = u64::MAX;

/// One delivery of so many is subject to the fault.
const FAULT_EVERY: u64 = 50;

/// Serves until it is killed.
pub(crate) fn run(args: &SinkArgs) -> anyhow::Result<()> {
    affinity::raise_file_limit();
    if !args.listen.ip().is_loopback() {
        bail!("{} is not a loopback address; the sink lets everybody do everything", args.listen);
    }
    let listener = listen(args.listen).with_context(|| format!("{} can't be listened on", args.listen))?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    let mut sink = Sink {
        poller: Poller::new()?,
        clients: Vec::new(),
        free: Vec::new(),
        channels: HashMap::new(),
        fault: args.fault,
        deliveries: 0,
        held: Vec::new(),
    };
    sink.poller.add(&listener, LISTENER, Interest::Read)?;
    let mut ready = Vec::new();
    loop {
        ready.clear();
        sink.poller.wait(1_000_000_000, &mut ready)?;
        for &token in &ready {
            if token == LISTENER {
                sink.accept(&listener)?;
            } else {
                sink.serve(token as usize);
            }
        }
    }
}

/// Listens with room for a storm: the standard library's 128 waiting connections are too few for one.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

struct Sink {
    poller: Poller,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    /// Subscribers by channel.
    channels: HashMap<String, Vec<usize>>,
    fault: Fault,
    deliveries: u64,
    /// Frames that wait for the next one to pass them.
    held: Vec<(usize, Vec<u8>)>,
}

impl Sink {
    fn accept(&mut self, listener: &TcpListener) -> anyhow::Result<()> {
        loop {
            let (stream, _) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("no more connections can be accepted"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or(self.clients.len());
            self.poller.add(&stream, index as u64, Interest::Read)?;
            let client = Some(Client::new(stream));
            match self.clients.get_mut(index) {
                Some(slot) => *slot = client,
                None => self.clients.push(client),
            }
        }
    }

    fn serve(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) else { return };
        let mut requests = Vec::new();
        let mut result = client.on_ready(&self.poller, index as u64, &mut requests);
        for request in requests {
            match request {
                Request::Subscribe(channel) => {
                    let answer = format!(
                        r#"{{"event":"pusher_internal:subscription_succeeded","channel":"{channel}","data":"{{}}"}}"#
                    );
                    self.channels.entry(channel).or_default().push(index);
                    result = result.and_then(|()| self.write(index, &client::text_frame(&answer)));
                }
                Request::Publish(events) => {
                    let refused = self.fault == Fault::Refuse && self.is_faulty();
                    let answer = if refused { client::REFUSED } else { client::ACCEPTED };
                    result = result.and_then(|()| self.write(index, answer));
                    if !refused {
                        events.iter().for_each(|event| self.deliver(event));
                    }
                }
            }
        }
        if result.is_err() {
            self.close(index);
        }
    }

    fn deliver(&mut self, event: &client::Event) {
        let frame = client::text_frame(&event.to_message());
        for subscriber in self.channels.get(&event.channel).cloned().unwrap_or_default() {
            let mut copies = 1;
            if !matches!(self.fault, Fault::None | Fault::Refuse) && self.is_faulty() {
                match self.fault {
                    Fault::Lose => copies = 0,
                    Fault::Repeat => copies = 2,
                    Fault::Reorder => {
                        self.held.push((subscriber, frame.clone()));
                        continue;
                    }
                    Fault::Disconnect => {
                        self.close(subscriber);
                        continue;
                    }
                    Fault::None | Fault::Refuse => {}
                }
            }
            for _ in 0..copies {
                if self.write(subscriber, &frame).is_err() {
                    self.close(subscriber);
                }
            }
            if let Some(position) = self.held.iter().position(|(held_for, _)| *held_for == subscriber) {
                let (_, held) = self.held.swap_remove(position);
                let _ = self.write(subscriber, &held);
            }
        }
    }

    fn is_faulty(&mut self) -> bool {
        self.deliveries += 1;
        self.deliveries.is_multiple_of(FAULT_EVERY)
    }

    fn write(&mut self, index: usize, bytes: &[u8]) -> Result<(), client::Gone> {
        match self.clients.get_mut(index).and_then(Option::as_mut) {
            Some(client) => client.write(bytes, &self.poller, index as u64),
            None => Ok(()),
        }
    }

    fn close(&mut self, index: usize) {
        if self.clients.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
            for subscribers in self.channels.values_mut() {
                subscribers.retain(|subscriber| *subscriber != index);
            }
            self.held.retain(|(subscriber, _)| *subscriber != index);
        }
    }
}
