//! Which cores a process may use, and how many files it may open.

use anyhow::{Context, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A set of cores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cpus(Vec<usize>);

impl Cpus {
    /// Reads a list like `0,2-3`.
    ///
    /// # Errors
    /// If it is not one, or names a core past the 1,023rd.
    pub(crate) fn parse(list: &str) -> anyhow::Result<Self> {
        let number = |text: &str| match text.trim().parse() {
            Ok(cpu) if cpu < CpuSet::MAX_CPU => Ok(cpu),
            _ => bail!("{list:?} is not a list of cores like 0,2-3"),
        };
        let mut cpus = Vec::new();
        for part in list.split(',') {
            match part.split_once('-') {
                Some((first, last)) => cpus.extend(number(first)?..=number(last)?),
                None => cpus.push(number(part)?),
            }
        }
        if cpus.is_empty() {
            bail!("{list:?} names no core");
        }
        Ok(Self(cpus))
    }
}

/// Moves this thread, and the processes it starts, to `cpus`; returns where it was.
///
/// # Errors
/// If none of them is there.
pub(crate) fn swap(cpus: &Cpus) -> anyhow::Result<Cpus> {
    let before = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    cpus.0.iter().for_each(|&cpu| set.set(cpu));
    sched_setaffinity(None, &set).with_context(|| format!("the cores {:?} can't be used", cpus.0))?;
    Ok(Cpus((0..CpuSet::MAX_CPU).filter(|&cpu| before.is_set(cpu)).collect()))
}

/// Raises the number of files that this process and those it starts may open as far as it goes.
pub(crate) fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Too low a limit shows as connections that fail, with their reason.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(Cpus::parse("0").unwrap(), Cpus(vec![0]));
        assert_eq!(Cpus::parse("0,2-4").unwrap(), Cpus(vec![0, 2, 3, 4]));
        for list in ["", "a", "3-1", "99999999", "0-99999999", "1,,2"] {
            assert!(Cpus::parse(list).is_err(), "{list:?}");
        }
    }

    #[test]
    fn a_thread_moves_and_returns() {
        let all = swap(&Cpus::parse("0").unwrap()).unwrap();
        assert_eq!(swap(&all).unwrap(), Cpus(vec![0]));
    }
}
