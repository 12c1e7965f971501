use courant_auth::WebhookEvent;

use super::*;

#[test]
fn applications_have_keys_limits_origins_and_webhooks() {
    let text = r#"
        [[apps]]
        id = "1"
        name = "shop"
        client_events = true
        authorized_connections = "30s"
        allowed_origins = ["https://shop.example", "*.shop.example"]
        members_max = 500
        connections_max = 1000
        event_bytes_max = "20KiB"

        [[apps.keys]]
        key = "old"
        secret = "o"
        disabled = true

        [[apps.keys]]
        key = "new"
        secret = "n"

        [[apps.webhooks]]
        url = "https://shop.example/hook"
        event_types = ["member_added", "member_removed"]
        channel_prefix = "presence-"
        headers = { Authorization = "Bearer x" }
        batching = true

        [[apps]]
        id = "2"
        key = "two"
        secret = "t"
        enabled = false
    "#;
    let config = parse(text, &[]).unwrap();
    assert!(!config.is_development);
    let app = config.apps.by_id("1").unwrap();
    assert_eq!(app.name.as_deref(), Some("shop"));
    assert_eq!(app.authorized_connections, Some(Duration::from_secs(30)));
    assert_eq!(app.limits.members_max, 500);
    assert_eq!(app.limits.connections_max, Some(1000));
    assert_eq!(app.limits.event_bytes_max, 20 * 1024);
    assert_eq!(app.limits.batch_max, 10);
    assert!(
        app.allows_origin(Some("https://a.shop.example")) && !app.allows_origin(Some("https://evil.example"))
    );
    assert_eq!(app.webhook_key_pair().map(|pair| pair.key.as_str()), Some("new"));
    assert_eq!(app.webhooks[0].event_types, [WebhookEvent::MemberAdded, WebhookEvent::MemberRemoved]);
    assert_eq!(app.webhooks[0].headers.len(), 1);
    assert!(app.webhooks[0].batching);
    assert!(!config.apps.by_id("2").unwrap().enabled);
}

#[test]
fn the_limits_of_an_application_default_to_the_documented_ones() {
    let config = parse("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"", &[]).unwrap();
    assert_eq!(config.apps.by_id("1").unwrap().limits, courant_auth::AppLimits::default());
}

#[test]
fn a_pair_of_its_own_comes_before_listed_ones() {
    let text =
        "[[apps]]\nid = \"1\"\nkey = \"a\"\nsecret = \"s\"\n[[apps.keys]]\nkey = \"b\"\nsecret = \"t\"";
    let config = parse(text, &[]).unwrap();
    let keys: Vec<&str> = config.apps.by_id("1").unwrap().keys.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn doubles_are_told_where_the_second_is() {
    let text = "[[apps]]\nid = \"1\"\nkey = \"a\"\nsecret = \"s\"\n[[apps]]\nid = \"1\"\nkey = \"b\"\nsecret = \"s\"";
    assert!(
        wrong(text, &[])[0].starts_with("courant.toml:6: apps.id = \"1\": two applications have the id '1'")
    );
    let text =
        "[[apps]]\nid = \"1\"\nkey = \"a\"\nsecret = \"s\"\n[[apps.keys]]\nkey = \"a\"\nsecret = \"t\"";
    assert!(
        wrong(text, &[])[0].starts_with("courant.toml:6: apps.keys.key = \"a\": the key 'a' is there twice")
    );
}

#[test]
fn what_an_application_lacks_is_told() {
    let problems = wrong("[[apps]]\nname = \"x\"", &[]);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].starts_with("courant.toml:1: apps.id: an application needs an id"));
    assert!(problems[1].starts_with("courant.toml:1: apps.key: an application needs a key"));
    assert!(problems[2].starts_with("courant.toml:1: apps.secret: a key needs its secret"));
}

#[test]
fn an_application_needs_a_key_that_is_not_disabled() {
    let text = "[[apps]]\nid = \"1\"\n[[apps.keys]]\nkey = \"a\"\nsecret = \"s\"\ndisabled = true";
    assert!(wrong(text, &[])[0].contains("has no active key"));
}

#[test]
fn webhooks_and_origins_that_can_not_be_are_told() {
    let text = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\nallowed_origins = [\"https://a/\"]\n\
                [[apps.webhooks]]\nurl = \"ftp://a\"\nevent_types = [\"nothing\"]\n\
                [[apps.webhooks]]\nurl = \"http://a\"\nheaders = { Host = \"x\" }\n";
    let problems = wrong(text, &[]);
    assert_eq!(problems.len(), 4, "{problems:?}");
    for (problem, start) in problems.iter().zip([
        "courant.toml:5: apps.allowed_origins",
        "courant.toml:7: apps.webhooks.url = \"ftp://a\"",
        "courant.toml:8: apps.webhooks.event_types = [\"nothing\"]",
        "courant.toml:11: apps.webhooks.headers: the header 'host' is set by courant itself",
    ]) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn a_secret_is_given_once() {
    let text = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\nsecret_file = \"f\"";
    assert!(wrong(text, &[])[0].contains("secret and secret_file are both set"));
    let text = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = \"f\"";
    assert!(
        wrong(text, &[])[0].starts_with("courant.toml:4: apps.secret_file = \"f\": the file can't be read: ")
    );
}

#[test]
fn the_development_application_is_only_for_loopback() {
    let public = "[server]\nlisten = \"0.0.0.0:6001\"";
    let problems = wrong(public, &[]);
    assert!(
        problems[0]
            .starts_with("courant.toml:2: server.listen = \"0.0.0.0:6001\": no application is configured")
    );
    let mixed = "[server]\nlisten = [\"127.0.0.1:6001\", \"192.0.2.1:6001\"]";
    assert!(!wrong(mixed, &[]).is_empty());
    assert!(parse("[server]\nlisten = [\"127.9.9.9:6001\", \"[::1]:6001\"]", &[]).is_ok());
}

#[test]
fn development_credentials_are_refused_on_a_public_address() {
    let app = "[[apps]]\nid = \"1\"\nkey = \"courant-key\"\nsecret = \"mine\"\n\
               [[apps.keys]]\nkey = \"mine\"\nsecret = \"courant-secret\"";
    assert!(parse(app, &[]).is_ok());
    let problems = wrong(&format!("[server]\nlisten = \"0.0.0.0:6001\"\n{app}"), &[]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("courant.toml:5: apps.key = \"courant-key\": everybody knows"));
    assert!(problems[1].starts_with("courant.toml:9: apps.keys.secret: everybody knows"));
}
