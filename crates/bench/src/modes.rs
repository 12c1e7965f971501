//! What can be measured, and what all measurements share.

mod connect;
mod costs;
mod fanout;
mod idle;
mod publish;
mod report;
mod trial;

use std::time::Duration;

use anyhow::{Context, bail};

use self::report::Report;
use crate::affinity::{self, Cpus};
use crate::args::{BenchArgs, CommonArgs, Mode};
use crate::fleet::{Fleet, OpenedAll, Subscribers};
use crate::progress::Progress;
use crate::server::Server;
use crate::target::{Endpoint, Target};

/// How long one connection may take from connect to subscribed.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How many connections may be opening at once, where the opening itself is not what is measured.
const IN_FLIGHT_MAX: u32 = 128;

/// Connections opened per second, where the opening itself is not what is measured.
const OPEN_RATE_PER_S: f64 = 2000.0;

/// What a mode works with.
pub(crate) struct Session<'a> {
    common: &'a CommonArgs,
    target: Target,
    server: Server,
    progress: Progress,
    report: Report,
    runs: u32,
}

/// Makes the run that `args` ask for.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let common = &args.common;
    affinity::raise_file_limit();
    let target = target(common)?;
    let server_cpus = common.server_cpus.as_deref().map(Cpus::parse).transpose()?;
    let client_cpus = common.client_cpus.as_deref().map(Cpus::parse).transpose()?;
    let server = match (&common.server_cmd, common.server_pid) {
        (Some(command), _) => Server::start(
            command,
            common.server_log.as_deref(),
            server_cpus.as_ref(),
            target.websocket.address,
        )?,
        (None, Some(pid)) => Server::Attached(pid),
        (None, None) => Server::Unknown,
    };
    if let Some(cpus) = &client_cpus {
        affinity::swap(cpus)?;
    }
    let mut context =
        Session { common, target, server, progress: Progress::new(), report: Report::new(common), runs: 0 };
    match &args.mode {
        Mode::Idle(args) => idle::run(&mut context, args),
        Mode::Fanout(args) => fanout::run(&mut context, args),
        Mode::Publish(args) => publish::run(&mut context, args),
        Mode::Connect(args) => connect::run(&mut context, args),
        Mode::Sink(_) => bail!("the sink measures nothing"),
    }?;
    context.report.conclude(common)
}

fn target(common: &CommonArgs) -> anyhow::Result<Target> {
    let foreign_allowed = common.i_own_this_target;
    let websocket = Endpoint::parse(&common.url, "ws", foreign_allowed)?;
    let http_url = match &common.http_url {
        Some(url) => url.clone(),
        None => common.url.replacen("ws://", "http://", 1),
    };
    Ok(Target {
        websocket,
        http: Endpoint::parse(&http_url, "http", foreign_allowed)?,
        app_id: common.app_id.clone(),
        key: common.key.clone(),
        secret: common.secret.clone(),
    })
}

impl Session<'_> {
    /// Subscribers that are opened at a gentle rate, since what is measured comes after.
    fn subscribers(&self, count: u32, channels: u32) -> Subscribers {
        Subscribers {
            count,
            channels: if channels == 0 { count.max(1) } else { channels },
            // No two runs share a channel, even against the same server.
            channel_prefix: format!("bench-{:x}", std::process::id()),
            rate_per_s: OPEN_RATE_PER_S,
            in_flight_max: IN_FLIGHT_MAX,
            timeout: OPEN_TIMEOUT,
            source_addresses: self.common.source_addresses,
        }
    }

    /// Opens all of `plan`, or fails: without its subscribers a measurement means nothing.
    fn open_all(&self, fleet: &mut Fleet, plan: &Subscribers) -> anyhow::Result<OpenedAll> {
        let opened = fleet.open(&self.target, plan, &self.progress)?;
        if opened.sums.subscribed < plan.count {
            bail!(
                "{} of {} connections were subscribed: {:?}",
                opened.sums.subscribed,
                plan.count,
                opened.sums.failures
            );
        }
        Ok(opened)
    }

    /// A number that no earlier message of this process carries.
    fn next_run(&mut self) -> u32 {
        self.runs += 1;
        std::process::id() << 12 | self.runs & 0xfff
    }
}

/// Sleeps for `total` and says so.
fn wait(progress: &Progress, total: Duration, what: &str) {
    let started = std::time::Instant::now();
    while let Some(left) = total.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
        progress.tell(&format!("{what}: {:.0} s left", left.as_secs_f64()));
        std::thread::sleep(left.min(Duration::from_millis(200)));
    }
}

/// Writes `text` to `path`, and names the path if that fails.
fn write_file(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("the report can't be written to {}", path.display()))
}
