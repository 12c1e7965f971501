//! A `courant` process.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::{self, Response};
use super::{App, PATIENCE, until};

/// How often a start is tried: between choosing a free port and listening on it somebody else may take it.
const STARTS_MAX: usize = 10;

/// A server to be.
#[derive(Clone)]
pub struct Builder {
    apps: Vec<App>,
    config: String,
    environment: BTreeMap<String, String>,
    data_directory: Option<PathBuf>,
}

/// A running server. It is killed, by its process id, when it is dropped; if the test fails, its log is shown.
pub struct Server {
    child: Child,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators connect.
    pub private: SocketAddr,
    log: Arc<Log>,
    directory: Arc<TempDir>,
    builder: Builder,
}

/// What the process wrote to standard error so far.
#[derive(Default)]
struct Log {
    text: Mutex<LogText>,
    grown: Condvar,
}

#[derive(Default)]
struct LogText {
    text: String,
    ended: bool,
}

impl Builder {
    /// Adds an application. Without any there is [`App::usual`].
    pub fn app(mut self, app: &App) -> Self {
        self.apps.push(app.clone());
        self
    }

    /// Adds TOML to the configuration file, before the applications.
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.config.push('\n');
        self
    }

    /// Sets a variable of the environment, such as `COURANT_DRAIN_DURATION`.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Keeps durable queues there instead of in a directory of its own.
    pub fn data_directory(mut self, path: &Path) -> Self {
        self.data_directory = Some(path.into());
        self
    }

    /// Starts the server; it is ready when this returns.
    pub async fn start(self) -> Server {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        self.start_in(directory).await
    }

    async fn start_in(mut self, directory: Arc<TempDir>) -> Server {
        if self.apps.is_empty() {
            self.apps.push(App::usual());
        }
        let file = directory.path().join("courant.toml");
        let apps: String = self.apps.iter().map(App::toml).collect();
        std::fs::write(&file, format!("{}\n{apps}", self.config)).unwrap();
        for _ in 0..STARTS_MAX {
            let (mut child, address, private) = self.spawn(&file, directory.path());
            let log = Log::follow(&mut child);
            // The banner for people, or the line for machines.
            if !log.has_any(&["is listening on", r#""message":"ready""#]) {
                let status = child.wait().unwrap();
                assert!(log.text().contains("in use"), "the server ended with {status}:\n{}", log.text());
                continue;
            }
            let server = Server { child, address, private, log, directory, builder: self };
            until("readyz", async || server.private_get("/readyz").await.filter(|it| it.status == 200)).await;
            return server;
        }
        panic!("no free ports after {STARTS_MAX} starts");
    }

    fn spawn(&self, file: &Path, directory: &Path) -> (Child, SocketAddr, SocketAddr) {
        let [address, private] = free_addresses();
        let data_directory = self.data_directory.clone().unwrap_or_else(|| directory.join("data"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_courant"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COURANT_")) {
            command.env_remove(name);
        }
        let child = command
            .args(["serve".as_ref(), "--config".as_ref(), file.as_os_str()])
            .current_dir(directory)
            .env("COURANT_SERVER_LISTEN", address.to_string())
            .env("COURANT_SERVER_PRIVATE_LISTEN", private.to_string())
            .env("COURANT_SERVER_DATA_DIRECTORY", data_directory)
            .env("COURANT_LOG_FORMAT", "pretty")
            .env("COURANT_LOG_LEVEL", "info,courant=debug,courant_channels=debug,courant_gateway=debug")
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (child, address, private)
    }
}

impl Server {
    /// A server to be configured.
    pub fn builder() -> Builder {
        Builder {
            apps: Vec::new(),
            config: String::new(),
            environment: BTreeMap::new(),
            data_directory: None,
        }
    }

    /// A server with [`App::usual`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A server with one application.
    pub async fn with(app: &App) -> Self {
        Self::builder().app(app).start().await
    }

    /// Another one with the same configuration and data directory. End this one first.
    pub async fn start_again(&self) -> Self {
        self.builder.clone().start_in(self.directory.clone()).await
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Asks on the private address; `None` if nobody answers.
    pub async fn private_get(&self, path: &str) -> Option<Response> {
        http::request(self.private, "GET", path, &[], b"").await.ok()
    }

    /// Everything that it counts, as Prometheus reads it.
    pub async fn metrics(&self) -> String {
        self.private_get("/metrics").await.expect("metrics").text()
    }

    /// The value of a series, written as `/metrics` shows it, with its labels; 0 if it is not there.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // To its last line.
                self.log.has_any(&[]);
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log.text());
        }
    }
}

impl Log {
    /// Reads a process's standard error to its end.
    fn follow(child: &mut Child) -> Arc<Self> {
        let log = Arc::new(Self::default());
        let (lines, written) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut text = written.text.lock().unwrap();
                text.text.push_str(&line);
                text.text.push('\n');
                written.grown.notify_all();
            }
            written.text.lock().unwrap().ended = true;
            written.grown.notify_all();
        });
        log
    }

    /// Waits until one of these is there, or the process has ended.
    fn has_any(&self, words: &[&str]) -> bool {
        let is_there = |text: &LogText| words.iter().any(|words| text.text.contains(words));
        let text = self.text.lock().unwrap();
        let waiting = |text: &mut LogText| !text.ended && !is_there(text);
        let (text, late) = self.grown.wait_timeout_while(text, PATIENCE, waiting).unwrap();
        assert!(!late.timed_out(), "the server neither starts nor ends:\n{}", text.text);
        is_there(&text)
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().text.clone()
    }
}

/// Two loopback addresses that nobody listens on.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
