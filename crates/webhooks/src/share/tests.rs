use proptest::prelude::*;

use super::*;

#[test]
fn the_only_sharer_may_use_everything() {
    assert!(fits(99, 99, 100, 1));
    assert!(!fits(100, 100, 100, 1));
}

#[test]
fn one_of_many_may_hold_as_much_as_is_free() {
    assert!(fits(49, 49, 100, 10));
    assert!(!fits(50, 50, 100, 10));
    assert!(fits(0, 50, 100, 10));
}

#[test]
fn an_equal_share_is_had_while_there_is_room_at_all() {
    assert!(fits(9, 99, 100, 10));
    assert!(!fits(10, 99, 100, 10));
    assert!(!fits(0, 100, 100, 10));
    assert!(!fits(0, 105, 100, 10));
}

#[test]
fn greedy_sharers_one_after_another_never_take_the_last_room() {
    let (mut used, mut held) = (0, Vec::new());
    for _ in 0..9 {
        let mut own = 0;
        while fits(own, used, 1000, 1000) {
            own += 1;
            used += 1;
        }
        held.push(own);
    }
    assert_eq!(held[0], 500);
    assert!(held.iter().all(|&own| own > 0) && used < 1000, "{held:?}");
}

/// Takes as often as there is room, and returns how often.
fn fill(shares: &mut Shares<&'static str>, owner: &'static str) -> usize {
    std::iter::from_fn(|| shares.has_room(&owner).then(|| shares.count_in(&owner))).count()
}

#[test]
fn an_application_that_takes_all_it_can_leaves_the_other_its_half() {
    let mut shares = Shares::new(1000);
    shares.share_among(2);
    assert_eq!(fill(&mut shares, "greedy"), 500);
    assert_eq!(fill(&mut shares, "modest"), 500);
    assert_eq!((shares.has_room(&"greedy"), shares.has_room(&"modest")), (false, false));
}

#[test]
fn what_one_gives_back_is_there_for_the_other_again() {
    let mut shares = Shares::new(10);
    shares.share_among(2);
    (0..4).for_each(|_| shares.count_in(&"a"));
    assert_eq!(fill(&mut shares, "b"), 5);
    (0..4).for_each(|_| shares.count_out(&"a"));
    assert_eq!(fill(&mut shares, "b"), 0, "as much as is free is what it has");
    assert_eq!(fill(&mut shares, "a"), 5);
}

#[test]
fn owners_that_hold_nothing_cost_nothing() {
    let mut shares = Shares::new(10);
    for owner in ["a", "b", "c"] {
        shares.count_in(&owner);
        shares.count_out(&owner);
        shares.count_out(&owner);
    }
    assert_eq!((shares.used, shares.held.len()), (0, 0));
}

#[test]
fn more_than_the_bound_is_taken_over_from_a_log_and_then_refused() {
    let mut shares = Shares::new(2);
    (0..5).for_each(|_| shares.count_in(&"a"));
    assert!(!shares.has_room(&"a") && !shares.has_room(&"b"));
    (0..4).for_each(|_| shares.count_out(&"a"));
    assert!(shares.has_room(&"a"));
}

proptest! {
    /// Whatever two applications take and give back, in whatever order.
    #[test]
    fn of_two_applications_each_always_gets_its_equal_share(
        max in 1..60usize,
        acts in prop::collection::vec((any::<bool>(), prop::bool::weighted(0.7)), 0..400),
    ) {
        let mut shares = Shares::new(max);
        shares.share_among(2);
        let mut held = [0usize; 2];
        for (is_second, takes) in acts {
            let owner = usize::from(is_second);
            if takes {
                let has_room = shares.has_room(&owner);
                prop_assert!(has_room || held[owner] >= max / 2, "{held:?} of {max}");
                if has_room {
                    shares.count_in(&owner);
                    held[owner] += 1;
                }
            } else if held[owner] > 0 {
                shares.count_out(&owner);
                held[owner] -= 1;
            }
            prop_assert_eq!([shares.held(&0), shares.held(&1)], held);
            prop_assert_eq!(shares.used, held[0] + held[1]);
            prop_assert!(shares.used <= max);
        }
    }

    /// One that is flooded leaves half to all the others, however many they are.
    #[test]
    fn one_of_many_applications_never_holds_more_than_half(max in 1..2000usize, sharers in 2..200usize) {
        let mut shares = Shares::new(max);
        shares.share_among(sharers);
        prop_assert_eq!(fill(&mut shares, "greedy"), max.div_ceil(2));
    }
}
