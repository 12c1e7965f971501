//! What a connection costs that does nothing.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::costs::{Costs, Meter, WorkerTimes};
use super::report::Table;
use super::{Session, wait};
use crate::args::{IdleArgs, seconds};
use crate::fleet::Fleet;
use crate::proc::{MachineSample, ProcessSample};

/// What idle connections cost.
#[derive(Debug, Serialize)]
struct Idle {
    connections: u32,
    /// Of the server before the first connection and with all of them.
    before: ProcessSample,
    after: ProcessSample,
    /// Growth of the server's resident memory for each connection, in bytes.
    rss_bytes_per_connection: f64,
    /// The same with shared pages divided.
    pss_bytes_per_connection: Option<f64>,
    /// Growth of the kernel's slabs for each connection, both of its ends together, in bytes.
    slab_bytes_per_pair: f64,
    /// Growth of socket buffers for each connection, both ends, in bytes.
    socket_buffer_bytes_per_pair: f64,
    /// The server's CPU time for each connection and second, in microseconds.
    cpu_us_per_connection_s: f64,
    /// Pings answered in the window.
    pings: u64,
    costs: Costs,
}

/// Opens connections, lets them rest, and reads what they cost.
pub(super) fn run(session: &mut Session<'_>, args: &IdleArgs) -> anyhow::Result<()> {
    session
        .server
        .pid()
        .context("idle cost is read from the server's process: give --server-cmd or --server-pid")?;
    let mut plan = session.subscribers(args.connections, args.channels);
    plan.rate_per_s = args.rate;
    let mut fleet = Fleet::start(plan.count, session.common.workers)?;
    // What a server does once at its start should not count as the cost of connections.
    wait(&session.progress, Duration::from_secs(2), "before the first connection");
    let (before, machine_before) = (session.server.sample(), MachineSample::now());
    session.progress.part(&format!("opening {} connections", plan.count));
    session.open_all(&mut fleet, &plan)?;

    let run = session.next_run();
    fleet.begin(run, 0)?;
    wait(&session.progress, seconds(args.settle), "settling");
    let (after, machine_after) = (session.server.sample(), MachineSample::now());
    let meter = Meter::start(&session.server);
    wait(&session.progress, seconds(args.window), "measuring idle CPU time");
    let costs = meter.stop(&session.server, WorkerTimes::default());
    let finished = fleet.finish(&[], Duration::ZERO)?;

    let connections = f64::from(args.connections.max(1));
    let growth = |after: u64, before: u64, unit: f64| (after as f64 - before as f64) * unit / connections;
    let idle = Idle {
        connections: args.connections,
        rss_bytes_per_connection: growth(after.rss_kib, before.rss_kib, 1024.0),
        pss_bytes_per_connection: after.pss_kib.zip(before.pss_kib).map(|(a, b)| growth(a, b, 1024.0)),
        slab_bytes_per_pair: growth(machine_after.slab_kib, machine_before.slab_kib, 1024.0),
        socket_buffer_bytes_per_pair: growth(
            machine_after.tcp_pages,
            machine_before.tcp_pages,
            rustix::param::page_size() as f64,
        ),
        cpu_us_per_connection_s: costs.server_us_per(1) / connections / costs.window_s,
        pings: finished.sums.pings,
        before,
        after,
        costs,
    };
    session
        .report
        .fail(finished.sums.lost.iter().map(|(why, count)| format!("{count} idle connections ended: {why}")));
    session.report.add("idle", &format!("{} idle connections", args.connections), &idle)?;
    fleet.close()
}

impl Table for Idle {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let pss = self.pss_bytes_per_connection.map_or("unknown".to_owned(), |bytes| format!("{bytes:.0} B"));
        vec![
            ("RSS/connection", format!("{:.0} B", self.rss_bytes_per_connection)),
            ("PSS/connection", pss),
            ("RSS", format!("{} KiB before, {} KiB after", self.before.rss_kib, self.after.rss_kib)),
            (
                "kernel/connection",
                format!(
                    "{:.0} B of slabs, {:.0} B of socket buffers (both ends)",
                    self.slab_bytes_per_pair, self.socket_buffer_bytes_per_pair
                ),
            ),
            (
                "idle CPU",
                format!("{:.3} us/s per connection, {} pings", self.cpu_us_per_connection_s, self.pings),
            ),
            ("cores", self.costs.cell()),
        ]
    }
}
