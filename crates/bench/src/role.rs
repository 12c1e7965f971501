//! What a process of a run is: the driver, or one of the processes that the driver starts of this same program.
//!
//! A part is started with the driver's own arguments, so that it comes to the same place whatever program this library
//! is in, and learns from its environment that it is a part, and which.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// Says which part a process is. The driver's own environment does not have it.
const ROLE_ENV: &str = "COURANT_BENCH_ROLE";

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Holds subscribers.
    Worker,
    /// Ends the server with this process id when the driver is gone, however it went.
    Guard(u32),
}

/// What this process is; `None` for the driver.
///
/// # Errors
/// If the environment names a part that there is not.
pub(crate) fn own() -> anyhow::Result<Option<Role>> {
    let Some(role) = std::env::var_os(ROLE_ENV) else { return Ok(None) };
    let role = role.to_string_lossy();
    match role.split_once(' ') {
        None if role == "worker" => Ok(Some(Role::Worker)),
        Some(("guard", pid)) => {
            Ok(Some(Role::Guard(pid.parse().context("the guard's process id is not one")?)))
        }
        _ => anyhow::bail!("{ROLE_ENV} is {role:?}; it is not for users, remove it"),
    }
}

/// Starts this program once more, as a part. Its standard input ends when this process does.
///
/// # Errors
/// If it can't be started.
pub(crate) fn start(role: Role, stdout: Stdio) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let name = match role {
        Role::Worker => "worker".to_owned(),
        Role::Guard(pid) => format!("guard {pid}"),
    };
    Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env(ROLE_ENV, name)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .with_context(|| format!("{} can't be started again as a part of the run", program.display()))
}

/// Waits until the driver is gone, then ends the server `pid`.
///
/// A driver that ends in order kills its guard first, so a process id that was given to another is never used.
pub(crate) fn guard(pid: u32) -> anyhow::Result<()> {
    let mut input = io::stdin().lock();
    let mut nothing = [0; 16];
    while !matches!(input.read(&mut nothing), Ok(0) | Err(_)) {}
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::TERM).context("the server can't be ended")?;
    }
    Ok(())
}
