use proptest::prelude::*;

use super::*;

fn addresses(connections_max: u32, burst: u32, addresses_max: usize) -> Addresses {
    let non_zero = |n| NonZeroU32::new(n).unwrap();
    Addresses::new(AddressLimits {
        connections_max: non_zero(connections_max),
        connection_rate: Quota::per_second(non_zero(1), non_zero(burst)),
        exempt: ["127.0.0.0/8", "::1/128"].iter().map(|n| n.parse().unwrap()).collect(),
        addresses_max: NonZeroUsize::new(addresses_max).unwrap(),
    })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let (addresses, now) = (addresses(2, 100, 1000), Instant::now());
    let first = addresses.admit(ip("192.0.2.1"), now).unwrap();
    let _second = addresses.admit(ip("192.0.2.1"), now).unwrap();
    let refused = addresses.admit(ip("192.0.2.1"), now).map(drop);
    assert_eq!(refused, Err(AddressRefused::TooMany { connections_max: 2 }));
    let _other = addresses.admit(ip("192.0.2.2"), now).unwrap();
    drop(first);
    assert!(addresses.admit(ip("192.0.2.1"), now).is_ok());
}

#[test]
fn an_address_opens_connections_at_its_rate() {
    let (addresses, now) = (addresses(100, 2, 1000), Instant::now());
    for _ in 0..2 {
        drop(addresses.admit(ip("192.0.2.1"), now).unwrap());
    }
    assert_eq!(addresses.admit(ip("192.0.2.1"), now).map(drop), Err(AddressRefused::TooFast));
    assert!(addresses.admit(ip("192.0.2.1"), now + Duration::from_secs(1)).is_ok());
}

#[test]
fn exempt_addresses_are_not_counted() {
    let (addresses, now) = (addresses(1, 1, 1000), Instant::now());
    let guards: Vec<_> = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "127.0.0.1"]
        .map(|a| addresses.admit(ip(a), now))
        .into();
    assert!(guards.iter().all(Result::is_ok));
    assert_eq!(addresses.known(), 0);
}

#[test]
fn an_ipv6_customer_is_one_address() {
    let (addresses, now) = (addresses(1, 9, 1000), Instant::now());
    let _guard = addresses.admit(ip("2001:db8:0:1::1"), now).unwrap();
    assert!(addresses.admit(ip("2001:db8:0:1:ffff::2"), now).is_err());
    assert!(addresses.admit(ip("2001:db8:0:2::1"), now).is_ok());
}

#[test]
fn an_ipv4_address_is_the_same_inside_ipv6() {
    let (addresses, now) = (addresses(1, 9, 1000), Instant::now());
    let _guard = addresses.admit(ip("192.0.2.1"), now).unwrap();
    assert!(addresses.admit(ip("::ffff:192.0.2.1"), now).is_err());
}

#[test]
fn addresses_that_are_gone_are_forgotten() {
    let (addresses, start) = (addresses(9, 1, 100_000), Instant::now());
    for last in 0..=255 {
        drop(addresses.admit(IpAddr::from([198, 51, 100, last]), start).unwrap());
    }
    assert_eq!(addresses.known(), 256);
    // A new address in every shard makes each look; two seconds later nothing is left of the first ones.
    let later = start + Duration::from_secs(2);
    let guards: Vec<_> =
        (0..=255).map(|last| addresses.admit(IpAddr::from([203, 0, 113, last]), later).unwrap()).collect();
    assert_eq!(addresses.known(), guards.len());
}

#[test]
fn many_addresses_take_bounded_memory_and_share_limits_beyond_it() {
    let (addresses, now) = (addresses(3, 100, SHARDS), Instant::now());
    let mut guards = Vec::new();
    for n in 0..10_000_u32 {
        guards.extend(addresses.admit(IpAddr::from((n + (1 << 28)).to_be_bytes()), now));
    }
    // Each shard knows one address and the others.
    assert!(addresses.known() <= 2 * SHARDS);
    assert!(guards.len() <= SHARDS * (1 + 3));
    drop(guards);
    assert!(addresses.admit(ip("192.0.2.1"), now + Duration::from_secs(1000)).is_ok());
}

proptest! {
    /// Whatever comes and goes, the counts are those of the guards that live.
    #[test]
    fn counts_follow_the_guards(steps in prop::collection::vec((0u8..4, any::<bool>()), 0..200)) {
        let (addresses, now) = (addresses(3, 1_000, 1000), Instant::now());
        let mut open: [Vec<AddressGuard>; 4] = Default::default();
        for (n, opens) in steps {
            let guards = &mut open[usize::from(n)];
            if opens {
                let admitted = addresses.admit(IpAddr::from([192, 0, 2, n]), now);
                prop_assert_eq!(admitted.is_ok(), guards.len() < 3);
                guards.extend(admitted);
            } else {
                guards.pop();
            }
        }
    }
}
