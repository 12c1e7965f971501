//! The HTTP API: how many publishes, how fast.

use super::Session;
use super::trial::{Stretch, Trial, measure};
use crate::args::{PublishArgs, seconds};
use crate::fleet::Fleet;
use crate::publisher::{Pace, Publisher};
use crate::pusher;

/// Publishes as fast as possible, then open loop at half of that or at the rate asked for.
pub(super) fn run(session: &mut Session<'_>, args: &PublishArgs) -> anyhow::Result<()> {
    let channels = args.channels.max(1);
    let plan = session.subscribers(args.subscribers, channels);
    let mut fleet = Fleet::start(plan.count, session.common.workers)?;
    session.open_all(&mut fleet, &plan)?;
    let mut publisher = Publisher::new(&session.target, args.lanes, args.payload)?;
    let names: Vec<String> =
        (0..channels).map(|index| pusher::channel_name(&plan.channel_prefix, index)).collect();
    let stretch =
        |pace, duration| Stretch { pace, duration: seconds(duration), channels: &names, batch: args.batch };
    let what =
        if args.batch == 1 { "single events".to_owned() } else { format!("batches of {}", args.batch) };

    let mut rate = args.rate;
    if !args.no_saturate {
        session.progress.part("warming up");
        measure(session, &mut fleet, &mut publisher, &stretch(Pace::Saturated, 1.0))?;
        session.progress.part(&format!("publishing {what} as fast as possible"));
        let trial = measure(session, &mut fleet, &mut publisher, &stretch(Pace::Saturated, args.duration))?;
        conclude(session, "saturated", &format!("{what}, as fast as possible"), &trial)?;
        if rate <= 0.0 {
            rate = trial.accepted_per_s / 2.0;
        }
    }
    if rate > 0.0 {
        session.progress.part(&format!("publishing {what}, {rate:.0} requests/s"));
        let trial =
            measure(session, &mut fleet, &mut publisher, &stretch(Pace::PerSecond(rate), args.duration))?;
        conclude(session, "open_loop", &format!("{what}, {rate:.0} requests/s"), &trial)?;
    }
    fleet.close()
}

fn conclude(session: &mut Session<'_>, name: &str, title: &str, trial: &Trial) -> anyhow::Result<()> {
    session.report.fail(trial.failures().into_iter().map(|failure| format!("{name}: {failure}")));
    session.report.note(trial.notes());
    session.report.add(name, title, trial)
}
