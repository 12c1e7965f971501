//! Signatures: no request breaks their check; what a sender signs is accepted however it is written, and nothing else.

use std::sync::LazyLock;

use courant_auth::signature::http::{
    HttpAuthError, Query, SignedRequest, body_md5, sign, verify, verify_body, verify_head,
};
use courant_auth::signature::{AuthError, channel_auth, user_auth, verify_channel_auth, verify_user_auth};
use courant_auth::{App, AppId, Apps, Key, KeyPair, Secret};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

// The application of Pusher's documented examples, and their time.
const KEY: &str = "278d425bdf160c739803";
const SECRET: &str = "7ad3773142a6692b25b8";
const NOW: u64 = 1_353_088_179;

/// What no other parameter may be called.
const RESERVED: [&str; 5] = ["auth_key", "auth_signature", "auth_timestamp", "auth_version", "body_md5"];

static APPS: LazyLock<Apps> = LazyLock::new(|| {
    let pair =
        |key, secret| KeyPair::new(Key::new(key).expect("a key"), Secret::new(secret).expect("a secret"));
    let disabled = KeyPair { disabled: true, ..pair("disabled", SECRET) };
    let first =
        App::new(AppId::new("3").expect("an id"), vec![pair(KEY, SECRET), pair("newer", "new"), disabled]);
    let other = App::new(AppId::new("4").expect("an id"), vec![pair("other", SECRET)]);
    Apps::new(vec![first, other]).expect("two applications")
});

/// Takes one byte that chooses, a line for the path, one for the query string, and the body. The same three are taken
/// for a socket id, a channel's name and what belongs to it.
pub(crate) fn check(data: &[u8]) {
    let [choice, rest @ ..] = data else { return };
    let mut parts = rest.splitn(3, |&byte| byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (path, query, body) = (part(), part(), part());
    let (path, query) = (String::from_utf8_lossy(path), String::from_utf8_lossy(query));
    let request = SignedRequest {
        method: if choice & 1 == 0 { "GET" } else { "POST" },
        path: &path,
        path_prefix: if choice & 2 == 0 { "" } else { "/realtime" },
        query: &query,
        body,
    };
    check_query(&query);
    check_as_sent(&request, (choice & 4 == 0).then_some("3"));
    // One of each, because hashing is slow under the sanitizer.
    let (change, writing) = (usize::from(choice >> 3 & 3), usize::from(choice >> 5) % 3);
    check_signed(&request, change);
    check_sender(&request, change, writing);
    check_client(&path, &query, &String::from_utf8_lossy(body));
}

fn check_query(raw: &str) {
    let query = Query::parse(raw);
    assert!(query.pairs().count() <= 1 + raw.matches('&').count());
    for (name, value) in query.pairs() {
        assert!(query.get(name).is_some());
        assert!(query.list(name).any(|one| one == value) || name.ends_with(']'), "{name} in {raw}");
    }
    let pairs: Vec<_> = query.pairs().collect();
    let again = Query::parse(&escaped(&pairs));
    assert_eq!(again.pairs().collect::<Vec<_>>(), pairs, "escaped and read again");
}

/// The request as it came, whose signature is hardly ever right.
fn check_as_sent(request: &SignedRequest<'_>, app_id: Option<&str>) {
    match verify(&APPS, app_id, request, NOW) {
        Ok(signer) => {
            assert!(app_id.is_none_or(|id| id == signer.app.id.as_str()));
            assert!(signer.app.key_pair(signer.key.as_str()).is_some(), "an active key of that application");
            (0..4).for_each(|change| check_changed(request, app_id, change));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Signs what the refusal of an unsigned request says should be signed.
fn check_signed(request: &SignedRequest<'_>, change: usize) {
    let secret = Secret::new(SECRET).expect("a secret");
    let md5 = body_md5(request.body);
    let with = |signature: &str| {
        format!(
            "auth_key={KEY}&auth_timestamp={NOW}&auth_version=1.0&body_md5={md5}&{}&auth_signature={signature}",
            request.query
        )
    };
    let unsigned = with(&"0".repeat(64));
    let refused = verify(&APPS, Some("3"), &SignedRequest { query: &unsigned, ..*request }, NOW);
    let given = Query::parse(request.query);
    let reserved = given.pairs().any(|(name, _)| RESERVED.contains(&name));
    let text = match refused.expect_err("nobody signed it") {
        HttpAuthError::Signature { string_to_sign, .. } => string_to_sign,
        HttpAuthError::Repeated { .. } if reserved => return,
        other => panic!("not a refusal of the signature: {other}"),
    };
    let all = Query::parse(&unsigned);
    let pairs: Vec<_> = all.pairs().filter(|&(name, _)| name != "auth_signature").collect();
    let signature = sign(&secret, request.method, request.path, &pairs);
    assert_eq!(signature, secret.sign(&[text.as_bytes()]), "the signature of {text}");

    let signed = with(&signature);
    let request = SignedRequest { query: &signed, ..*request };
    match verify(&APPS, Some("3"), &request, NOW) {
        Ok(signer) => assert_eq!((signer.app.id.as_str(), signer.key.as_str()), ("3", KEY)),
        Err(HttpAuthError::Repeated { name: "body_md5" }) if reserved => return,
        Err(error) => panic!("{error}"),
    }
    check_changed(&request, Some("3"), change);
    let stranger = verify(&APPS, Some("4"), &request, NOW);
    assert!(matches!(stranger, Err(HttpAuthError::KeyOfOtherApp { .. })));
    assert!(matches!(verify(&APPS, None, &request, NOW + 601), Err(HttpAuthError::Expired { .. })));
}

/// What is accepted is refused as soon as one of four things is changed in it.
fn check_changed(request: &SignedRequest<'_>, app_id: Option<&str>, change: usize) {
    let body = [request.body, b"x"].concat();
    let path = format!("{}/x", request.path);
    let query = format!("{}&added=x", request.query);
    let changed = match change {
        0 => SignedRequest { body: &body, ..*request },
        1 => SignedRequest { method: "PUT", ..*request },
        2 => SignedRequest { path: &path, ..*request },
        _ => SignedRequest { query: &query, ..*request },
    };
    let head = verify_head(&APPS, app_id, &changed, NOW);
    assert_eq!(head.is_ok(), change == 0, "the body is not part of the head: {changed:?}");
    assert_eq!(verify_body(changed.query, changed.body).is_err(), change == 0, "{changed:?}");
    match verify(&APPS, app_id, &changed, NOW) {
        Err(HttpAuthError::BodyMd5 { .. } | HttpAuthError::Missing { name: "body_md5" }) if change == 0 => {}
        Err(HttpAuthError::Signature { .. }) if change != 0 => {}
        other => panic!("{other:?} for {changed:?}"),
    }
}

/// Signs parameters and paths as one of the official SDKs does, and sends them as one does.
fn check_sender(request: &SignedRequest<'_>, path: usize, writing: usize) {
    let secret = Secret::new(SECRET).expect("a secret");
    let md5 = body_md5(request.body);
    let now = NOW.to_string();
    let given = Query::parse(request.query);
    let mut pairs: Vec<_> = given.pairs().filter(|(name, _)| !RESERVED.contains(name)).collect();
    pairs.extend([("auth_key", KEY), ("auth_timestamp", &now), ("auth_version", "1.0"), ("body_md5", &md5)]);
    let prefixed = format!("{}{}", request.path_prefix, request.path);
    let decoded = percent_decode_str(request.path).decode_utf8().ok();
    let (signed_path, sent_path) = match path {
        0 => (request.path, request.path),
        1 => (decoded.as_deref().unwrap_or(request.path), request.path),
        2 => (request.path, &*prefixed),
        // One prefix is taken off or put on, never a second.
        _ if request.path.starts_with(request.path_prefix) => (&*prefixed, &*prefixed),
        _ => (&*prefixed, request.path),
    };
    let signature = secret.sign(&[documented_text(request.method, signed_path, &pairs).as_bytes()]);
    let mut query = escaped(&pairs);
    match writing {
        0 => query = query.replace("%20", "+"),
        // In a name a '+' is always a space.
        1 if pairs.iter().all(|(name, _)| !name.contains('+')) => query = query.replace("%2B", "+"),
        _ => {}
    }
    query.push_str("&auth_signature=");
    query.push_str(&signature);
    let request = SignedRequest { path: sent_path, query: &query, ..*request };
    let verified = verify(&APPS, Some("3"), &request, NOW);
    assert!(verified.is_ok(), "{request:?} signed as {signed_path}: {verified:?}");
}

/// What Pusher's documentation says is signed.
fn documented_text(method: &str, path: &str, pairs: &[(&str, &str)]) -> String {
    let mut sorted = pairs.to_vec();
    sorted.sort_by_key(|&(name, _)| name);
    let parameters: Vec<String> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{method}\n{path}\n{}", parameters.join("&"))
}

/// Subscriptions and sign-ins.
fn check_client(socket_id: &str, channel: &str, data: &str) {
    let app = APPS.by_id("3").expect("an application");
    let secret = Secret::new(SECRET).expect("a secret");
    for (channel_data, text) in
        [(None, format!("{socket_id}:{channel}")), (Some(data), format!("{socket_id}:{channel}:{data}"))]
    {
        let signature = channel_auth(&secret, socket_id, channel, channel_data);
        assert_eq!(signature, secret.sign(&[text.as_bytes()]));
        check_auth(&signature, data, &|auth| {
            verify_channel_auth(app, auth, socket_id, channel, channel_data)
        });
    }
    let signature = user_auth(&secret, socket_id, data);
    assert_eq!(signature, secret.sign(&[format!("{socket_id}::user::{data}").as_bytes()]));
    check_auth(&signature, channel, &|auth| verify_user_auth(app, auth, socket_id, data));
}

/// `signature` is the right one by the first key, `given` is anything.
fn check_auth(signature: &str, given: &str, verify: &dyn Fn(&str) -> Result<(), AuthError>) {
    assert_eq!(verify(&format!("{KEY}:{signature}")), Ok(()));
    assert_eq!(verify(&format!("{KEY}:{}", signature.to_uppercase())), Ok(()));
    for (auth, unknown) in [("newer", false), ("disabled", true), ("other", true), ("", true)] {
        let refused = verify(&format!("{auth}:{signature}")).expect_err("not the key that signed");
        assert_eq!(matches!(refused, AuthError::UnknownKey { .. }), unknown, "{refused}");
    }
    let is_right =
        given.split_once(':').is_some_and(|(key, hex)| key == KEY && hex.eq_ignore_ascii_case(signature));
    assert_eq!(verify(given).is_ok(), is_right, "{given}");
}

/// Parameters with everything escaped that can be.
fn escaped(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let parameters: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    parameters.join("&")
}
