use super::*;

const APP: [(&str, &str); 3] =
    [("COURANT_APP_ID", "7"), ("COURANT_APP_KEY", "k"), ("COURANT_APP_SECRET", "s")];

#[test]
fn every_setting_has_a_variable() {
    let environment = [
        ("COURANT_SERVER_LISTEN", "127.0.0.1:1,[::1]:1"),
        ("COURANT_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("COURANT_LIMITS_MESSAGE_BYTES_MAX", "32KiB"),
        ("COURANT_LIMITS_ADDRESS_EXEMPT", "[]"),
        ("COURANT_METRICS_ENABLED", "false"),
        ("COURANT_TRACE_SAMPLE_RATIO", "0.5"),
    ];
    let config = parse("", &environment).unwrap();
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.limits.message_bytes_max, 32 * 1024);
    assert!(config.limits.address_exempt.is_empty());
    assert!(!config.metrics.enabled);
    assert_eq!(config.trace.sample_ratio, 0.5);
}

#[test]
fn an_unknown_variable_is_an_error_with_a_guess() {
    assert_eq!(
        wrong("", &[("COURANT_LOG_LEVL", "info")]),
        ["COURANT_LOG_LEVL: no setting has this variable; did you mean COURANT_LOG_LEVEL?"]
    );
    assert_eq!(wrong("", &[("COURANT_KEY", "k")]).len(), 1);
}

#[test]
fn variables_of_others_are_left_alone() {
    let environment = [
        ("PATH", "/bin"),
        ("COURANT_CONFIG", "/etc/courant.toml"),
        ("COURANT_REVISION", "abc"),
        ("COURANT_BENCH_WORKER", "1"),
        ("COURANT_PORT", "tcp://10.0.0.1:6001"),
        ("COURANT_PORT_6001_TCP", "tcp://10.0.0.1:6001"),
        ("COURANT_PORT_6001_TCP_ADDR", "10.0.0.1"),
        ("COURANT_PORT_9601_TCP_PROTO", "tcp"),
        ("COURANT_SERVICE_HOST", "10.0.0.1"),
        ("COURANT_SERVICE_PORT", "6001"),
        ("COURANT_SERVICE_PORT_HTTP", "6001"),
        ("COURANT_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("COURANT_GATEWAY_PORT", "tcp://10.0.0.1:6001"),
    ];
    assert!(parse("", &environment).is_ok());
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config =
        parse("[log]\nlevel = \"warn\"", &[("COURANT_LOG_LEVEL", ""), ("COURANT_NOTHING", "")]).unwrap();
    assert_eq!(config.log.level, "warn");
}

#[test]
fn an_application_comes_from_the_environment_alone() {
    let mut environment = APP.to_vec();
    environment.extend([
        ("COURANT_APP_CLIENT_EVENTS", "true"),
        ("COURANT_APP_MEMBERS_MAX", "7"),
        ("COURANT_APP_ALLOWED_ORIGINS", "https://a.example,https://b.example"),
        ("COURANT_APP_WEBHOOK_URL", "https://a.example/hook"),
        ("COURANT_APP_WEBHOOK_EVENT_TYPES", "cache_miss"),
    ]);
    let config = parse("", &environment).unwrap();
    assert!(!config.is_development);
    let app = config.apps.by_id("7").unwrap();
    assert!(app.client_events);
    assert_eq!(app.limits.members_max, 7);
    assert_eq!(app.allowed_origins.len(), 2);
    assert_eq!(app.webhooks.len(), 1);
}

#[test]
fn an_application_of_the_environment_joins_those_of_the_file() {
    let text = "[[apps]]\nid = \"1\"\nkey = \"f\"\nsecret = \"s\"";
    assert_eq!(parse(text, &APP).unwrap().apps.iter().len(), 2);
    let same = text.replace("\"f\"", "\"k\"");
    assert_eq!(
        wrong(&same, &APP),
        ["COURANT_APP_KEY: apps.key = \"k\": the key 'k' is there twice; each key pair needs its own"]
    );
}

#[test]
fn half_an_application_is_told() {
    let problems = wrong("", &[("COURANT_APP_KEY", "k")]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("COURANT_APP_ID: apps.id: an application needs an id"));
    assert!(problems[1].starts_with("COURANT_APP_ID: apps.secret: a key needs its secret"));
}

#[test]
fn a_secret_may_come_from_a_file() {
    let environment =
        [("COURANT_APP_ID", "7"), ("COURANT_APP_KEY", "k"), ("COURANT_APP_SECRET_FILE", "/run/secret")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let read_file = |path: &Path| {
        assert_eq!(path, Path::new("/run/secret"));
        Ok("hush\r\n".to_owned())
    };
    let config = Config::parse(None, environment, &read_file).unwrap();
    let (_, pair) = config.apps.by_key("k").unwrap();
    assert_eq!(pair.secret.sign(&[b"x"]), courant_auth::Secret::new("hush").unwrap().sign(&[b"x"]));
}

#[test]
fn an_empty_secret_file_is_told() {
    let environment =
        [("COURANT_APP_ID", "7"), ("COURANT_APP_KEY", "k"), ("COURANT_APP_SECRET_FILE", "/run/secret")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let errors = Config::parse(None, environment, &|_| Ok("\n".to_owned())).unwrap_err();
    assert!(errors.to_string().contains("the secret can't be used: it is empty"), "{errors}");
}
