use super::*;

fn pair(key: &str, disabled: bool) -> KeyPair {
    KeyPair { key: Key::new(key).unwrap(), secret: Secret::new("s").unwrap(), disabled }
}

fn app(keys: Vec<KeyPair>) -> App {
    App::new(AppId::new("1").unwrap(), keys)
}

#[test]
fn webhooks_are_signed_with_the_oldest_active_key() {
    let app = app(vec![pair("oldest", true), pair("old", false), pair("new", false)]);
    assert_eq!(app.webhook_key_pair().map(|pair| pair.key.as_str()), Some("old"));
    assert!(app.key_pair("oldest").is_none());
    assert!(app.key_pair("new").is_some());
}

#[test]
fn all_origins_are_allowed_until_one_is_configured() {
    let mut app = app(vec![]);
    assert!(app.allows_origin(Some("https://evil.example")));
    app.allowed_origins = vec![OriginPattern::new("https://app.example.com").unwrap()];
    assert!(app.allows_origin(Some("https://app.example.com")));
    assert!(!app.allows_origin(Some("https://evil.example")));
    assert!(!app.allows_origin(Some("null")));
}

#[test]
fn programs_that_send_no_origin_are_allowed() {
    let mut app = app(vec![]);
    app.allowed_origins = vec![OriginPattern::new("https://app.example.com").unwrap()];
    assert!(app.allows_origin(None));
}
