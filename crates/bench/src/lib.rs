//! An open-loop load generator for servers that speak the Pusher protocol.
//!
//! It answers what a server costs and sustains: memory per idle connection, fan-out, publishing, connection storms.
//! What makes its figures worth reading:
//!
//! - **Open loop.** Every message has a time at which it is due. Latency is receipt minus *due*, not minus sent, so a
//!   stall of the server (or of this program) is in the figures of all messages that it delayed.
//! - **Everything is checked.** Each message says its run, its publisher and its number. Lost, repeated and
//!   reordered messages fail the run.
//! - **It tells on itself.** Its own CPU time, its waits for a core and the load of the rest of the machine are in
//!   every report, with a note when they may have shaped the result.
//!
//! A run is one driver process, which publishes over HTTP, and worker processes, which hold the subscribers. All of
//! them use one thread, epoll, and one read buffer; see [`run`].
//!
//! | module | what it is |
//! |---|---|
//! | `args` | the command line |
//! | `modes` | what is measured, one file each, and the report |
//! | `search` | finding the highest sustained rate |
//! | `role`, `fleet`, `protocol`, `worker` | the processes of a run: the driver's side, the pipe, the workers' side |
//! | `publisher` | HTTP publishing on a schedule |
//! | `pusher`, `frame`, `stamp`, `ledger` | the wire: messages, framing, the identity of a message, what has come |
//! | `sink` | the least that a server can do: the ceiling of machine and generator, and a server with faults to order |
//! | `server`, `proc`, `affinity` | the server's process, `/proc`, cores |
//! | `clock`, `latency`, `poller`, `progress`, `target` | the rest |

mod affinity;
mod args;
mod clock;
mod fleet;
mod frame;
mod latency;
mod ledger;
mod modes;
mod poller;
mod proc;
mod progress;
mod protocol;
mod publisher;
mod pusher;
mod role;
mod search;
mod server;
mod sink;
mod stamp;
mod target;
mod worker;

pub use self::args::BenchArgs;

/// Measures what `args` say, prints a table to standard output and progress to standard error.
///
/// Starts this program again, with the arguments it was started with, for each worker: a caller must come here
/// without side effects, and must not have a runtime of its own on this thread.
///
/// # Errors
/// If the run could not be made, or a message was lost, repeated or reordered.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    match (role::own()?, &args.mode) {
        (Some(role::Role::Worker), _) => worker::run(),
        (Some(role::Role::Guard(server)), _) => role::guard(server),
        (None, args::Mode::Sink(sink)) => sink::run(sink),
        (None, _) => modes::run(&args),
    }
}
