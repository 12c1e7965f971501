//! The figures that every Prometheus client exposes of its own process, read from Linux' `/proc`.
//!
//! Own code instead of the prometheus crate's collector, which lists `/proc/self/fd`: with 100,000 sockets that
//! takes tens of milliseconds, for a number that the kernel tells in one `stat`.

use std::fs;

use super::Metrics;

/// Processor times in `/proc` count in ticks of USER_HZ, which is 100 on every architecture that Rust's Linux
/// targets support (proc_pid_stat(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads all figures. What can't be read, on another system or with `/proc` hidden, stays as it is.
pub(super) fn refresh(metrics: &Metrics) {
    if let Ok(stat) = fs::read_to_string("/proc/self/stat")
        && let Some(times) = Times::parse(&stat)
    {
        let more = times.cpu_seconds - metrics.process_cpu_seconds.get();
        if more > 0.0 {
            metrics.process_cpu_seconds.inc_by(more);
        }
        if metrics.process_start_time_seconds.get() == 0 {
            let booted = fs::read_to_string("/proc/stat").ok().and_then(|stat| field(&stat, "btime"));
            metrics.process_start_time_seconds.set(booted.unwrap_or(0) + times.started_after_boot_seconds);
        }
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        set(&metrics.process_resident_memory_bytes, field(&status, "VmRSS:").map(|kib| kib * 1024));
        set(&metrics.process_virtual_memory_bytes, field(&status, "VmSize:").map(|kib| kib * 1024));
        set(&metrics.process_threads, field(&status, "Threads:"));
    }
    if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().next());
        set(&metrics.process_max_fds, soft.map(|soft| soft.parse().unwrap_or(-1)));
    }
    set(&metrics.process_open_fds, open_fds());
}

/// What `/proc/self/stat` tells of time.
#[derive(Debug, PartialEq)]
pub(super) struct Times {
    pub(super) cpu_seconds: f64,
    pub(super) started_after_boot_seconds: i64,
}

impl Times {
    /// The second field, the program's name, may hold blanks and parentheses; fields are counted after its end.
    pub(super) fn parse(stat: &str) -> Option<Self> {
        let after_name = &stat[stat.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // The first of these is field 3 in the manual: utime is 14, stime 15, starttime 22.
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            started_after_boot_seconds: (ticks(22)? / TICKS_PER_SECOND) as i64,
        })
    }
}

/// Since Linux 6.2 the size of the directory is the number of open descriptors; before, it is zero.
fn open_fds() -> Option<i64> {
    let known = fs::metadata("/proc/self/fd").ok()?.len();
    if known > 0 {
        return i64::try_from(known).ok();
    }
    // One of them is the listing itself.
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    i64::try_from(listed.saturating_sub(1)).ok()
}

/// The number that follows `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn set(gauge: &prometheus::IntGauge, value: Option<i64>) {
    if let Some(value) = value {
        gauge.set(value);
    }
}
