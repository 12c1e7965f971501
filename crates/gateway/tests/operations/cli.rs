//! The command line, and what can go wrong at the start.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::process::{Ended, courant, refused_to_serve, run};
use crate::support::{App, Server};

/// Checks a configuration file of this content.
fn check(config: &str, environment: &[(&str, &str)]) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("courant.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = courant(&["check-config", "--config", file.to_str().unwrap()]);
    run(command.current_dir(directory.path()).envs(environment.iter().copied()))
}

fn refused(config: &str, environment: &[(&str, &str)]) -> String {
    let ended = check(config, environment);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    ended.stderr
}

#[test]
fn a_configuration_that_is_valid_is_said_to_be() {
    let ended = check(&App::usual().toml(), &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "the configuration is valid: 1 application(s)\n");
    assert_eq!(ended.stderr, "");
    // The environment alone, and nothing at all.
    let app = [("COURANT_APP_ID", "1"), ("COURANT_APP_KEY", "k"), ("COURANT_APP_SECRET", "a-secret")];
    let ended = run(courant(&["check-config"]).envs(app));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(run(&mut courant(&["check-config"])).code, Some(0));
}

#[test]
fn a_wrong_value_is_told_with_its_line_its_key_and_what_is_allowed() {
    let said = refused("[limits]\n\nconnections_max = \"many\"\n", &[]);
    assert!(said.contains("courant.toml:3: limits.connections_max = \"many\": "), "{said}");
    assert!(said.contains("100000000") || said.contains("100,000,000"), "what is allowed: {said}");
    let said = refused("[drain]\nduration = \"2 fortnights\"\n", &[]);
    assert!(said.contains("courant.toml:2: drain.duration") && said.contains("from 0s to 1h"), "{said}");
    let said = refused("", &[("COURANT_LOG_FORMAT", "xml")]);
    assert!(said.contains("COURANT_LOG_FORMAT: log.format = ") && said.contains("pretty"), "{said}");
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_probably_meant() {
    let said = refused("[limits]\nconection_max = 3\n", &[]);
    assert!(said.contains("courant.toml:2: ") && said.contains("connections_max"), "{said}");
    let said = refused("[limit]\nconnections_max = 3\n", &[]);
    assert!(said.contains("limits"), "{said}");
    let said = refused("", &[("COURANT_LIMITS_CONECTIONS_MAX", "3")]);
    assert!(said.contains("COURANT_LIMITS_CONNECTIONS_MAX"), "{said}");
}

#[test]
fn all_problems_are_told_at_once() {
    let said =
        refused("[limits]\nconnections_max = -1\n[drain]\nduration = 3\n[server]\nlisten = \"here\"\n", &[]);
    for place in ["courant.toml:2: ", "courant.toml:4: ", "courant.toml:6: "] {
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn a_file_that_can_not_be_read_is_told_by_its_name() {
    let ended = run(&mut courant(&["check-config", "--config", "/no/such/courant.toml"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/no/such/courant.toml: "), "{ended:?}");
    let said = refused("[limits\n", &[]);
    assert!(said.contains("courant.toml:1"), "{said}");
}

#[test]
fn a_secret_is_never_repeated() {
    let said = refused("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = 17171717\n", &[]);
    assert!(!said.contains("17171717"), "{said}");
    let said = refused("", &[("COURANT_APP_ID", "!"), ("COURANT_APP_SECRET", "hush-hush-hush")]);
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn the_documents_are_those_of_the_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (page, file) in [
        ("configuration", "docs/configuration.md"),
        ("metrics", "docs/metrics.md"),
        ("protocol", "docs/protocol.md"),
        ("example", "courant.example.toml"),
    ] {
        let ended = run(&mut courant(&["docs", page]));
        assert_eq!(ended.code, Some(0));
        let path: PathBuf = root.join(file);
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == ended.stdout, "{file} is out of date: courant docs {page} > {file}");
    }
}

#[test]
fn the_example_is_a_valid_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let example = std::fs::read_to_string(root.join("courant.example.toml")).unwrap();
    assert_eq!(check(&example, &[]).code, Some(0));
}

#[test]
fn help_and_version_are_told() {
    let help = run(&mut courant(&["--help"]));
    assert_eq!(help.code, Some(0));
    for command in ["serve", "check-config", "docs", "bench"] {
        assert!(help.stdout.contains(&format!("\n  {command}")), "{}", help.stdout);
    }
    let version = run(&mut courant(&["--version"]));
    assert_eq!(version.stdout, format!("courant {}\n", env!("CARGO_PKG_VERSION")));
    let unknown = run(&mut courant(&["sreve"]));
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("serve"), "{}", unknown.stderr);
    let bare = run(&mut courant(&[]));
    assert_eq!(bare.code, Some(2));
    assert!(bare.stderr.contains("serve"), "{}", bare.stderr);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["listen", "private_listen"] {
        let said = refused_to_serve(&format!("[server]\n{key} = \"{address}\"\n"));
        assert!(said.contains(&format!("can't listen on {address}")) && said.contains("in use"), "{said}");
        assert!(!said.contains("is listening on"), "it is not ready: {said}");
    }
    let app = App::usual().toml();
    let said = refused_to_serve(&format!("[server]\nlisten = \"192.0.2.1:0\"\n{app}"));
    assert!(said.contains("can't listen on 192.0.2.1:0"), "{said}");
}

#[test]
fn the_development_application_is_for_loopback_only() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let said = refused_to_serve(&format!("[server]\nlisten = \"{listen}\"\n"));
        assert!(said.contains("development application") && said.contains("COURANT_APP_ID"), "{said}");
        let said = refused_to_serve(&format!(
            "[server]\nlisten = \"{listen}\"\n[[apps]]\nid = \"1\"\nkey = \"mine\"\nsecret = \"courant-secret\"\n"
        ));
        assert!(said.contains("everybody knows"), "{said}");
    }
}

#[tokio::test]
async fn a_data_directory_of_another_process_is_an_error_that_names_it() {
    let webhook = "[[apps.webhooks]]\nurl = \"https://example.com/hook\"\nevent_types = [\"cache_miss\"]";
    let app = App::usual().set(webhook);
    let data = tempfile::tempdir().unwrap();
    let server = Server::builder().app(&app).data_directory(data.path()).start().await;
    let config = format!("[server]\ndata_directory = \"{}\"\n{}", data.path().display(), app.toml());
    let said = refused_to_serve(&config);
    assert!(said.contains(&data.path().display().to_string()), "{said}");
    assert!(said.contains("another process") || said.contains("in use") || said.contains("lock"), "{said}");
    assert_eq!(server.private_get("/readyz").await.unwrap().status, 200, "the first one goes on");
}

#[tokio::test]
async fn a_data_directory_that_can_not_be_written_is_an_error_that_names_it() {
    let webhook = "[[apps.webhooks]]\nurl = \"https://example.com/hook\"\nevent_types = [\"cache_miss\"]";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a-file");
    std::fs::write(&file, "in the way").unwrap();
    let config =
        format!("[server]\ndata_directory = \"{}\"\n{}", file.display(), App::usual().set(webhook).toml());
    let said = refused_to_serve(&config);
    assert!(said.contains("a-file"), "{said}");
}
