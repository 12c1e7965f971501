//! What is going on, for a debug page.

use super::Dispatcher;
use crate::{DeadLetter, EndpointStats, Stats};

impl Dispatcher {
    /// The figures of this moment.
    pub(crate) fn stats(&self) -> Stats {
        let mut endpoints: Vec<EndpointStats> = self
            .registry
            .endpoints()
            .filter_map(|(app, endpoint)| {
                let lane = self.lanes.get(&endpoint.number)?;
                Some(EndpointStats {
                    app: app.id.to_string(),
                    url: endpoint.config.url.to_string(),
                    queued: lane.events,
                    queued_bytes: lane.bytes,
                    in_flight: lane.in_flight,
                    delivered: lane.delivered,
                    failed: lane.failed,
                    failures_in_a_row: lane.failures_in_a_row,
                    last_failure: lane.last_failure.clone(),
                })
            })
            .collect();
        endpoints.sort_by(|a, b| (&a.app, &a.url).cmp(&(&b.app, &b.url)));
        Stats {
            queued: self.admission.events(),
            queued_bytes: self.admission.bytes(),
            announced: self.ledger.spans.len(),
            in_grace: self.ledger.spans.unsettled(),
            dead_letters: self.ledger.dead.len(),
            is_journal_failing: false,
            endpoints,
        }
    }

    /// The dead letters, the newest first.
    pub(crate) fn dead_letters(&self, letters_max: usize) -> Vec<DeadLetter> {
        let skipped = self.ledger.dead.len().saturating_sub(letters_max);
        let mut letters: Vec<_> = self.ledger.dead.iter().skip(skipped).cloned().collect();
        letters.reverse();
        letters
    }
}
