use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, origin: &str) -> bool {
    OriginPattern::new(pattern).unwrap().matches(origin)
}

#[test]
fn a_full_origin_matches_exactly() {
    let pattern = "https://app.example.com";
    assert!(matches(pattern, "https://app.example.com"));
    assert!(matches(pattern, "https://app.example.com:443"));
    assert!(matches(pattern, "HTTPS://App.Example.COM"));
    assert!(!matches(pattern, "http://app.example.com"));
    assert!(!matches(pattern, "https://app.example.com:8443"));
    assert!(!matches(pattern, "https://example.com"));
    assert!(!matches(pattern, "https://app.example.com.evil.example"));
    assert!(!matches(pattern, "https://app.example.com@evil.example"));
    assert!(matches("http://localhost:3000", "http://localhost:3000"));
    assert!(!matches("http://localhost:3000", "http://localhost"));
    assert!(matches("capacitor://localhost", "capacitor://localhost"));
    assert!(matches("http://[::1]:3000", "http://[::1]:3000"));
}

#[test]
fn a_host_matches_with_any_scheme_and_port() {
    assert!(matches("localhost", "http://localhost:5173"));
    assert!(matches("localhost", "https://localhost"));
    assert!(!matches("localhost", "https://localhost.evil.example"));
    assert!(!matches("localhost:3000", "http://localhost:5173"));
}

#[test]
fn a_wildcard_matches_hosts_below_and_not_the_host_itself() {
    assert!(matches("*.example.com", "https://a.example.com"));
    assert!(matches("*.example.com", "http://a.b.example.com:8080"));
    assert!(!matches("*.example.com", "https://example.com"));
    assert!(!matches("*.example.com", "https://evilexample.com"));
    assert!(!matches("*.example.com", "https://a.example.com.evil.example"));
    assert!(matches("https://*.example.com", "https://a.example.com"));
    assert!(!matches("https://*.example.com", "http://a.example.com"));
}

#[test]
fn a_star_matches_even_null_and_nothing_else_does() {
    assert!(matches("*", "null"));
    assert!(matches("*", "https://a.example"));
    assert!(!matches("null", "null"));
    assert!(!matches("*.example.com", "null"));
}

#[test]
fn what_is_no_origin_is_refused() {
    for text in [
        "",
        "https://",
        "https://a.example/",
        "https://a.example/path",
        "a b",
        "*example.com",
        "a.*.com",
        "*.",
        "*.*.com",
        "https://a.example:port",
        "https://a.example:99999",
        "://a",
        "[::g]",
    ] {
        assert!(OriginPattern::new(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(pattern in ".{0,40}", origin in ".{0,40}") {
        if let Ok(pattern) = OriginPattern::new(&pattern) {
            pattern.matches(&origin);
        }
    }

    #[test]
    fn an_origin_matches_itself(scheme in "https?", host in "[a-z0-9]{1,8}(\\.[a-z]{2,5}){0,2}", port in prop::option::of(1u16..)) {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{scheme}://{host}{port}");
        prop_assert!(matches(&origin, &origin));
    }
}
