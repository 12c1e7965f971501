use super::*;

/// The request of RFC 6455, section 1.3, with some headers replaced; an empty value removes one.
fn headers(changes: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let given = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (name, value) in given.iter().chain(changes) {
        if value.is_empty() {
            headers.remove(*name);
        } else {
            headers.insert(*name, HeaderValue::from_static(value));
        }
    }
    headers
}

fn check_with(changes: &[(&'static str, &'static str)]) -> Result<String, HandshakeError> {
    check(&Method::GET, Version::HTTP_11, &headers(changes))
}

#[test]
fn the_example_of_the_rfc_is_accepted() {
    assert_eq!(check_with(&[]).as_deref(), Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

#[test]
fn tokens_may_come_in_lists_and_in_any_case() {
    assert!(check_with(&[("connection", "keep-alive, UPGRADE"), ("upgrade", "WebSocket")]).is_ok());
    let mut lines = headers(&[("connection", "keep-alive")]);
    lines.append(CONNECTION, HeaderValue::from_static("upgrade"));
    assert!(check(&Method::GET, Version::HTTP_11, &lines).is_ok());
    assert_eq!(check_with(&[("connection", "upgraded")]), Err(NO_CONNECTION));
}

#[test]
fn requests_that_are_no_handshake_are_refused_by_name() {
    assert_eq!(check(&Method::POST, Version::HTTP_11, &headers(&[])), Err(METHOD));
    assert_eq!(check(&Method::GET, Version::HTTP_10, &headers(&[])), Err(HTTP_VERSION));
    assert_eq!(check(&Method::GET, Version::HTTP_2, &headers(&[])), Err(HTTP_VERSION));
    assert_eq!(check_with(&[("upgrade", "")]), Err(NO_UPGRADE));
    assert_eq!(check_with(&[("upgrade", "h2c")]), Err(NO_UPGRADE));
    assert_eq!(check_with(&[("connection", "close")]), Err(NO_CONNECTION));
    assert_eq!(check_with(&[("sec-websocket-version", "8")]), Err(WRONG_VERSION));
    assert_eq!(check_with(&[("sec-websocket-version", "")]), Err(WRONG_VERSION));
}

#[test]
fn a_key_is_sixteen_bytes_in_base64_given_once() {
    let wrong =
        ["", "AAAA", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "not base64 at all!!!!!!!"];
    for key in wrong {
        assert_eq!(check_with(&[("sec-websocket-key", key)]), Err(WRONG_KEY), "{key}");
    }
    let long = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
    assert_eq!(check_with(&[("sec-websocket-key", long)]), Err(WRONG_KEY));
    let mut twice = headers(&[]);
    twice.append(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(check(&Method::GET, Version::HTTP_11, &twice), Err(WRONG_KEY));
    // Its unused bits are not zero; clients that make keys from letters send such.
    assert!(check_with(&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZR==")]).is_ok());
}

#[test]
fn answers_carry_the_headers_of_their_status() {
    let response = WRONG_VERSION.response();
    assert_eq!(response.status(), 426);
    assert_eq!(response.headers()[SEC_WEBSOCKET_VERSION], "13");
    assert_eq!(response.headers()[UPGRADE], "websocket");
    assert_eq!(METHOD.response().headers()[ALLOW], "GET");
    assert_eq!(WRONG_KEY.response().into_body(), WRONG_KEY.to_string());
    let response = switching_protocols("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
