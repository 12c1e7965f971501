use proptest::prelude::*;

use super::*;
use crate::{AppId, KeyPair, Secret};

const KEY: &str = "278d425bdf160c739803";
const SECRET: &str = "7ad3773142a6692b25b8";
const NOW: u64 = 1_353_088_179;
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn apps() -> Apps {
    let app = |id: &str, key: &str, secret: &str| {
        let pair = KeyPair::new(Key::new(key).unwrap(), Secret::new(secret).unwrap());
        App::new(AppId::new(id).unwrap(), vec![pair])
    };
    Apps::new(vec![app("3", KEY, SECRET), app("4", "other", "other")]).unwrap()
}

fn get<'a>(path: &'a str, query: &'a str) -> SignedRequest<'a> {
    SignedRequest { method: "GET", path, path_prefix: "", query, body: b"" }
}

/// The query string of a request that signs exactly `signed` (method, path and parameters as the SDK sees them) and
/// sends `sent`.
fn query(method: &str, path: &str, signed: &[(&str, &str)], sent: &str) -> String {
    let timestamp = NOW.to_string();
    let mut parameters =
        vec![("auth_key", KEY), ("auth_timestamp", timestamp.as_str()), ("auth_version", "1.0")];
    parameters.extend_from_slice(signed);
    let signature = sign(&Secret::new(SECRET).unwrap(), method, path, &parameters);
    format!("auth_key={KEY}&auth_timestamp={NOW}&auth_version=1.0&{sent}&auth_signature={signature}")
}

fn text(request: &SignedRequest<'_>, now: u64) -> String {
    verify(&apps(), Some("3"), request, now).map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

// The vector of Pusher's documentation, "Worked authentication example".
const DOCUMENTED_BODY: &[u8] = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
const DOCUMENTED_QUERY: &str = "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0\
    &body_md5=ec365a775a4cd0599faeb73354201b6f\
    &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";

fn documented() -> SignedRequest<'static> {
    SignedRequest {
        method: "POST",
        path: "/apps/3/events",
        path_prefix: "",
        query: DOCUMENTED_QUERY,
        body: DOCUMENTED_BODY,
    }
}

#[test]
fn the_documented_request_is_accepted() {
    let signer = verify(&apps(), Some("3"), &documented(), NOW).unwrap();
    assert_eq!((signer.app.id.as_str(), signer.key.as_str()), ("3", KEY));
}

#[test]
fn a_request_whose_path_names_no_application_is_accepted_by_its_key() {
    // The Python SDK's terminate_user_connections.
    let path = "/users/7/terminate_connections";
    let body_md5 = body_md5(b"{}");
    let query = query("POST", path, &[("body_md5", &body_md5)], &format!("body_md5={body_md5}"));
    let request = SignedRequest { method: "POST", path, path_prefix: "", query: &query, body: b"{}" };
    assert_eq!(verify(&apps(), None, &request, NOW).unwrap().app.id.as_str(), "3");
}

#[test]
fn the_md5_of_nothing_is_accepted_on_a_get() {
    let query =
        query("GET", "/apps/3/channels", &[("body_md5", EMPTY_MD5)], &format!("body_md5={EMPTY_MD5}"));
    assert_eq!(text(&get("/apps/3/channels", &query), NOW), "accepted");
}

#[test]
fn values_are_signed_unescaped_however_they_are_sent() {
    let signed = [("filter_by_prefix", "presence-a@b,c"), ("info", "user_count,subscription_count")];
    for sent in [
        "filter_by_prefix=presence-a@b,c&info=user_count,subscription_count",
        "filter_by_prefix=presence-a%40b%2Cc&info=user_count%2csubscription_count",
        "Info=user_count,subscription_count&FILTER_BY_PREFIX=presence-a@b,c",
    ] {
        let query = query("GET", "/apps/3/channels", &signed, sent);
        assert_eq!(text(&get("/apps/3/channels", &query), NOW), "accepted", "{sent}");
    }
}

#[test]
fn a_plus_stands_for_a_space_or_for_itself() {
    for signed in ["a b", "a+b"] {
        let query = query("GET", "/apps/3/channels", &[("name", signed)], "name=a+b");
        assert_eq!(text(&get("/apps/3/channels", &query), NOW), "accepted", "{signed}");
    }
    let query = query("GET", "/apps/3/channels", &[("name", "a+b")], "name=a%2Bb");
    assert_eq!(text(&get("/apps/3/channels", &query), NOW), "accepted");
}

#[test]
fn a_path_is_signed_as_sent_or_decoded() {
    let sent = "/apps/3/channels/presence-a%40b%2cc";
    for signed in [sent, "/apps/3/channels/presence-a@b,c"] {
        let query = query("GET", signed, &[], "");
        assert_eq!(text(&get(sent, &query), NOW), "accepted", "{signed}");
    }
}

#[test]
fn a_path_is_signed_with_or_without_the_prefix() {
    for (sent, signed) in [
        ("/realtime/apps/3/channels", "/realtime/apps/3/channels"),
        ("/realtime/apps/3/channels", "/apps/3/channels"),
        ("/apps/3/channels", "/realtime/apps/3/channels"),
    ] {
        let query = query("GET", signed, &[], "");
        let request = SignedRequest { path_prefix: "/realtime", ..get(sent, &query) };
        assert_eq!(text(&request, NOW), "accepted", "{sent} signed as {signed}");
    }
}

#[test]
fn lists_are_signed_as_sent_or_joined() {
    let path = "/apps/3/channels";
    let as_sent =
        query("GET", path, &[("channels[]", "a"), ("channels[]", "b")], "channels[]=a&channels[]=b");
    assert_eq!(text(&get(path, &as_sent), NOW), "accepted");
    for sent in ["channels[]=a&channels[]=b", "channels%5B0%5D=a&channels%5B1%5D=b"] {
        let joined = query("GET", path, &[("channels", "a,b")], sent);
        assert_eq!(text(&get(path, &joined), NOW), "accepted", "{sent}");
    }
    let both =
        query("GET", path, &[("channels", "a,b"), ("name", "x+y")], "channels[]=a&channels[]=b&name=x+y");
    assert_eq!(text(&get(path, &both), NOW), "accepted");
}

#[test]
fn the_timestamp_may_be_ten_minutes_off_and_no_more() {
    for now in [NOW - 600, NOW + 600] {
        assert_eq!(text(&documented(), now), "accepted");
    }
    assert_eq!(
        text(&documented(), NOW + 601),
        "Timestamp expired: Given timestamp (2012-11-16T17:49:39Z) not within 600s of server time (2012-11-16T17:59:40Z)"
    );
    assert!(text(&documented(), NOW - 601).starts_with("Timestamp expired: "));
}

#[test]
fn a_timestamp_beyond_all_dates_is_shown_as_a_number() {
    let query = DOCUMENTED_QUERY.replace("1353088179", "18446744073709551615");
    let request = SignedRequest { query: &query, ..documented() };
    assert!(text(&request, NOW).contains("(18446744073709551615)"));
}

#[test]
fn each_refusal_says_what_is_wrong() {
    let with = |from: &str, to: &str| {
        let query = DOCUMENTED_QUERY.replace(from, to);
        text(&SignedRequest { query: &query, ..documented() }, NOW)
    };
    for name in ["auth_key", "auth_timestamp", "auth_version", "auth_signature"] {
        assert_eq!(with(name, "nothing"), format!("Missing required parameter: {name}"));
        assert_eq!(
            with("auth_version=1.0", &format!("auth_version=1.0&{name}=again")),
            format!("Parameter given more than once: {name}")
        );
    }
    assert_eq!(
        with("auth_version=1.0", "auth_version=2.0"),
        "Version not supported: auth_version must be 1.0, but you sent \"2.0\""
    );
    assert_eq!(with(KEY, "nobody"), "Unknown auth_key nobody");
    assert_eq!(with(KEY, "other"), "Invalid auth_key: other is no key of app 3");
    assert_eq!(
        with("1353088179", "soon"),
        "Invalid timestamp: auth_timestamp must be seconds since the Unix epoch, but you sent \"soon\""
    );
    assert_eq!(
        with("da454824", "00000000"),
        "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n/apps/3/events\\nauth_key=278d425bdf160c739803\
         &auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f\", your_secret_key), but \
         you sent \"00000000c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c\""
    );
}

#[test]
fn another_body_is_refused() {
    let request = SignedRequest { body: b"{}", ..documented() };
    assert_eq!(
        text(&request, NOW),
        "Invalid body_md5: the MD5 of the body is 99914b932bd37a50b983c5e7c90ae93b, but you sent \
         \"ec365a775a4cd0599faeb73354201b6f\""
    );
}

#[test]
fn a_body_without_its_md5_is_refused() {
    let query = query("POST", "/apps/3/events", &[], "");
    let request =
        SignedRequest { method: "POST", path: "/apps/3/events", path_prefix: "", query: &query, body: b"{}" };
    assert_eq!(text(&request, NOW), "Missing required parameter: body_md5");
    assert_eq!(text(&SignedRequest { body: b"", ..request }, NOW), "accepted");
}

#[test]
fn another_method_or_path_or_added_parameter_is_refused() {
    let refused = |request: SignedRequest<'_>| text(&request, NOW).starts_with("Invalid signature: ");
    assert!(refused(SignedRequest { method: "PUT", ..documented() }));
    assert!(refused(SignedRequest { path: "/apps/3/batch_events", ..documented() }));
    let added = format!("{DOCUMENTED_QUERY}&info=user_count");
    assert!(refused(SignedRequest { query: &added, ..documented() }));
}

proptest! {
    #[test]
    fn any_request_is_survived(
        path in "/[%+a-z0-9/]{0,30}|.{0,30}",
        prefix in "(/[a-z]{1,4})?",
        rest in "([a-z\\[\\]]{1,6}=[%+a-z0-9,]{0,8}&){0,5}|.{0,60}",
        key in prop::sample::select(vec![KEY, "other", "nobody"]),
        body: Vec<u8>,
        now: u64,
    ) {
        let query = format!("auth_key={key}&auth_timestamp={now}&auth_version=1.0&auth_signature=ab&{rest}");
        let request =
            SignedRequest { method: "POST", path: &path, path_prefix: &prefix, query: &query, body: &body };
        let refused = verify(&apps(), Some("3"), &request, now).unwrap_err();
        prop_assert!(!refused.to_string().is_empty());
        let parsed = Query::parse(&query);
        prop_assert!((1..=24).contains(&candidates::strings_to_sign(&request, &parsed).len()));
    }

    #[test]
    fn what_is_signed_verifies(
        body in prop::collection::vec(any::<u8>(), 0..64),
        value in "[ -~]{0,20}",
        name in "[a-z_]{1,10}",
    ) {
        prop_assume!(!name.starts_with("auth_") && name != "body_md5");
        let md5 = body_md5(&body);
        let escaped = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        let sent = format!("{name}={escaped}&body_md5={md5}");
        let query = query("POST", "/apps/3/events", &[(&name, &value), ("body_md5", &md5)], &sent);
        let request = SignedRequest { method: "POST", path: "/apps/3/events", path_prefix: "", query: &query, body: &body };
        prop_assert_eq!(text(&request, NOW), "accepted");
    }
}
