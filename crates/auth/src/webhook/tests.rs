use super::*;

fn endpoint() -> WebhookEndpoint {
    WebhookEndpoint::new("https://example.com/hook").unwrap()
}

#[test]
fn every_event_is_found_by_its_name() {
    for event in WebhookEvent::ALL {
        assert_eq!(event.as_str().parse(), Ok(event));
    }
    let unknown = WebhookEvent::from_str("channel_exploded");
    assert_eq!(unknown, Err(WebhookError::Event("channel_exploded".to_owned())));
}

#[test]
fn only_absolute_http_urls_without_credentials_are_taken() {
    assert!(WebhookEndpoint::new("http://10.0.0.1:8080/hook?x=1").is_ok());
    for url in ["", "/hook", "example.com/hook", "ftp://example.com/", "https://", "not a url", "https:///x"]
    {
        assert_eq!(WebhookEndpoint::new(url), Err(WebhookError::Url(url.to_owned())), "{url:?}");
    }
    for url in
        ["https://user:pw@example.com/", "https://user:p w@example.com/", "https://user:p/w@exam ple.com/"]
    {
        assert_eq!(WebhookEndpoint::new(url), Err(WebhookError::Credentials), "{url:?}");
    }
}

#[test]
fn an_endpoint_is_told_everything_until_it_chooses() {
    let mut endpoint = endpoint();
    assert!(endpoint.wants(WebhookEvent::CacheMiss, "any"));
    endpoint.event_types = vec![WebhookEvent::MemberAdded];
    assert!(!endpoint.wants(WebhookEvent::CacheMiss, "any"));
    assert!(endpoint.wants(WebhookEvent::MemberAdded, "any"));
}

#[test]
fn prefix_and_suffix_both_have_to_match() {
    let mut endpoint = endpoint();
    endpoint.channel_prefix = Some("presence-".to_owned());
    endpoint.channel_suffix = Some("-eu".to_owned());
    assert!(endpoint.wants(WebhookEvent::MemberAdded, "presence-room-eu"));
    assert!(!endpoint.wants(WebhookEvent::MemberAdded, "presence-room-us"));
    assert!(!endpoint.wants(WebhookEvent::MemberAdded, "private-room-eu"));
}

#[test]
fn headers_that_would_break_the_request_or_the_signature_are_refused() {
    let mut endpoint = endpoint();
    assert_eq!(endpoint.add_header("Authorization", "Bearer x"), Ok(()));
    for name in ["Content-Type", "host", "X-Pusher-Key", "x-pusher-signature", "Content-Length"] {
        assert!(
            matches!(endpoint.add_header(name, "x"), Err(WebhookError::ReservedHeader(_))),
            "{name} was accepted"
        );
    }
    assert!(matches!(endpoint.add_header("X Y", "x"), Err(WebhookError::Header(_))));
    assert!(matches!(endpoint.add_header("X-Y", "a\r\nb: c"), Err(WebhookError::Header(_))));
    assert_eq!(endpoint.headers.len(), 1);
}

#[test]
fn the_values_of_headers_are_not_printed() {
    let mut endpoint = endpoint();
    endpoint.add_header("Authorization", "Bearer hush").unwrap();
    assert!(!format!("{endpoint:?}").contains("hush"));
}
