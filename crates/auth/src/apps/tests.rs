use super::*;
use crate::Secret;

fn app(id: &str, keys: &[&str]) -> App {
    let pair = |key: &&str| KeyPair::new(Key::new(key).unwrap(), Secret::new("s").unwrap());
    App::new(AppId::new(id).unwrap(), keys.iter().map(pair).collect())
}

#[test]
fn applications_are_found_by_id_and_by_each_key() {
    let apps = Apps::new(vec![app("1", &["a", "b"]), app("2", &["c"])]).unwrap();
    assert_eq!(apps.by_id("2").map(|app| app.id.as_str()), Some("2"));
    let (app, pair) = apps.by_key("b").unwrap();
    assert_eq!((app.id.as_str(), pair.key.as_str()), ("1", "b"));
    assert!(apps.by_id("3").is_none());
    assert!(apps.by_key("").is_none());
    assert_eq!(apps.iter().len(), 2);
}

#[test]
fn a_disabled_key_is_not_found() {
    let mut rotated = app("1", &["old", "new"]);
    rotated.keys[0].disabled = true;
    let apps = Apps::new(vec![rotated]).unwrap();
    assert!(apps.by_key("old").is_none());
    assert!(apps.by_key("new").is_some());
}

#[test]
fn a_disabled_application_is_found_so_that_clients_can_be_told() {
    let mut disabled = app("1", &["a"]);
    disabled.enabled = false;
    let apps = Apps::new(vec![disabled]).unwrap();
    assert!(apps.by_key("a").is_some_and(|(app, _)| !app.enabled));
}

#[test]
fn doubles_are_refused() {
    let double_id = Apps::new(vec![app("1", &["a"]), app("1", &["b"])]);
    assert_eq!(double_id.unwrap_err(), AppsError::DuplicateId(AppId::new("1").unwrap()));
    let double_key = AppsError::DuplicateKey(Key::new("a").unwrap());
    assert_eq!(Apps::new(vec![app("1", &["a"]), app("2", &["a"])]).unwrap_err(), double_key);
    assert_eq!(Apps::new(vec![app("1", &["a", "a"])]).unwrap_err(), double_key);
}

#[test]
fn a_refused_application_leaves_nothing_behind() {
    let mut apps = Apps::new(vec![app("1", &["a"])]).unwrap();
    assert!(apps.add(app("2", &["b", "a"])).is_err());
    assert!(apps.by_id("2").is_none());
    assert!(apps.by_key("b").is_none());
}

#[test]
fn an_enabled_application_needs_an_active_key() {
    let no_key = AppsError::NoActiveKey(AppId::new("1").unwrap());
    assert_eq!(Apps::new(vec![app("1", &[])]).unwrap_err(), no_key);
    let mut disabled = app("1", &[]);
    disabled.enabled = false;
    assert!(Apps::new(vec![disabled]).is_ok());
}
