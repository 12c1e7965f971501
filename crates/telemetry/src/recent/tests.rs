use std::net::Ipv4Addr;

use super::*;

fn address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(number))
}

#[test]
fn a_client_that_returns_within_a_minute_was_here() {
    let start = Instant::now();
    let recent = RecentClients::new(start);
    recent.left(address(1), "1001", start);
    assert!(recent.was_here(address(1), "1001", start + Duration::from_secs(59)));
}

#[test]
fn another_app_or_address_was_not_here() {
    let start = Instant::now();
    let recent = RecentClients::new(start);
    recent.left(address(1), "1001", start);
    assert!(!recent.was_here(address(1), "1002", start));
    assert!(!recent.was_here(address(2), "1001", start));
}

#[test]
fn a_client_is_remembered_for_one_to_two_minutes_whenever_it_leaves() {
    let start = Instant::now();
    for left_after in [0, 1, 30, 59, 60, 61, 119, 120, 600] {
        let recent = RecentClients::new(start);
        let left = start + Duration::from_secs(left_after);
        recent.left(address(1), "1001", left);
        assert!(recent.was_here(address(1), "1001", left + Duration::from_secs(59)), "{left_after}");
        assert!(!recent.was_here(address(1), "1001", left + Duration::from_secs(180)), "{left_after}");
    }
}

#[test]
fn more_clients_than_the_bound_push_out_the_first_ones() {
    let start = Instant::now();
    let recent = RecentClients::with_entries_max(100, start);
    for client in 0..1_000 {
        recent.left(address(client), "1001", start);
        let generations = recent.generations.lock();
        assert!(generations.young.len() <= 100 && generations.old.len() <= 100);
    }
    assert!(recent.was_here(address(999), "1001", start));
    assert!(recent.was_here(address(900), "1001", start));
    assert!(!recent.was_here(address(0), "1001", start));
}

#[test]
fn one_client_that_comes_and_goes_takes_one_entry() {
    let start = Instant::now();
    let recent = RecentClients::with_entries_max(100, start);
    for _ in 0..1_000 {
        recent.left(address(7), "1001", start);
    }
    assert_eq!(recent.generations.lock().young.len(), 1);
}

#[test]
fn a_clock_that_goes_back_changes_nothing() {
    let start = Instant::now() + Duration::from_secs(3600);
    let recent = RecentClients::new(start);
    recent.left(address(1), "1001", start);
    assert!(recent.was_here(address(1), "1001", start - Duration::from_secs(1800)));
}
