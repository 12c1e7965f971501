use proptest::prelude::*;

use super::*;
use crate::{AppId, Key, KeyPair};

const KEY: &str = "278d425bdf160c739803";
const SECRET: &str = "7ad3773142a6692b25b8";
const SOCKET: &str = "1234.1234";

fn app() -> App {
    let pair = KeyPair::new(Key::new(KEY).unwrap(), Secret::new(SECRET).unwrap());
    App::new(AppId::new("3").unwrap(), vec![pair])
}

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

// The vectors of Pusher's documentation, "Channels authentication signatures".

#[test]
fn a_private_channel_is_signed_as_documented() {
    let signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
    assert_eq!(channel_auth(&secret(), SOCKET, "private-foobar", None), signature);
    let auth = format!("{KEY}:{signature}");
    assert_eq!(verify_channel_auth(&app(), &auth, SOCKET, "private-foobar", None), Ok(()));
}

#[test]
fn a_presence_channel_is_signed_as_documented() {
    let data = r#"{"user_id":10,"user_info":{"name":"Mr. Pusher"}}"#;
    let signature = "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c";
    assert_eq!(channel_auth(&secret(), SOCKET, "presence-foobar", Some(data)), signature);
    let auth = format!("{KEY}:{signature}");
    assert_eq!(verify_channel_auth(&app(), &auth, SOCKET, "presence-foobar", Some(data)), Ok(()));
}

#[test]
fn a_user_is_signed_as_documented() {
    let data = r#"{"id":"12345"}"#;
    let signature = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba";
    assert_eq!(user_auth(&secret(), SOCKET, data), signature);
    assert_eq!(verify_user_auth(&app(), &format!("{KEY}:{signature}"), SOCKET, data), Ok(()));
}

#[test]
fn channel_data_is_signed_on_private_channels_too_even_when_empty() {
    let with = channel_auth(&secret(), SOCKET, "private-x", Some(""));
    let without = channel_auth(&secret(), SOCKET, "private-x", None);
    assert_ne!(with, without);
    let auth = format!("{KEY}:{with}");
    assert_eq!(verify_channel_auth(&app(), &auth, SOCKET, "private-x", Some("")), Ok(()));
    assert!(verify_channel_auth(&app(), &auth, SOCKET, "private-x", None).is_err());
}

#[test]
fn refusals_have_the_texts_of_the_real_service() {
    let text = |auth: &str, data| {
        verify_channel_auth(&app(), auth, "1.2", "presence-x", data).map_err(|error| error.to_string())
    };
    assert_eq!(text("", None), Err("Invalid format: auth must have the format key:signature".into()));
    assert_eq!(text("other:ab", None), Err("Invalid key in subscription auth data: 'other'".into()));
    assert_eq!(
        text(&format!("{KEY}:ab"), None),
        Err("Invalid signature: Expected HMAC SHA256 hex digest of 1.2:presence-x, but got ab".into())
    );
    assert_eq!(
        text(&format!("{KEY}:ab"), Some("{}")),
        Err("Invalid signature: Expected HMAC SHA256 hex digest of 1.2:presence-x:{}, but got ab".into())
    );
}

#[test]
fn every_active_key_signs_and_a_disabled_one_does_not() {
    let mut app = app();
    let newer = KeyPair::new(Key::new("newer").unwrap(), Secret::new("other").unwrap());
    app.keys.push(newer);
    let auth = format!("newer:{}", channel_auth(&Secret::new("other").unwrap(), SOCKET, "private-x", None));
    assert_eq!(verify_channel_auth(&app, &auth, SOCKET, "private-x", None), Ok(()));
    app.keys[1].disabled = true;
    let refused = verify_channel_auth(&app, &auth, SOCKET, "private-x", None);
    assert_eq!(refused, Err(AuthError::UnknownKey { key: "newer".to_owned() }));
}

#[test]
fn a_webhook_is_signed_over_its_body() {
    // RFC 4231, test case 2.
    let secret = Secret::new("Jefe").unwrap();
    let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(webhook(&secret, b"what do ya want for nothing?"), signature);
}

proptest! {
    #[test]
    fn any_auth_is_survived(auth in ".{0,100}", socket in ".{0,20}", channel in ".{0,40}", data in prop::option::of(".{0,40}")) {
        prop_assert!(verify_channel_auth(&app(), &auth, &socket, &channel, data.as_deref()).is_err());
        prop_assert!(verify_user_auth(&app(), &auth, &socket, &channel).is_err());
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else(channel in "[a-z-]{1,20}", data in prop::option::of(".{0,40}"), other in "[a-z-]{1,20}") {
        let auth = format!("{KEY}:{}", channel_auth(&secret(), SOCKET, &channel, data.as_deref()));
        let verified = |channel: &str| verify_channel_auth(&app(), &auth, SOCKET, channel, data.as_deref()).is_ok();
        prop_assert!(verified(&channel));
        prop_assert_eq!(verified(&other), channel == other);
        prop_assert!(verify_channel_auth(&app(), &auth, "1234.1235", &channel, data.as_deref()).is_err());
    }
}
