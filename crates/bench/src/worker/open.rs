//! Opening connections at a rate, each with a deadline.

use std::collections::VecDeque;

use super::connection::Phase;
use super::{Worker, clock, tally};
use crate::latency;
use crate::protocol::{Counts, OpenPlan, Opened};

impl Worker {
    /// Opens every connection of `plan` that is not open, and waits until each is subscribed or has failed.
    pub(super) fn open(&mut self, plan: OpenPlan) -> anyhow::Result<Opened> {
        if self.connections.len() != plan.count as usize {
            self.connections = (plan.first..plan.first + plan.count).map(super::Connection::new).collect();
            self.subscribed = 0;
        }
        let closed = |index: &usize| self.connections[*index].phase() == Phase::Closed;
        let waiting: Vec<usize> = (0..self.connections.len()).filter(closed).collect();
        self.plan = Some(plan.clone());

        let (started, cpu_started) = (clock::now_ns(), clock::own_cpu_ns());
        let mut opened = Opened::default();
        let mut latency_us = latency::histogram();
        let mut next = 0;
        let mut in_flight = VecDeque::new();
        let mut last_subscribed = started;
        while next < waiting.len() || !in_flight.is_empty() {
            while let Some(&index) = waiting.get(next) {
                let now = clock::now_ns();
                let due = due_ns(&plan, next, started, now);
                if due > now || in_flight.len() >= plan.in_flight_max as usize {
                    break;
                }
                self.connections[index].start(&plan, &self.poller, index as u64, due);
                in_flight.push_back((index, now + plan.timeout_ms * 1_000_000));
                next += 1;
            }
            self.turn(1_000_000)?;
            self.report_progress()?;
            if self.input_ended {
                break;
            }
            let now = clock::now_ns();
            in_flight.retain(|&(index, deadline)| {
                let connection = &mut self.connections[index];
                match connection.phase() {
                    Phase::Subscribed => {
                        latency_us.saturating_record(connection.opening_ns() / 1000);
                        last_subscribed = now;
                        return false;
                    }
                    Phase::Closed => {}
                    _ if now < deadline => return true,
                    phase => {
                        connection.close(&format!("no answer in time while {phase:?}"));
                    }
                }
                let reason = connection.take_failure().unwrap_or_else(|| "ended".to_owned());
                tally::count(&mut opened.failures, reason);
                false
            });
        }
        Ok(Opened {
            subscribed: self.subscribed,
            latency_us: Counts::of(&latency_us),
            elapsed_ns: last_subscribed - started,
            cpu_ns: clock::own_cpu_ns() - cpu_started,
            ..opened
        })
    }
}

/// When the attempt number `position` is due: by the rate, or as soon as it is its turn.
fn due_ns(plan: &OpenPlan, position: usize, started: u64, now: u64) -> u64 {
    if plan.rate_per_s <= 0.0 {
        return now;
    }
    started + (position as f64 / plan.rate_per_s * 1e9) as u64
}
