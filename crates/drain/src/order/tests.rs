use proptest::prelude::*;

use super::*;

#[test]
fn neighbours_are_parted() {
    let order = random_order((0..1_000).collect(), 1);
    let still_neighbours = order.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
    assert!(still_neighbours < 10, "{still_neighbours}");
}

#[test]
fn another_seed_is_another_order() {
    let ids: Vec<u32> = (0..100).collect();
    assert_ne!(random_order(ids.clone(), 1), random_order(ids, 2));
}

proptest! {
    #[test]
    fn each_id_is_kept_once_and_the_seed_decides(ids: Vec<u32>, seed: u64) {
        let order = random_order(ids.clone(), seed);
        prop_assert_eq!(&order, &random_order(ids.clone(), seed));
        let (mut before, mut after) = (ids, order);
        before.sort_unstable();
        after.sort_unstable();
        prop_assert_eq!(before, after);
    }
}
