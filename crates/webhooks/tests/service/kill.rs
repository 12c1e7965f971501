//! A process that queues webhooks is killed, again and again; what it was told is queued must arrive.
//!
//! The process is this test binary once more, running [`a_process_that_notifies`] alone. It prints each event after
//! [`notify`](courant_webhooks::Webhooks::notify) has returned.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use courant_cluster::{FileLog, FileLogOptions};
use courant_telemetry::Metrics;
use courant_webhooks::{Settings, Webhooks};
use tempfile::TempDir;

use crate::receiver::{Answer, Receiver};
use crate::rig::{app, apps, endpoint, miss, occupied, settings};

const DIR: &str = "COURANT_TEST_WEBHOOKS_DIR";
const URL: &str = "COURANT_TEST_WEBHOOKS_URL";
const ROUND: &str = "COURANT_TEST_WEBHOOKS_ROUND";
const ROUNDS: usize = 10;

async fn open(dir: &str, url: &str, grace: Duration) -> Arc<Webhooks> {
    let options = FileLogOptions { segment_bytes: 16 * 1024, ..FileLogOptions::default() };
    let log = Arc::new(FileLog::open(dir, options).await.unwrap());
    // The disk may be slow, but a report must not return before it.
    let settings = Settings { grace, append_wait_max: Duration::from_secs(3600), ..settings() };
    Webhooks::open(settings, apps(&[endpoint(url)]), log, Metrics::new()).await.unwrap()
}

#[test]
#[ignore = "is run by the test below, which kills it"]
fn a_process_that_notifies() {
    let (Ok(dir), Ok(url), Ok(round)) = (env::var(DIR), env::var(URL), env::var(ROUND)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Ends the line that the test harness began.
    println!();
    runtime.block_on(async {
        let webhooks = open(&dir, &url, Duration::from_millis(5)).await;
        for task in 0..4 {
            let (webhooks, round) = (webhooks.clone(), round.clone());
            tokio::spawn(async move {
                for n in 0.. {
                    let channel = format!("cache-{round}-{task}-{n}");
                    let event = if n % 5 == 0 { occupied(&channel) } else { miss(&channel) };
                    let line = format!("{} {channel}", event.kind());
                    webhooks.notify(&app(), event).await;
                    println!("{line}");
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

/// Lets the process run until it has had so many events queued, kills it, and returns these and those it had since.
fn run_and_kill(dir: &Path, url: &str, round: usize, events: usize) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "kill::a_process_that_notifies", "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(URL, url)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..events {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "it ended by itself:\n{text}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(&mut text).unwrap();
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.filter(|line| line.contains(" cache-")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_queued_before_a_kill_arrives_after_it() {
    let receiver = Receiver::start(Answer::Status(200)).await;
    let dir = TempDir::new().unwrap();
    let mut queued = BTreeSet::new();
    for round in 0..ROUNDS {
        receiver.answer(Answer::Status(if round % 3 == 1 { 500 } else { 200 }));
        let (path, url) = (dir.path().to_owned(), receiver.url());
        let killed =
            tokio::task::spawn_blocking(move || run_and_kill(&path, &url, round, 20 + round * 97 % 400));
        queued.extend(killed.await.unwrap());
    }
    receiver.answer(Answer::Status(200));
    let webhooks = open(dir.path().to_str().unwrap(), &receiver.url(), Duration::from_millis(5)).await;
    let start = tokio::time::Instant::now();
    while webhooks.stats().queued > 0 || webhooks.stats().announced > 0 {
        assert!(start.elapsed() < Duration::from_secs(120), "{:?}", webhooks.stats());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in receiver.received() {
        let event = request.events().remove(0);
        ids.entry(event).or_default().insert(request.webhook_id().to_owned());
    }
    let lost: Vec<_> = queued.iter().filter(|event| !ids.contains_key(*event)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), queued.len());
    let doubled: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(doubled.is_empty(), "what is sent again has the same id: {doubled:?}");
    // Nobody came back: each channel that was announced is ended.
    let channels = |kind: &str| -> BTreeSet<String> {
        ids.keys().filter_map(|event| event.strip_prefix(kind)).map(str::to_owned).collect()
    };
    assert_eq!(channels("channel_occupied "), channels("channel_vacated "));
    assert!(webhooks.dead_letters(1).is_empty());
}
