use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;

mod apps;
mod documents;
mod environment;
mod hostile;
mod messages;

/// Parses a file of this text, in the given environment, with no other file on the disk.
fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let environment = environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    let no_file = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    Config::parse(Some((Path::new("courant.toml"), text.as_bytes())), environment, &no_file)
}

/// What is wrong, a line for each.
fn wrong(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match parse(text, environment) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(Problem::to_string).collect(),
    }
}

#[test]
fn without_a_file_there_is_the_development_application_on_loopback() {
    let config = Config::load(None, []).unwrap();
    assert!(config.is_development);
    assert_eq!(config.server.listen, ["127.0.0.1:6001".parse::<SocketAddr>().unwrap()]);
    assert_eq!(config.server.private_listen, "127.0.0.1:9601".parse::<SocketAddr>().unwrap());
    let (app, pair) = config.apps.by_key(development::KEY).unwrap();
    assert_eq!(app.id.as_str(), development::APP_ID);
    assert!(app.client_events && app.subscription_counting && app.watchlist);
    assert_eq!(
        pair.secret.sign(&[b"x"]),
        courant_auth::Secret::new(development::SECRET).unwrap().sign(&[b"x"])
    );
}

#[test]
fn every_default_is_allowed() {
    // Reading the defaults panics where one is not.
    assert!(parse("", &[]).is_ok());
    assert!(
        parse(
            "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\n[[apps.webhooks]]\nurl = \"http://a\"",
            &[]
        )
        .is_ok()
    );
}

#[test]
fn the_file_overrides_defaults_and_the_environment_overrides_the_file() {
    let text = "[liveness]\nping_interval = \"20s\"\npong_timeout = \"7s\"";
    let config = parse(text, &[("COURANT_LIVENESS_PING_INTERVAL", "25s")]).unwrap();
    assert_eq!(config.liveness.ping_interval, Duration::from_secs(25));
    assert_eq!(config.liveness.pong_timeout, Duration::from_secs(7));
    assert_eq!(config.liveness.activity_timeout, Duration::from_secs(120));
}

#[test]
fn tables_can_be_written_inline_and_dotted() {
    let config = parse("drain = { duration = \"2s\" }\nlog.level = \"debug\"", &[]).unwrap();
    assert_eq!(config.drain.duration, Duration::from_secs(2));
    assert_eq!(config.log.level, "debug");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_with_its_path() {
    let errors = Config::load(Some(Path::new("no/such/courant.toml")), []).unwrap_err();
    assert!(errors.to_string().starts_with("no/such/courant.toml: the configuration can't be read: "));
}

#[test]
fn a_file_is_read_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "from a file\n").unwrap();
    let file = directory.path().join("courant.toml");
    let text = format!("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = {:?}", secret.display().to_string());
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), []).unwrap();
    let (_, pair) = config.apps.by_key("k").unwrap();
    let expected = courant_auth::Secret::new("from a file").unwrap();
    assert_eq!(pair.secret.sign(&[b"x"]), expected.sign(&[b"x"]));
}
