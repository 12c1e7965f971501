use proptest::prelude::*;

use super::*;

/// Parses bytes whose files can all be read.
fn survives(bytes: &[u8], environment: Vec<(String, String)>) {
    let result = Config::parse(Some((Path::new("c.toml"), bytes)), environment, &|_| Ok("x".to_owned()));
    if let Err(errors) = result {
        assert!(errors.iter().all(|problem| !problem.to_string().is_empty()));
        assert!(errors.iter().next().is_some());
    }
}

#[test]
fn deep_nesting_is_survived() {
    survives(format!("a = {}", "[".repeat(100_000)).as_bytes(), vec![]);
    survives(format!("{} = 1", vec!["a"; 10_000].join(".")).as_bytes(), vec![]);
}

#[test]
fn tables_in_the_place_of_values_and_values_in_that_of_tables_are_survived() {
    for text in [
        "[server.listen]\na = 1",
        "[[server]]\nlisten = 1",
        "server.listen.x = 1",
        "apps = 1",
        "apps = [[]]",
        "apps = [{ keys = 1, webhooks = { url = 1 } }]",
        "[[apps]]\nkeys = [{ key = [] }]\nheaders = 1979-05-27",
        "[[apps.keys]]",
        "[apps.keys]",
        "\u{feff}[log]\r\nlevel = \"info\"\r\n",
    ] {
        survives(text.as_bytes(), vec![]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        survives(&bytes, vec![]);
    }

    #[test]
    fn any_values_are_survived(
        section in prop::sample::select(vec!["server", "limits", "liveness", "webhooks", "[apps]", "[apps.keys]", "[apps.webhooks]", "log"]),
        key in prop::sample::select(vec![
            "listen", "path_prefix", "message_bytes_max", "activity_timeout", "level", "id", "key", "secret", "secret_file", "url",
            "headers", "event_types", "allowed_origins", "retry_for", "frame_bytes_max", "event_bytes_max",
        ]),
        value in "\"[^\"\\\\\\x00-\\x1f\\x7f]{0,30}\"|-?[0-9]{1,20}|\\[(\"[a-z:/.*]{0,9}\",?){0,3}\\]|\\{ ?[a-z]{1,3} = \"[a-z ]{0,3}\" \\}|true|1979-05-27|[0-9]\\.[0-9]e[0-9]{1,3}",
    ) {
        survives(format!("[{section}]\n{key} = {value}").as_bytes(), vec![]);
    }

    #[test]
    fn any_environment_is_survived(
        variables in prop::collection::vec(("COURANT_(SERVER_LISTEN|APP_ID|APP_KEY|APP_SECRET|LIMITS_MESSAGE_BYTES_MAX|[A-Z_]{0,12})", ".{0,30}"), 0..6)
    ) {
        survives(b"", variables);
    }
}
