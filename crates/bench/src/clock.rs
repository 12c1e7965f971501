//! One clock for every process of a run.
//!
//! Send times travel inside the payload, so sender and receiver must read the same clock. On one machine
//! `CLOCK_MONOTONIC` is the same in every process and never jumps.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds on `CLOCK_MONOTONIC`.
#[inline]
pub(crate) fn now_ns() -> u64 {
    to_ns(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds of CPU time, user and system, that this process has used.
pub(crate) fn own_cpu_ns() -> u64 {
    to_ns(clock_gettime(ClockId::ProcessCPUTime))
}

/// A duration in nanoseconds as the kernel takes it.
pub(crate) fn timespec(ns: u64) -> Timespec {
    // A clock value in seconds always fits: 2^64 ns are 584 years.
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

fn to_ns(t: Timespec) -> u64 {
    (t.tv_sec.max(0) as u64) * 1_000_000_000 + t.tv_nsec.max(0) as u64
}
