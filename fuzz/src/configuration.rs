//! Configurations: no file and no variables break the parser, each refusal says where, and what is accepted is coherent.

use std::io;
use std::path::Path;

use courant_gateway::config::{Config, ConfigErrors, Place, development};
use toml_edit::{DocumentMut, Item};

/// The file's path.
const PATH: &str = "courant.toml";
/// What every other file holds.
const SECRET_OF_A_FILE: &str = "5ecret-0f-a-f1le";
/// Between the file and the variables.
const SEPARATOR: &[u8] = b"\n---\n";
/// So long a line is still read by people.
const PROBLEM_CHARS_MAX: usize = 1000;

/// Takes a file and, behind a line `---`, lines `NAME=value`. Nothing before that line stands for no file.
pub(crate) fn check(data: &[u8]) {
    let at = data.windows(SEPARATOR.len()).position(|bytes| bytes == SEPARATOR);
    let (file, variables) = at.map_or((data, &b""[..]), |at| (&data[..at], &data[at + SEPARATOR.len()..]));
    let variables = String::from_utf8_lossy(variables);
    let variables: Vec<_> = variables.lines().take(8).filter_map(|line| line.split_once('=')).collect();
    let file = (!file.is_empty()).then_some(file);
    match parse(file, &variables) {
        Ok(config) => {
            check_coherent(&config);
            check_rewritten(&config, file, &variables);
        }
        Err(errors) => check_errors(&errors, file),
    }
}

fn parse(file: Option<&[u8]>, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
    let read_file = |path: &Path| match path.to_str() {
        Some(path) if path.contains("missing") => Err(io::ErrorKind::NotFound.into()),
        Some(path) if path.contains("empty") => Ok("\n".to_owned()),
        _ => Ok(format!("{SECRET_OF_A_FILE}\n")),
    };
    Config::parse(file.map(|file| (Path::new(PATH), file)), variables, &read_file)
}

fn check_errors(errors: &ConfigErrors, file: Option<&[u8]>) {
    assert!(errors.iter().next().is_some(), "a refusal without a reason");
    let lines = file.map_or(0, |file| 1 + file.iter().filter(|&&byte| byte == b'\n').count());
    for problem in errors.iter() {
        match &problem.place {
            Place::File(path) => assert!(file.is_some() && path == Path::new(PATH)),
            Place::Line(path, line) => assert!((1..=lines).contains(line) && path == Path::new(PATH)),
            Place::Variable(name) => assert!(name.starts_with("COURANT_")),
            Place::Nowhere => panic!("it is not said where: {problem}"),
        }
        let text = problem.to_string();
        assert!(!problem.message.is_empty() && !text.contains(char::is_control), "one line: {text:?}");
        assert!(text.chars().count() <= PROBLEM_CHARS_MAX, "it is too long to be read: {text}");
        assert!(!text.contains(SECRET_OF_A_FILE), "{text}");
    }
}

/// What has been promised to everything behind the configuration.
fn check_coherent(config: &Config) {
    let Config { server, limits, liveness, drain, webhooks, trace, apps, .. } = config;
    assert!(!server.listen.is_empty());
    assert!(server.private_listen.port() == 0 || !server.listen.contains(&server.private_listen));
    assert_eq!(server.tls_certificate.is_some(), server.tls_key.is_some());
    assert!(
        server.path_prefix.is_empty()
            || server.path_prefix.starts_with('/') && !server.path_prefix.ends_with('/')
    );
    let frame_bytes_max = limits.frame_bytes_max.unwrap_or(limits.message_bytes_max);
    assert!(frame_bytes_max.saturating_mul(limits.fragments_max) >= limits.message_bytes_max);
    assert!(liveness.activity_timeout.subsec_nanos() == 0 && liveness.activity_timeout.as_secs() > 0);
    assert!(liveness.idle_max >= liveness.activity_timeout);
    assert!(drain.deadline >= drain.duration);
    assert!(webhooks.retry_max >= webhooks.retry_initial);
    assert!((0.0..=1.0).contains(&trace.sample_ratio));
    assert!(apps.iter().len() > 0);
    for app in apps.iter() {
        assert!(apps.by_id(app.id.as_str()).is_some_and(|found| found.id == app.id));
        assert!(!app.enabled || app.webhook_key_pair().is_some());
        for pair in &app.keys {
            let found = apps.by_key(pair.key.as_str());
            assert!(pair.disabled || found.is_some_and(|(owner, _)| owner.id == app.id));
        }
        let event_bytes = app.limits.event_bytes_max;
        assert!(
            config.is_development || event_bytes < limits.queue_bytes_max.min(limits.request_body_bytes_max)
        );
        assert!(app.webhooks.iter().all(|webhook| webhook.url.host().is_some()));
    }
    let is_local = server.listen.iter().all(|address| address.ip().to_canonical().is_loopback());
    assert!(is_local || apps.by_key(development::KEY).is_none(), "everybody knows its secret");
    assert!(!format!("{config:?}").contains(SECRET_OF_A_FILE));
}

/// Written in another way it means the same; and one table more is noticed, in its line.
fn check_rewritten(config: &Config, file: Option<&[u8]>, variables: &[(&str, &str)]) {
    assert_same(config, &parse(file, variables).expect("it was accepted before"));
    let Some(text) = file.and_then(|file| std::str::from_utf8(file).ok()) else { return };
    let document: DocumentMut = text.parse().expect("valid TOML");
    let mut inline = DocumentMut::new();
    for (name, item) in document.as_table() {
        let value = item.clone().into_value().expect("something was written there");
        inline.insert(name, Item::Value(value));
    }
    let inline = inline.to_string();
    match parse(Some(inline.as_bytes()), variables) {
        Ok(again) => assert_same(config, &again),
        Err(errors) => panic!("{errors}\nin\n{inline}"),
    }
    let longer = format!("{text}\n[no-such-table]\n");
    let errors = parse(Some(longer.as_bytes()), variables).expect_err("there is no such table");
    let problems: Vec<_> = errors.iter().collect();
    let line = 2 + text.matches('\n').count();
    assert_eq!(problems.len(), 1, "{errors}");
    assert_eq!(problems[0].place, Place::Line(PATH.into(), line), "{errors}");
}

fn assert_same(a: &Config, b: &Config) {
    assert_eq!(a.server, b.server);
    assert_eq!(a.limits, b.limits);
    assert_eq!(a.liveness, b.liveness);
    assert_eq!(a.drain, b.drain);
    assert_eq!(a.webhooks, b.webhooks);
    assert_eq!((&a.log, &a.trace), (&b.log, &b.trace));
    assert_eq!((&a.metrics, &a.compatibility), (&b.metrics, &b.compatibility));
    assert_eq!(a.is_development, b.is_development);
    assert_eq!(a.apps.iter().len(), b.apps.iter().len());
    for (a, b) in a.apps.iter().zip(b.apps.iter()) {
        // What is compared holds no secrets, so these are compared by what they sign.
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        for (a, b) in a.keys.iter().zip(&b.keys) {
            assert_eq!(a.secret.sign(&[]), b.secret.sign(&[]));
        }
    }
}
