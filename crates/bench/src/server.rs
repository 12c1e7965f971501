//! The process of the server under test: started or only looked at.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::affinity::{self, Cpus};
use crate::proc::ProcessSample;
use crate::role::{self, Role};

/// How long a server may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a server may take to end when asked, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The server under test.
pub(crate) enum Server {
    /// Started by this run, and ended when dropped; the second process ends it if this one can't.
    Started(Child, Child),
    /// Running already.
    Attached(u32),
    /// Not known; its memory and time can't be told.
    Unknown,
}

impl Server {
    /// Starts `command` by the shell and waits until `address` accepts connections.
    ///
    /// # Errors
    /// If something listens there already, the command ends, or it does not listen in a minute.
    pub(crate) fn start(
        command: &str,
        log: Option<&Path>,
        cpus: Option<&Cpus>,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            bail!(
                "something listens on {address} already; end it, or give its --server-pid instead of --server-cmd"
            );
        }
        let output = || match log {
            Some(path) => File::options().create(true).append(true).open(path).map(Stdio::from),
            None => Ok(Stdio::null()),
        };
        let log_error =
            || format!("the server's log {} can't be opened", log.unwrap_or(Path::new("")).display());
        // A child has its parent's cores from the first instruction, so that it counts them right.
        let own = cpus.map(affinity::swap).transpose()?;
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(output().with_context(log_error)?)
            .stderr(output().with_context(log_error)?)
            .spawn()
            .with_context(|| format!("{command:?} can't be started"));
        if let Some(own) = own {
            affinity::swap(&own)?;
        }
        let mut child = child?;
        let guard = role::start(Role::Guard(child.id()), Stdio::null()).inspect_err(|_| stop(&mut child))?;
        let mut server = Self::Started(child, guard);
        server.await_listening(command, address)?;
        Ok(server)
    }

    fn await_listening(&mut self, command: &str, address: SocketAddr) -> anyhow::Result<()> {
        let Self::Started(child, _) = self else { return Ok(()) };
        let started = Instant::now();
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{command:?} ended with {status} before it listened on {address}; see --server-log");
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("{command:?} did not listen on {address} in {START_TIMEOUT:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The process to be looked at.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Started(child, _) => Some(child.id()),
            Self::Attached(pid) => Some(*pid),
            Self::Unknown => None,
        }
    }

    /// Its memory and time now; zeroes if it is not known.
    pub(crate) fn sample(&self) -> ProcessSample {
        self.pid().map(ProcessSample::of).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Started(child, guard) = self {
            // The guard first: once the server is reaped its process id may be another's.
            let _ = guard.kill();
            let _ = guard.wait();
            stop(child);
        }
    }
}

/// Asks the process to end, and kills it if it does not.
fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let asked = Instant::now();
    while asked.elapsed() < STOP_TIMEOUT {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
