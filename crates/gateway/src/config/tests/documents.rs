use super::*;

/// A file of the repository.
fn repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_reference_page_is_up_to_date() {
    assert!(
        repository("docs/configuration.md") == reference_markdown(),
        "docs/configuration.md is out of date; run `courant docs configuration > docs/configuration.md`"
    );
}

#[test]
fn the_example_file_is_up_to_date() {
    assert!(
        repository("courant.example.toml") == example_toml(),
        "courant.example.toml is out of date; run `courant docs example > courant.example.toml`"
    );
}

#[test]
fn the_example_file_loads_as_it_is_and_changes_nothing() {
    let (example, default) = (parse(&example_toml(), &[]).unwrap(), parse("", &[]).unwrap());
    assert_eq!(format!("{example:?}"), format!("{default:?}"));
}

#[test]
fn the_example_file_loads_with_every_setting_in_force() {
    let is_setting = |line: &&str| {
        let text = line.trim_start_matches("# ");
        text.starts_with('[')
            || text
                .split_once(" = ")
                .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let text = example_toml();
    let active: Vec<&str> =
        text.lines().filter(is_setting).map(|line| line.trim_start_matches("# ")).collect();
    let config = parse(&active.join("\n"), &[]).unwrap();
    let default = parse("", &[]).unwrap();
    assert_eq!(config.server, default.server);
    assert_eq!(config.limits, default.limits);
    assert_eq!(config.webhooks, default.webhooks);
    let app = config.apps.by_id("1").unwrap();
    assert_eq!((app.keys.len(), app.webhooks.len()), (2, 1));
    assert_eq!(app.limits, courant_auth::AppLimits::default());
}

#[test]
fn every_setting_is_documented() {
    let page = reference_markdown();
    for section in documented_sections().into_iter().chain(super::super::apps::documented()) {
        assert!(!section.about.is_empty(), "{}", section.name);
        for setting in section.settings {
            assert!(
                setting.about.ends_with('.') && setting.about.len() > 10,
                "{}.{}",
                section.name,
                setting.name
            );
            assert!(page.contains(&format!("| `{}`", setting.name)));
        }
    }
}

#[test]
fn the_configuration_of_the_official_suites_loads() {
    let config = parse(&repository("tests/conformance/courant.toml"), &[]).unwrap();
    for (id, key, secret) in [
        ("1", "c49a449b916bb4246729", "s1"),
        ("2", "cb7d5e50f5669e5c9ae6", "s2"),
        ("123456", "app-key", "app-secret"),
    ] {
        let (app, pair) = config.apps.by_key(key).unwrap();
        assert_eq!(app.id.as_str(), id);
        assert!(app.client_events);
        assert_eq!(pair.secret.sign(&[b"x"]), courant_auth::Secret::new(secret).unwrap().sign(&[b"x"]));
    }
}
