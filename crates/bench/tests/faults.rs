//! A run must notice what a server does wrong: each test orders one fault from the sink.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_courant-bench");

/// A sink with a fault, ended when dropped.
struct Sink {
    process: Child,
    url: String,
}

impl Sink {
    fn start(fault: &str) -> Self {
        let mut process = Command::new(PROGRAM)
            .args(["sink", "--listen", "127.0.0.1:0", "--fault", fault])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self { url: format!("ws://{address}"), process }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).args(["--url", &self.url]).args(arguments).output().unwrap()
    }

    fn fanout(&self, more: &[&str]) -> Output {
        let fanout = ["fanout", "--subscribers", "20", "--rate", "100", "--duration", "1", "--grace", "1"];
        self.run(&[&fanout, more].concat())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[track_caller]
fn assert_fails_with(output: &Output, text: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(text), "{error:?} does not tell {text:?}");
}

#[test]
fn a_faultless_server_passes() {
    let output = Sink::start("none").fanout(&["--channels", "4"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("0 missing, 0 repeated, 0 out of order, 0 requests lost"), "{table}");
}

#[test]
fn a_lost_message_fails_the_run_and_can_be_allowed() {
    let sink = Sink::start("lose");
    assert_fails_with(&sink.fanout(&[]), "messages never came");
    assert!(sink.fanout(&["--allow-loss"]).status.success());
}

#[test]
fn a_repeated_message_fails_the_run() {
    assert_fails_with(&Sink::start("repeat").fanout(&[]), "messages came again");
}

#[test]
fn a_reordered_message_fails_the_run() {
    assert_fails_with(&Sink::start("reorder").fanout(&[]), "messages came out of order");
}

#[test]
fn a_closed_connection_fails_the_run() {
    // Few deliveries, so that the warm-up leaves most connections.
    let sink = Sink::start("disconnect");
    let output = sink.run(&["fanout", "--subscribers", "200", "--rate", "2", "--duration", "1"]);
    assert_fails_with(&output, "connections were lost");
}

#[test]
fn a_refused_publish_fails_the_run() {
    let output = Sink::start("refuse").run(&["publish", "--rate", "200", "--no-saturate", "--duration", "1"]);
    assert_fails_with(&output, "503 refused");
}

#[test]
fn every_mode_writes_its_report() {
    let sink = Sink::start("none");
    let path = std::env::temp_dir().join(format!("courant-bench-{}.json", std::process::id()));
    let json = path.to_str().unwrap();
    let pid = sink.process.id().to_string();
    let idle = ["idle", "--server-pid", &pid, "--connections", "50", "--settle", "0", "--window", "0.1"];
    let connect = ["connect", "--connections", "50", "--in-flight", "10"];
    let publish = ["publish", "--batch", "10", "--duration", "0.5", "--lanes", "4"];
    let search = [
        "fanout",
        "--subscribers",
        "2",
        "--rate",
        "0",
        "--saturate",
        "--search-from",
        "2000",
        "--step",
        "0.1",
        "--duration",
        "0.1",
    ];
    for (name, arguments) in
        [("idle", &idle[..]), ("connect", &connect[..]), ("open_loop", &publish[..]), ("search", &search[..])]
    {
        // Two subscribers and steps of a tenth of a second say nothing about rates; only the report is of interest.
        let output = sink.run(&[arguments, &["--json", json, "--allow-loss", "--grace", "0.5"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(report["results"][name].is_object() || report["results"][name].is_array(), "{report:#}");
        assert!(report["machine"]["cores"].as_u64() > Some(0));
    }
    let _ = std::fs::remove_file(&path);
}

#[test]
fn nothing_there_is_an_error_that_says_so() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(PROGRAM)
        .args(["--url", &format!("ws://{unused}"), "connect", "--connections", "3"])
        .output();
    assert_fails_with(&output.unwrap(), "3 connections failed: connect: Connection refused");
}

#[test]
fn another_machine_is_refused() {
    let output = Command::new(PROGRAM).args(["--url", "ws://192.0.2.1:6001", "connect"]).output().unwrap();
    assert_fails_with(&output, "--i-own-this-target");
}

#[test]
fn a_server_that_was_started_ends_with_a_run_that_is_killed() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listens = || std::net::TcpStream::connect(address).is_ok();
    let mut run = Command::new(PROGRAM)
        .args([
            "--url",
            &format!("ws://{address}"),
            "--server-cmd",
            &format!("{PROGRAM} sink --listen {address}"),
        ])
        .args(["idle", "--connections", "5", "--window", "600"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    await_that(listens);
    // Its guard comes after it; a second is ample, and less makes the test no wrong, only idle.
    std::thread::sleep(std::time::Duration::from_secs(1));
    run.kill().unwrap();
    run.wait().unwrap();
    await_that(|| !listens());
}

#[track_caller]
fn await_that(holds: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed().as_secs() < 60, "it never came to that");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn connections_come_from_as_many_addresses_as_asked_for() {
    let output = Sink::start("none").run(&["connect", "--connections", "30", "--source-addresses", "3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
