use super::*;

#[test]
fn each_problem_has_its_line_key_value_and_what_is_allowed() {
    assert_eq!(
        wrong("# a comment\n[limits]\nmessage_bytes_max = \"big\"", &[]),
        [
            r#"courant.toml:3: limits.message_bytes_max = "big": allowed is a size from 1KiB to 16MiB, such as 65536 or "64KiB""#
        ]
    );
    assert_eq!(
        wrong("", &[("COURANT_SERVER_PROXY_PROTOCOL", "on")]),
        [
            r#"COURANT_SERVER_PROXY_PROTOCOL: server.proxy_protocol = "on": allowed is "off", "optional" or "required""#
        ]
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "[log]\nlevel = 7\n[server]\nlisten = []\n[drain]\nduration = \"soon\"";
    let lines: Vec<String> =
        wrong(text, &[]).iter().map(|p| p.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "courant.toml:2 log.level = 7",
            "courant.toml:4 server.listen = []",
            "courant.toml:6 drain.duration = \"soon\""
        ]
    );
}

#[test]
fn an_unknown_setting_gets_a_guess() {
    assert_eq!(
        wrong("[limits]\nmesage_bytes_max = 1", &[]),
        [
            "courant.toml:2: limits.mesage_bytes_max: there is no such setting; did you mean message_bytes_max?"
        ]
    );
    assert_eq!(wrong("[limits]\nxyzzy = 1", &[]), ["courant.toml:2: limits.xyzzy: there is no such setting"]);
    assert_eq!(
        wrong("[webhook]\ngrace = 1", &[]),
        ["courant.toml:1: webhook: there is no such table; did you mean webhooks?"]
    );
    assert_eq!(
        wrong("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\nclient_event = true", &[]),
        ["courant.toml:5: apps.client_event: there is no such setting; did you mean client_events?"]
    );
}

#[test]
fn a_table_that_is_none_is_told() {
    assert_eq!(wrong("server = 1", &[]), ["courant.toml:1: server: it must be a table, written [server]"]);
    assert_eq!(
        wrong("[apps]\nid = \"1\"", &[])[0],
        "courant.toml:1: apps: it must be a list of tables, each written [[apps]]"
    );
    assert_eq!(
        wrong("apps = [1]", &[])[0],
        "courant.toml:1: apps: it must be a list of tables, each written [[apps]]"
    );
}

#[test]
fn broken_toml_and_broken_utf8_name_their_line() {
    assert!(
        wrong("[server]\nlisten = \n", &[])[0].starts_with("courant.toml:2: the file is not valid TOML: ")
    );
    assert!(
        wrong("[log]\nlevel = \"a\"\nlevel = \"b\"", &[])[0]
            .starts_with("courant.toml:3: the file is not valid TOML: ")
    );
    let no_file = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let bytes = b"[server]\n\xff";
    let errors = Config::parse(Some((Path::new("c.toml"), bytes)), [], &no_file).unwrap_err();
    assert_eq!(errors.to_string(), "c.toml:2: the file is not UTF-8 from here on");
}

#[test]
fn a_wrong_value_is_told_even_where_it_is_overridden() {
    let problems = wrong("[drain]\nduration = 5", &[("COURANT_DRAIN_DURATION", "5s")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn long_values_are_shortened_and_secrets_are_never_shown() {
    let text = format!("[log]\nlevel = {:?}", "x".repeat(5000));
    assert!(wrong(&text, &[])[0].len() < 300);
    let problems = wrong(
        "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = [\"hush\"]",
        &[("COURANT_APP_SECRET", "hush-too")],
    );
    assert!(!problems.is_empty());
    assert!(!problems.concat().contains("hush"), "{problems:?}");
    let app = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"";
    let problems = wrong(&format!("{app}\n[[apps.webhooks]]\nurl = \"https://me:hush@a.example/\""), &[]);
    assert_eq!(
        problems,
        ["courant.toml:6: apps.webhooks.url: the URL holds credentials; send them in a header instead"]
    );
}

#[test]
fn names_and_values_never_break_the_line_of_a_problem() {
    let text = format!(
        "\"a\\nb\" = 1\n[limits]\n\"\\u001b[31m\" = 1\n{:?} = 1\n[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\n\
         [[apps.webhooks]]\nurl = \"a\\nb\"",
        "x".repeat(5000)
    );
    let problems = wrong(&text, &[("COURANT_\n", "x")]);
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(problems[0].starts_with("courant.toml:1: a\\nb: "), "{problems:?}");
    assert!(problems[1].starts_with("courant.toml:3: limits.\\u{1b}[31m: "), "{problems:?}");
    assert!(problems.iter().all(|problem| !problem.contains(char::is_control) && problem.len() < 1000));
    let problems = wrong(
        "",
        &[("COURANT_APP_WEBHOOK_URL", "http://a"), ("COURANT_APP_WEBHOOK_EVENT_TYPES", &"\0".repeat(500))],
    );
    assert!(problems.iter().all(|problem| problem.len() < 1000), "{problems:?}");
}

#[test]
fn a_contradiction_of_a_default_names_the_setting_that_was_given() {
    for (variable, value, key) in [
        ("COURANT_SERVER_LISTEN", "127.0.0.1:9601", "server.private_listen"),
        ("COURANT_DRAIN_DURATION", "60s", "drain.deadline"),
        ("COURANT_WEBHOOKS_RETRY_INITIAL", "2min", "webhooks.retry_max"),
    ] {
        let problems = wrong("", &[(variable, value)]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("{variable}: {key}: it ")), "{problems:?}");
    }
    let problems = wrong("[drain]\n\nduration = \"60s\"", &[]);
    assert!(problems[0].starts_with("courant.toml:3: drain.deadline: it is 30s; "), "{problems:?}");
}

#[test]
fn tls_needs_both_of_its_files() {
    assert!(
        wrong("[server]\ntls_key = \"k.pem\"", &[])[0]
            .starts_with("courant.toml:2: server.tls_key = \"k.pem\": it needs server.tls_certificate")
    );
    assert!(wrong("[server]\ntls_certificate = \"c.pem\"", &[])[0].contains("it needs server.tls_key"));
    assert!(parse("[server]\ntls_certificate = \"c.pem\"\ntls_key = \"k.pem\"", &[]).is_ok());
}

#[test]
fn addresses_that_clash_are_told() {
    for (listen, private) in [
        ("127.0.0.1:9601", "127.0.0.1:9601"),
        ("127.0.0.1:6001", "0.0.0.0:6001"),
        ("127.0.0.1:6001", "[::]:6001"),
    ] {
        let text = format!("[server]\nlisten = {listen:?}\nprivate_listen = {private:?}");
        let problems = wrong(&text, &[]);
        assert!(
            problems.iter().any(|p| p.starts_with("courant.toml:3: server.private_listen")),
            "{text}: {problems:?}"
        );
    }
    assert!(wrong("[server]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:1\"]", &[])[0].contains("clashes"));
    assert!(parse("[server]\nlisten = \"127.0.0.1:0\"\nprivate_listen = \"127.0.0.1:0\"", &[]).is_ok());
    assert!(parse("[server]\nlisten = [\"127.0.0.1:6001\", \"[::1]:6001\"]", &[]).is_ok());
}

#[test]
fn the_proxy_protocol_needs_somebody_to_believe() {
    assert!(
        wrong("[server]\nproxy_protocol = \"required\"", &[])[0]
            .contains("it needs server.proxy_protocol_from")
    );
    assert!(
        wrong("[server]\nproxy_protocol_from = [\"10.0.0.0/8\"]", &[])[0].contains("it does nothing while")
    );
}

#[test]
fn times_that_contradict_each_other_are_told() {
    for (text, key) in [
        ("[drain]\nduration = \"60s\"", "drain.deadline: it is 30s; "),
        ("[drain]\ndeadline = \"5s\"", "drain.deadline = \"5s\": it is 5s; "),
        (
            "[liveness]\nactivity_timeout = \"1500ms\"",
            "liveness.activity_timeout = \"1500ms\": it must be whole seconds",
        ),
        ("[liveness]\nidle_max = \"1min\"", "liveness.idle_max = \"1min\": it is 1m; "),
        ("[webhooks]\nretry_initial = \"2min\"", "webhooks.retry_max: it is 1m; "),
        ("[webhooks]\nretry_for = \"500ms\"", "webhooks.retry_for = \"500ms\": it is 500ms; "),
    ] {
        let problems = wrong(text, &[]);
        assert!(problems.iter().any(|problem| problem.contains(key)), "{text}: {problems:?}");
    }
    assert!(parse("[webhooks]\nretry_for = \"0s\"", &[]).is_ok());
}

#[test]
fn frames_must_be_able_to_carry_a_message() {
    let text = "[limits]\nframe_bytes_max = 125\nfragments_max = 2";
    assert!(wrong(text, &[])[0].starts_with("courant.toml:2: limits.frame_bytes_max = 125: 2 such frames"));
    assert!(parse("[limits]\nmessage_bytes_max = \"2KiB\"\n", &[]).is_ok());
}

#[test]
fn an_event_must_fit_into_the_limits_of_the_server() {
    let app = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\nclient_events = true\nevent_bytes_max = \"100KiB\"";
    let problems = wrong(app, &[]);
    assert!(problems[0].starts_with("courant.toml:6: apps.event_bytes_max = \"100KiB\": "), "{problems:?}");
    assert!(problems[0].contains("limits.message_bytes_max, which is 65536; raise that"), "{problems:?}");
    assert!(parse(&format!("[limits]\nmessage_bytes_max = \"256KiB\"\n{app}"), &[]).is_ok());
}

#[test]
fn a_path_prefix_is_whole_segments() {
    for prefix in ["realtime", "/", "/a/", "//a", "/a b", "/a/../b", "/a?b", "/%2e"] {
        assert!(!wrong(&format!("[server]\npath_prefix = {prefix:?}"), &[]).is_empty(), "{prefix}");
    }
    for prefix in ["", "/realtime", "/a/b-c_d.e"] {
        assert!(parse(&format!("[server]\npath_prefix = {prefix:?}"), &[]).is_ok(), "{prefix}");
    }
}

#[test]
fn a_log_level_may_name_parts() {
    for level in ["info", "DEBUG", "warn,courant_hub=debug", "info, courant::x=off"] {
        assert!(parse(&format!("[log]\nlevel = {level:?}"), &[]).is_ok(), "{level}");
    }
    for level in ["", "loud", "info,", "=debug", "a=b"] {
        assert!(!wrong(&format!("[log]\nlevel = {level:?}"), &[]).is_empty(), "{level}");
    }
}
