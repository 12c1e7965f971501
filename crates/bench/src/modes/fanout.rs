//! Delivery of each message to many subscribers.

use serde::Serialize;

use super::Session;
use super::report::Table;
use super::trial::{Stretch, Trial, measure};
use crate::args::{FanoutArgs, seconds};
use crate::fleet::{Fleet, Subscribers};
use crate::publisher::{Pace, Publisher};
use crate::pusher;
use crate::search::Search;

/// How often a rate that the search found is lowered until it holds for a whole measurement.
const STEPS_DOWN_MAX: u32 = 8;

/// One step of the search, for the record.
#[derive(Debug, Serialize)]
struct Step {
    offered_per_s: f64,
    deliveries_per_s: f64,
    p99_ms: f64,
    sustained: bool,
    failures: Vec<String>,
}

/// The steps of a search.
#[derive(Debug, Default, Serialize)]
struct Steps(Vec<Step>);

/// All that the parts of this mode work with.
struct Fanout<'s, 'a, 'c> {
    session: &'s mut Session<'c>,
    args: &'a FanoutArgs,
    plan: Subscribers,
    names: Vec<String>,
    fleet: Fleet,
    publisher: Publisher,
}

/// A fixed rate, then the highest sustained rate, then a share of it.
pub(super) fn run(session: &mut Session<'_>, args: &FanoutArgs) -> anyhow::Result<()> {
    let channels = args.channels.max(1);
    let plan = session.subscribers(args.subscribers, channels);
    let names = (0..channels).map(|index| pusher::channel_name(&plan.channel_prefix, index)).collect();
    let fleet = Fleet::start(plan.count, session.common.workers)?;
    let publisher = Publisher::new(&session.target, args.publishing.lanes, args.publishing.payload)?;
    let mut fanout = Fanout { session, args, plan, names, fleet, publisher };
    fanout.session.open_all(&mut fanout.fleet, &fanout.plan)?;

    fanout.session.progress.part("warming up");
    fanout.measure(args.search_from.min(args.rate.max(1.0)), 1.0)?;
    if args.rate > 0.0 {
        fanout.fixed("fixed_rate", args.rate)?;
    }
    if args.saturate
        && let Some(rate) = fanout.saturate()?
    {
        fanout.heal()?;
        if args.fraction > 0.0 {
            fanout.fixed("fraction", rate * args.fraction)?;
        }
    }
    fanout.fleet.close()
}

impl Fanout<'_, '_, '_> {
    fn measure(&mut self, rate: f64, duration_s: f64) -> anyhow::Result<Trial> {
        let stretch = Stretch {
            pace: Pace::PerSecond(rate),
            duration: seconds(duration_s),
            channels: &self.names,
            batch: 1,
        };
        measure(self.session, &mut self.fleet, &mut self.publisher, &stretch)
    }

    fn fixed(&mut self, name: &str, rate: f64) -> anyhow::Result<()> {
        let title = format!("{rate:.1} publishes/s to {}", self.audience());
        self.session.progress.part(&title);
        let trial = self.measure(rate, self.args.duration)?;
        self.session.report.fail(trial.failures().into_iter().map(|failure| format!("{name}: {failure}")));
        self.session.report.note(trial.notes());
        self.session.report.add(name, &title, &trial)
    }

    /// The highest rate that holds for a whole measurement, if any does.
    fn saturate(&mut self) -> anyhow::Result<Option<f64>> {
        self.session.progress.part("searching for the highest sustained rate");
        let mut search = Search::new(self.args.search_from);
        let mut steps = Steps::default();
        while let Some(rate) = search.next_rate() {
            let trial = self.measure(rate, self.args.step)?;
            search.tried(self.record(&mut steps, rate, &trial)?);
        }
        let mut held = None;
        let mut rate = search.sustained();
        for attempt in 0..STEPS_DOWN_MAX {
            let Some(candidate) = rate else { break };
            let trial = self.measure(candidate, self.args.duration)?;
            if self.record(&mut steps, candidate, &trial)? {
                held = Some((candidate, trial));
                break;
            }
            // As in the search, the first failure is forgiven.
            rate = Some(if attempt == 0 { candidate } else { Search::step_down(candidate) });
        }
        self.session.report.add("search", "search", &steps)?;
        let Some((rate, trial)) = held else {
            self.session.report.fail(["no rate was sustained".to_owned()]);
            return Ok(None);
        };
        self.session.report.note(trial.notes());
        let title =
            format!("highest sustained rate to {}, p99 under {} ms", self.audience(), self.args.p99_max);
        self.session.report.add("saturated", &title, &trial)?;
        Ok(Some(rate))
    }

    /// Enters a step, brings back what it broke, and says whether the rate was sustained.
    fn record(&mut self, steps: &mut Steps, rate: f64, trial: &Trial) -> anyhow::Result<bool> {
        let sustained = trial.is_sustained(self.args.p99_max);
        let verdict = if sustained { "sustained" } else { "not sustained" };
        self.session.progress.part(&format!(
            "  {rate:.1}/s: {:.0} deliveries/s, p99 {:.1} ms, {verdict}",
            trial.deliveries_per_s, trial.delivery.p99_ms
        ));
        // Overload may lose, never repeat or reorder: that fails the run whatever the rate.
        self.session
            .report
            .fail(trial.broken_promises().into_iter().map(|failure| format!("at {rate:.1}/s: {failure}")));
        steps.0.push(Step {
            offered_per_s: rate,
            deliveries_per_s: trial.deliveries_per_s,
            p99_ms: trial.delivery.p99_ms,
            sustained,
            failures: trial.failures(),
        });
        if !sustained {
            self.heal()?;
        }
        Ok(sustained)
    }

    /// Opens again what an overload closed, and lets the server take breath.
    fn heal(&mut self) -> anyhow::Result<()> {
        self.session.open_all(&mut self.fleet, &self.plan)?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        Ok(())
    }

    fn audience(&self) -> String {
        match self.names.len() {
            1 => format!("{} subscribers", self.plan.count),
            channels => format!("{} subscribers of {channels} channels", self.plan.count),
        }
    }
}

impl Table for Steps {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let row = |step: &Step| {
            format!(
                "{:>8.1} publishes/s  {:>9.0} deliveries/s  p99 {:>8.1} ms",
                step.offered_per_s, step.deliveries_per_s, step.p99_ms
            )
        };
        self.0.iter().map(|step| (if step.sustained { "sustained" } else { "exceeded" }, row(step))).collect()
    }
}
