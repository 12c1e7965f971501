//! What the kernel tells about processes and itself, read from `/proc`.
//!
//! Everything here is best effort: a figure that can't be read is 0 or absent, and never fails a run.

use std::fs;

use serde::Serialize;

/// Memory and time of a process.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct ProcessSample {
    /// User and system time, including the receiving side's share of loopback traffic that it sends.
    pub(crate) cpu_ns: u64,
    /// Time its threads were ready to run and had no core.
    pub(crate) run_delay_ns: u64,
    /// Resident memory, in KiB.
    pub(crate) rss_kib: u64,
    /// Resident memory with shared pages divided among their users, in KiB; absent without permission.
    pub(crate) pss_kib: Option<u64>,
    /// The highest resident memory so far, in KiB.
    pub(crate) rss_peak_kib: u64,
    /// Threads.
    pub(crate) threads: u64,
}

impl ProcessSample {
    /// Reads the process `pid`.
    pub(crate) fn of(pid: u32) -> Self {
        let status = read(&format!("/proc/{pid}/status"));
        let rollup = read(&format!("/proc/{pid}/smaps_rollup"));
        Self {
            cpu_ns: cpu_ns(&read(&format!("/proc/{pid}/stat"))),
            run_delay_ns: run_delay_ns(pid),
            rss_kib: field(&status, "VmRSS:").unwrap_or(0),
            pss_kib: field(&rollup, "Pss:"),
            rss_peak_kib: field(&status, "VmHWM:").unwrap_or(0),
            threads: field(&status, "Threads:").unwrap_or(0),
        }
    }
}

/// Memory that connections cost outside any process, and the load of the whole machine.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct MachineSample {
    /// Kernel memory in slabs, in KiB.
    pub(crate) slab_kib: u64,
    /// Pages of socket buffers held by TCP.
    pub(crate) tcp_pages: u64,
    /// TCP sockets in use.
    pub(crate) tcp_sockets: u64,
    /// Time that all cores were busy, interrupts included.
    pub(crate) busy_ns: u64,
}

impl MachineSample {
    /// Reads the machine as it is now.
    pub(crate) fn now() -> Self {
        let sockets = read("/proc/net/sockstat");
        let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap_or("");
        let after = |name: &str| {
            let mut words = tcp.split_whitespace().skip_while(|word| *word != name);
            words.nth(1).and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        Self {
            slab_kib: field(&read("/proc/meminfo"), "Slab:").unwrap_or(0),
            tcp_pages: after("mem"),
            tcp_sockets: after("inuse"),
            busy_ns: busy_ns(&read("/proc/stat")),
        }
    }
}

/// Time that the threads of `pid` were ready to run and had no core.
pub(crate) fn run_delay_ns(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    threads
        .flatten()
        .filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

/// What the machine is, for the head of a report.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    memory_mib: u64,
}

impl Machine {
    /// Reads the machine's description.
    pub(crate) fn describe() -> Self {
        let cpus = read("/proc/cpuinfo");
        let model = cpus.lines().find(|line| line.starts_with("model name"));
        Self {
            cpu: model
                .and_then(|line| line.split_once(": "))
                .map_or_else(String::new, |(_, name)| name.to_owned()),
            cores: cpus.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            memory_mib: field(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0) / 1024,
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time from `/proc/PID/stat`. The name in the second field may hold spaces and brackets.
fn cpu_ns(stat: &str) -> u64 {
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0 };
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks_to_ns(ticks)
}

/// All time that is not idle nor waiting for disks, from `/proc/stat`.
fn busy_ns(stat: &str) -> u64 {
    let all = stat.lines().next().unwrap_or("").split_whitespace().skip(1);
    // user nice system idle iowait irq softirq; steal is somebody else's time.
    let busy = all.take(7).enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
    ticks_to_ns(busy.filter_map(|(_, ticks)| ticks.parse::<u64>().ok()).sum())
}

fn ticks_to_ns(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_a_hostile_process_name() {
        let stat = "42 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0";
        assert_eq!(cpu_ns(stat), ticks_to_ns(42));
        assert_eq!(cpu_ns("nonsense"), 0);
    }

    #[test]
    fn busy_time_leaves_out_idle_and_iowait() {
        assert_eq!(busy_ns("cpu  1 2 4 1000 1000 8 16 555 0 0\ncpu0 9 9"), ticks_to_ns(31));
    }

    #[test]
    fn own_process_can_be_read() {
        let own = ProcessSample::of(std::process::id());
        assert!(own.rss_kib > 100 && own.threads >= 1, "{own:?}");
        assert!(MachineSample::now().slab_kib > 0);
    }
}
