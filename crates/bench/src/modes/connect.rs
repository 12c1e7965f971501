//! A storm of new connections, as after a restart.

use serde::Serialize;

use super::Session;
use super::costs::{Costs, Meter, WorkerTimes};
use super::report::{Table, latency_cell};
use crate::args::ConnectArgs;
use crate::fleet::Fleet;
use crate::latency::Quantiles;

/// How a storm went.
#[derive(Debug, Serialize)]
struct Storm {
    connections: u32,
    subscribed: u32,
    failed: u64,
    /// Until the last was subscribed.
    elapsed_s: f64,
    /// Subscribed connections per second.
    connections_per_s: f64,
    /// From due to subscribed; without a rate a connection is due when it is its turn.
    latency: Quantiles,
    /// The server's CPU time for each connection.
    server_us_per_connection: f64,
    costs: Costs,
}

/// Opens all connections as fast as they come, or at a rate.
pub(super) fn run(session: &mut Session<'_>, args: &ConnectArgs) -> anyhow::Result<()> {
    let mut plan = session.subscribers(args.connections, args.channels);
    plan.rate_per_s = args.rate;
    plan.in_flight_max = args.in_flight.max(1);
    let mut fleet = Fleet::start(plan.count, session.common.workers)?;
    session.progress.part(&format!("opening {} connections", plan.count));
    let meter = Meter::start(&session.server);
    let opened = fleet.open(&session.target, &plan, &session.progress)?;
    let workers = WorkerTimes { cpu_ns: opened.sums.cpu_ns, cpu_ns_max: opened.cpu_ns_max, run_delay_ns: 0 };
    let costs = meter.stop(&session.server, workers);
    let elapsed_s = opened.sums.elapsed_ns as f64 / 1e9;
    let storm = Storm {
        connections: args.connections,
        subscribed: opened.sums.subscribed,
        failed: opened.failed(),
        elapsed_s,
        connections_per_s: f64::from(opened.sums.subscribed) / elapsed_s.max(1e-9),
        latency: Quantiles::of(&opened.latency_us),
        server_us_per_connection: costs.server_us_per(u64::from(opened.sums.subscribed)),
        costs,
    };
    session
        .report
        .fail(opened.sums.failures.iter().map(|(why, count)| format!("{count} connections failed: {why}")));
    session.report.note(costs.notes());
    session.report.add("connect", &format!("{} connections", args.connections), &storm)?;
    fleet.close()
}

impl Table for Storm {
    fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("connections/s", format!("{:.0}", self.connections_per_s)),
            (
                "all subscribed in",
                format!("{:.2} s ({} subscribed, {} failed)", self.elapsed_s, self.subscribed, self.failed),
            ),
            ("latency", latency_cell(&self.latency)),
            ("server CPU", format!("{:.1} us/connection", self.server_us_per_connection)),
            ("cores", self.costs.cell()),
        ]
    }
}
