//! CPU time over a stretch of a run: the server's, the generator's, and everybody else's.

use serde::Serialize;

use crate::clock;
use crate::proc::{self, MachineSample, ProcessSample};
use crate::server::Server;

/// A generator process that uses more of a core than this may have been the limit.
const GENERATOR_SHARE_MAX: f64 = 0.9;

/// Load of other programs, in cores, above which figures are doubtful.
const OTHERS_MAX: f64 = 0.25;

/// The start of a stretch.
pub(super) struct Meter {
    started_ns: u64,
    server: ProcessSample,
    machine: MachineSample,
    own_cpu_ns: u64,
    own_delay_ns: u64,
}

/// Who used how much CPU time in a stretch.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Costs {
    /// Its length.
    pub(super) window_s: f64,
    /// The server's CPU time; 0 if its process is not known.
    pub(super) server_cpu_s: f64,
    /// Time that threads of the server were ready to run and had no core.
    pub(super) server_run_delay_s: f64,
    /// CPU time of this program, workers included.
    pub(super) generator_cpu_s: f64,
    /// Time that threads of this program were ready to run and had no core.
    pub(super) generator_run_delay_s: f64,
    /// The largest share of a core that one process of this program used.
    pub(super) generator_core_share_max: f64,
    /// Cores that other programs and the kernel's own work kept busy, on average.
    pub(super) others_cores: f64,
}

/// CPU time of the workers in a stretch, as they report it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WorkerTimes {
    /// Of all of them.
    pub(super) cpu_ns: u64,
    /// Of the busiest.
    pub(super) cpu_ns_max: u64,
    /// Waiting for a core.
    pub(super) run_delay_ns: u64,
}

impl Meter {
    /// Begins a stretch.
    pub(super) fn start(server: &Server) -> Self {
        Self {
            server: server.sample(),
            machine: MachineSample::now(),
            own_cpu_ns: clock::own_cpu_ns(),
            own_delay_ns: proc::run_delay_ns(std::process::id()),
            started_ns: clock::now_ns(),
        }
    }

    /// Ends it.
    pub(super) fn stop(&self, server: &Server, workers: WorkerTimes) -> Costs {
        let window_s = (clock::now_ns() - self.started_ns).max(1) as f64 / 1e9;
        let sample = server.sample();
        let own_cpu_ns = clock::own_cpu_ns() - self.own_cpu_ns;
        let own_delay_ns = proc::run_delay_ns(std::process::id()).saturating_sub(self.own_delay_ns);
        let server_cpu_s = sample.cpu_ns.saturating_sub(self.server.cpu_ns) as f64 / 1e9;
        let generator_cpu_s = (own_cpu_ns + workers.cpu_ns) as f64 / 1e9;
        let busy_s = MachineSample::now().busy_ns.saturating_sub(self.machine.busy_ns) as f64 / 1e9;
        Costs {
            window_s,
            server_cpu_s,
            server_run_delay_s: sample.run_delay_ns.saturating_sub(self.server.run_delay_ns) as f64 / 1e9,
            generator_cpu_s,
            generator_run_delay_s: (own_delay_ns + workers.run_delay_ns) as f64 / 1e9,
            generator_core_share_max: own_cpu_ns.max(workers.cpu_ns_max) as f64 / 1e9 / window_s,
            others_cores: ((busy_s - server_cpu_s - generator_cpu_s) / window_s).max(0.0),
        }
    }
}

impl Costs {
    /// The server's CPU time divided by `count`, in microseconds.
    pub(super) fn server_us_per(&self, count: u64) -> f64 {
        self.server_cpu_s * 1e6 / count.max(1) as f64
    }

    /// What casts doubt on figures of this stretch.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.generator_core_share_max > GENERATOR_SHARE_MAX {
            notes.push(format!(
                "the load generator used {:.0} % of a core: it may be the limit, not the server",
                self.generator_core_share_max * 100.0
            ));
        }
        if self.others_cores > OTHERS_MAX && self.server_cpu_s > 0.0 {
            notes.push(format!(
                "other programs kept {:.1} cores busy: compare ratios only",
                self.others_cores
            ));
        }
        notes
    }

    /// The stretch in one cell.
    pub(super) fn cell(&self) -> String {
        format!(
            "server {:.2} cores, generator {:.2} (busiest {:.2}), others {:.2}; waits for a core: server {:.2} s, generator {:.2} s",
            self.server_cpu_s / self.window_s,
            self.generator_cpu_s / self.window_s,
            self.generator_core_share_max,
            self.others_cores,
            self.server_run_delay_s,
            self.generator_run_delay_s
        )
    }
}
