use proptest::prelude::*;

use super::*;

#[test]
fn ids_and_keys_are_ascii_words_of_bounded_length() {
    assert!(AppId::new("1001").is_ok());
    assert!(Key::new("a-Z_0").is_ok());
    assert!(AppId::new(&"7".repeat(64)).is_ok());
    assert_eq!(AppId::new(""), Err(IdentityError::Empty));
    assert_eq!(AppId::new(&"7".repeat(65)), Err(IdentityError::TooLong { bytes: 65 }));
    assert_eq!(Key::new("a:b"), Err(IdentityError::Character { character: ':' }));
    assert_eq!(Key::new("ключ"), Err(IdentityError::Character { character: 'к' }));
}

#[test]
fn a_secret_never_shows_itself() {
    let secret = Secret::new("7ad3773142a6692b25b8").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert_eq!(Secret::new("").unwrap_err(), IdentityError::Empty);
}

#[test]
fn a_signature_is_of_the_parts_together() {
    let secret = Secret::new("s").unwrap();
    assert_eq!(secret.sign(&[b"ab", b"c"]), secret.sign(&[b"abc"]));
    assert!(secret.verifies(&[b"a", b"bc"], &secret.sign(&[b"abc"])));
}

proptest! {
    #[test]
    fn only_the_right_hex_verifies(message: Vec<u8>, other in ".{0,80}") {
        let secret = Secret::new("s").unwrap();
        let signature = secret.sign(&[&message]);
        prop_assert!(secret.verifies(&[&message], &signature));
        prop_assert_eq!(secret.verifies(&[&message], &other), other.eq_ignore_ascii_case(&signature));
        prop_assert!(!secret.verifies(&[&message], &signature[..62]));
    }
}
