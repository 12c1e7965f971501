//! The command line of `courant bench`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Measure a server that speaks the Pusher protocol.
///
/// Load is open loop: each message has a time at which it is due, and latency counts from then, so a server that
/// stalls can't hide it. Every expected message is checked for count, order and repetition; the run fails
/// otherwise. Exit status: 0 if all was well, 1 if not.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Mode {
    /// Memory and CPU time that idle connections cost
    Idle(IdleArgs),
    /// Delivery of messages to many subscribers
    Fanout(FanoutArgs),
    /// Requests of the HTTP API
    Publish(PublishArgs),
    /// A storm of new connections
    Connect(ConnectArgs),
    /// Serve, not measure: the least that a server can do, to show what this machine and this generator can reach
    Sink(SinkArgs),
}

/// What all modes share.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    /// Where WebSockets connect to
    #[arg(long, global = true, default_value = "ws://127.0.0.1:6001")]
    pub(crate) url: String,
    /// Where events are published; default: the same host and port
    #[arg(long, global = true)]
    pub(crate) http_url: Option<String>,
    /// The application's id
    #[arg(long, global = true, default_value = "1001")]
    pub(crate) app_id: String,
    /// The application's key
    #[arg(long, global = true, default_value = "courant-key")]
    pub(crate) key: String,
    /// The application's secret
    #[arg(long, global = true, default_value = "courant-secret", hide_default_value = true)]
    pub(crate) secret: String,
    /// The server's process, to read its memory and CPU time
    #[arg(long, global = true, conflicts_with = "server_cmd")]
    pub(crate) server_pid: Option<u32>,
    /// Start the server by this shell command, and end it with the run
    #[arg(long, global = true)]
    pub(crate) server_cmd: Option<String>,
    /// Where the output of the server goes that was started; default: nowhere
    #[arg(long, global = true, requires = "server_cmd")]
    pub(crate) server_log: Option<PathBuf>,
    /// Cores for the server that is started, as 0,2 or 0-3
    #[arg(long, global = true, requires = "server_cmd")]
    pub(crate) server_cpus: Option<String>,
    /// Cores for the load generator
    #[arg(long, global = true)]
    pub(crate) client_cpus: Option<String>,
    /// Worker processes; default: as few as hold the connections
    #[arg(long, global = true, default_value_t = 0, hide_default_value = true)]
    pub(crate) workers: u32,
    /// Connect from so many source addresses, 127.0.0.2 and up; default: as many as the ports need
    #[arg(long, global = true, default_value_t = 0, hide_default_value = true)]
    pub(crate) source_addresses: u8,
    /// Write the report as JSON to this file
    #[arg(long, global = true)]
    pub(crate) json: Option<PathBuf>,
    /// A name for the server in reports
    #[arg(long, global = true, default_value = "server")]
    pub(crate) label: String,
    /// Report lost, repeated and reordered messages without failing
    #[arg(long, global = true)]
    pub(crate) allow_loss: bool,
    /// Seconds that the last messages of a measurement may take, before they count as lost
    #[arg(long, global = true, default_value_t = 10.0)]
    pub(crate) grace: f64,
    /// Send load to a server on another machine, which is yours
    #[arg(long, global = true)]
    pub(crate) i_own_this_target: bool,
}

/// Idle connections.
#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArgs {
    /// Connections to open
    #[arg(long, default_value_t = 5000)]
    pub(crate) connections: u32,
    /// Channels they share; 0 gives each its own
    #[arg(long, default_value_t = 0)]
    pub(crate) channels: u32,
    /// Connections opened per second
    #[arg(long, default_value_t = 2000.0)]
    pub(crate) rate: f64,
    /// Seconds between the last connection and the reading of memory
    #[arg(long, default_value_t = 15.0)]
    pub(crate) settle: f64,
    /// Seconds over which idle CPU time is measured; long enough for the server's pings
    #[arg(long, default_value_t = 60.0)]
    pub(crate) window: f64,
}

/// Fan-out.
#[derive(Debug, Clone, Args)]
pub(crate) struct FanoutArgs {
    /// Subscribers in all
    #[arg(long, default_value_t = 1000)]
    pub(crate) subscribers: u32,
    /// Channels that they are spread over evenly
    #[arg(long, default_value_t = 1)]
    pub(crate) channels: u32,
    /// Publishes per second at a fixed rate; 0 leaves this part out
    #[arg(long, default_value_t = 10.0)]
    pub(crate) rate: f64,
    /// Search for the highest rate that the server sustains
    #[arg(long)]
    pub(crate) saturate: bool,
    /// Then measure at this share of it; 0 leaves this part out
    #[arg(long, default_value_t = 0.5, requires = "saturate")]
    pub(crate) fraction: f64,
    /// Where the search starts, in publishes per second
    #[arg(long, default_value_t = 20.0)]
    pub(crate) search_from: f64,
    /// Seconds of each step of the search
    #[arg(long, default_value_t = 3.0)]
    pub(crate) step: f64,
    /// A rate is sustained if p99 is below this, in milliseconds
    #[arg(long, default_value_t = 250.0)]
    pub(crate) p99_max: f64,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10.0)]
    pub(crate) duration: f64,
    #[command(flatten)]
    pub(crate) publishing: PublishingArgs,
}

/// How messages are published.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishingArgs {
    /// Publishing connections: requests that may wait for their answers at once
    #[arg(long, default_value_t = 16)]
    pub(crate) lanes: u16,
    /// Bytes of data in each message
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
}

/// Publishing.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArgs {
    /// Events in a request: 1 uses the single endpoint, up to 10 the batch endpoint
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) batch: u32,
    /// Channels published to in turn
    #[arg(long, default_value_t = 100)]
    pub(crate) channels: u32,
    /// Subscribers, on the first channels, that check what is delivered
    #[arg(long, default_value_t = 10)]
    pub(crate) subscribers: u32,
    /// Requests per second of the open-loop part; 0 takes half of the saturated rate
    #[arg(long, default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// Leave out the saturated part; needs --rate
    #[arg(long, requires = "rate")]
    pub(crate) no_saturate: bool,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10.0)]
    pub(crate) duration: f64,
    /// Publishing connections: requests that may wait for their answers at once
    #[arg(long, default_value_t = 32)]
    pub(crate) lanes: u16,
    /// Bytes of data in each message
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
}

/// A connection storm.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// Connections to open and subscribe
    #[arg(long, default_value_t = 5000)]
    pub(crate) connections: u32,
    /// Channels they share; 0 gives each its own
    #[arg(long, default_value_t = 0)]
    pub(crate) channels: u32,
    /// Connections due per second; 0 is as many as --in-flight allows
    #[arg(long, default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// Connections that may be opening at once
    #[arg(long, default_value_t = 256)]
    pub(crate) in_flight: u32,
}

/// The least that a server can do.
#[derive(Debug, Clone, Args)]
pub(crate) struct SinkArgs {
    /// Where to listen; port 0 takes a free one, which is printed
    #[arg(long, default_value = "127.0.0.1:6001")]
    pub(crate) listen: SocketAddr,
    /// Do this wrong now and then, to see that a run notices
    #[arg(long, value_enum, default_value_t = Fault::None)]
    pub(crate) fault: Fault,
}

/// What the sink does wrong with one delivery of fifty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Nothing
    None,
    /// It is not sent
    Lose,
    /// It is sent twice
    Repeat,
    /// It is sent after the next one
    Reorder,
    /// Its connection is closed
    Disconnect,
    /// The publish is refused
    Refuse,
}

/// A duration of the command line, in seconds.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
