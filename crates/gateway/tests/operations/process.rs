//! The `courant` command, run to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command without any variable of this process's own configuration.
pub fn courant(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_courant"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COURANT_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end. One that goes on is killed, and the test fails.
pub fn run(command: &mut Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{command:?} does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Serves this configuration, which must fail; answers what it said.
pub fn refused_to_serve(config: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("courant.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = courant(&["serve", "--config", file.to_str().unwrap()]);
    command.current_dir(directory.path());
    for (name, value) in
        [("COURANT_SERVER_LISTEN", "127.0.0.1:0"), ("COURANT_SERVER_PRIVATE_LISTEN", "127.0.0.1:0")]
    {
        if !config.contains(&name.trim_start_matches("COURANT_SERVER_").to_lowercase()) {
            command.env(name, value);
        }
    }
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended.stderr
}
