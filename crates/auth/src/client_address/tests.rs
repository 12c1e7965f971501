use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";

fn client(peer: &str, forwarded_for: &[&str]) -> String {
    let trusted: Networks = ["10.0.0.0/8", "fd00::/8"].iter().map(|n| n.parse().unwrap()).collect();
    client_address(peer.parse().unwrap(), forwarded_for.iter().copied(), &trusted).to_string()
}

#[test]
fn a_header_from_an_untrusted_peer_is_not_believed() {
    assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
}

#[test]
fn it_is_the_rightmost_address_that_is_not_trusted() {
    assert_eq!(client(PROXY, &["198.51.100.1"]), "198.51.100.1");
    assert_eq!(client(PROXY, &["6.6.6.6, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
    assert_eq!(client(PROXY, &["6.6.6.6", "198.51.100.1", "10.0.0.2"]), "198.51.100.1");
}

#[test]
fn without_a_header_it_is_the_peer() {
    assert_eq!(client(PROXY, &[]), PROXY);
}

#[test]
fn where_all_are_trusted_it_is_the_first() {
    assert_eq!(client(PROXY, &["10.9.9.9, 10.0.0.2"]), "10.9.9.9");
}

#[test]
fn ports_brackets_and_embedded_ipv4_are_understood() {
    assert_eq!(client(PROXY, &["198.51.100.1:4711"]), "198.51.100.1");
    assert_eq!(client(PROXY, &["[2001:db8::7]:4711"]), "2001:db8::7");
    assert_eq!(client(PROXY, &["[2001:db8::7]"]), "2001:db8::7");
    assert_eq!(client(PROXY, &["2001:db8::7, fd00::1"]), "2001:db8::7");
    assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
}

#[test]
fn a_malformed_header_is_worth_nothing() {
    for value in ["", "unknown", "198.51.100.1, ", "_hidden", "198.51.100.1, junk", "1.2.3"] {
        assert_eq!(client(PROXY, &[value]), PROXY, "{value:?}");
    }
}

#[test]
fn what_is_left_of_the_client_does_not_matter() {
    assert_eq!(client(PROXY, &["junk, 198.51.100.1"]), "198.51.100.1");
}

proptest! {
    #[test]
    fn any_header_is_survived(values in prop::collection::vec(".{0,60}", 0..4)) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        client(PROXY, &values);
    }

    #[test]
    fn a_client_can_not_choose_its_address(invented in "[0-9a-f.:, ]{0,40}", last: [u8; 4]) {
        prop_assume!(last[0] != 10);
        let last = IpAddr::from(last).to_string();
        prop_assert_eq!(client(PROXY, &[&format!("{invented}, {last}")]), last);
    }
}
