use proptest::prelude::*;

use super::*;

const GRACE: Duration = Duration::from_secs(3);

impl Owned for u8 {
    type Owner = ();

    fn owner(&self) -> &() {
        &()
    }
}

/// The key of an application.
impl Owned for (char, u8) {
    type Owner = char;

    fn owner(&self) -> &char {
        &self.0
    }
}

struct Rig {
    grace: Grace<u8, ()>,
    now: Instant,
    /// What receivers would see: the key, and whether it began.
    told: Vec<(u8, bool)>,
}

impl Rig {
    fn new() -> Self {
        Self { grace: Grace::new(GRACE, 100), now: Instant::now(), told: Vec::new() }
    }

    fn report(&mut self, key: u8, begins: bool) {
        if !begins {
            self.grace.end(&key, self.now);
        } else if self.grace.begin(&key, self.now) == Begun::First {
            self.grace.announce(key, ());
            self.told.push((key, true));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.grace.next_deadline().filter(|&next| next <= until) {
            self.now = next;
            while let Some((key, ())) = self.grace.pop_ended(next) {
                self.told.push((key, false));
            }
        }
        self.now = until;
    }
}

#[test]
fn an_end_is_told_after_the_grace_and_not_before() {
    let mut rig = Rig::new();
    rig.report(1, true);
    rig.report(1, false);
    rig.pass(GRACE - Duration::from_millis(1));
    assert_eq!(rig.told, [(1, true)]);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.told, [(1, true), (1, false)]);
    assert_eq!((rig.grace.len(), rig.grace.unsettled()), (0, 0));
}

#[test]
fn a_return_within_the_grace_tells_neither() {
    let mut rig = Rig::new();
    rig.report(1, true);
    for _ in 0..5 {
        rig.report(1, false);
        rig.pass(GRACE / 2);
        rig.report(1, true);
        rig.pass(GRACE / 2);
    }
    rig.pass(GRACE * 10);
    assert_eq!(rig.told, [(1, true)]);
}

#[test]
fn a_begin_and_an_end_reported_in_the_wrong_order_cancel_each_other() {
    let mut rig = Rig::new();
    rig.report(1, true);
    // Really: end, begin.
    rig.report(1, true);
    rig.report(1, false);
    rig.pass(GRACE * 2);
    assert_eq!(rig.told, [(1, true)]);
    // Really: begin, end, of a key that was not there.
    rig.report(2, false);
    rig.report(2, true);
    rig.pass(GRACE * 2);
    assert_eq!(rig.told, [(1, true)]);
    assert_eq!(rig.grace.len(), 1);
}

#[test]
fn a_lost_report_is_set_right_after_the_grace() {
    let mut rig = Rig::new();
    // Its end was lost in between.
    rig.report(1, true);
    rig.report(1, true);
    rig.pass(GRACE);
    rig.report(1, false);
    rig.pass(GRACE);
    assert_eq!(rig.told, [(1, true), (1, false)]);
    // Its begin was lost.
    rig.report(1, false);
    rig.pass(GRACE);
    rig.report(1, true);
    assert_eq!(rig.told, [(1, true), (1, false), (1, true)]);
}

#[test]
fn a_full_table_refuses_begins_and_stays_bounded() {
    let mut rig = Rig { grace: Grace::new(GRACE, 2), ..Rig::new() };
    (0..4).for_each(|key| rig.report(key, true));
    (10..14).for_each(|key| rig.report(key, false));
    assert_eq!(rig.told, [(0, true), (1, true)]);
    assert_eq!(rig.grace.begin(&7, rig.now), Begun::Full);
    assert_eq!(rig.grace.len(), 2);
}

#[test]
fn a_full_share_refuses_its_application_alone_and_is_free_again_after_its_ends() {
    let mut grace: Grace<(char, u8), ()> = Grace::new(GRACE, 10);
    grace.share_among(2);
    let now = Instant::now();
    let announce_all = |grace: &mut Grace<_, ()>, app| {
        let mut announced = Vec::new();
        for key in (0..100).map(|n| (app, n)) {
            if grace.begin(&key, now) == Begun::First {
                grace.announce(key, ());
                announced.push(key);
            }
        }
        announced
    };
    let greedy = announce_all(&mut grace, 'a');
    assert_eq!(greedy.len(), 5);
    assert_eq!(grace.begin(&('a', 50), now), Begun::Full);
    assert_eq!(announce_all(&mut grace, 'b').len(), 5);
    // Ends of what nobody was told of take no room either.
    grace.end(&('a', 50), now);
    assert_eq!(grace.len(), 10);
    greedy.iter().for_each(|key| grace.end(key, now));
    assert_eq!(grace.begin(&('a', 50), now), Begun::Full, "what is in its grace holds its place");
    assert_eq!(std::iter::from_fn(|| grace.pop_ended(now + GRACE)).count(), 5);
    assert_eq!(grace.begin(&('a', 50), now), Begun::First);
}

#[test]
fn an_early_end_gives_its_room_back() {
    let mut grace: Grace<(char, u8), ()> = Grace::new(GRACE, 1);
    let now = Instant::now();
    grace.end(&('a', 1), now);
    assert_eq!(grace.begin(&('a', 2), now), Begun::Full);
    assert_eq!(grace.begin(&('a', 1), now), Begun::Settled);
    assert_eq!(grace.begin(&('a', 2), now), Begun::First);
    grace.end(&('a', 1), now);
    assert_eq!(grace.pop_ended(now + GRACE), None);
    assert_eq!(grace.begin(&('a', 2), now), Begun::First);
}

#[test]
fn after_a_restart_all_end_but_those_that_come_back() {
    let mut rig = Rig::new();
    rig.grace.announce(1, ());
    rig.grace.announce(2, ());
    rig.grace.end_all(rig.now);
    rig.report(2, true);
    rig.pass(GRACE);
    assert_eq!(rig.told, [(1, false)]);
}

/// One key's true story: it toggles after each of these times.
fn story() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![0..50u64, 0..5000u64], 0..24)
}

/// What a receiver should be told of a story: for each absence of at least the grace, an end and a begin.
fn model(toggles_ms: &[u64]) -> Vec<bool> {
    let mut told = Vec::new();
    let mut present = false;
    let mut announced = false;
    for &after_ms in toggles_ms {
        if announced && !present && Duration::from_millis(after_ms) >= GRACE {
            told.push(false);
            announced = false;
        }
        present = !present;
        if present && !announced {
            told.push(true);
            announced = true;
        }
    }
    if announced && !present {
        told.push(false);
    }
    told
}

proptest! {
    #[test]
    fn in_order_every_story_is_told_as_the_model_tells_it(stories in prop::collection::vec(story(), 1..4)) {
        let mut rig = Rig::new();
        let mut reports: Vec<(u64, u8, bool)> = Vec::new();
        for (key, story) in (0u8..).zip(&stories) {
            let mut at_ms = 0;
            for (turn, after_ms) in story.iter().enumerate() {
                at_ms += after_ms;
                reports.push((at_ms, key, turn % 2 == 0));
            }
        }
        reports.sort_by_key(|report| report.0);
        let start = rig.now;
        for (at_ms, key, begins) in reports {
            rig.pass(start + Duration::from_millis(at_ms) - rig.now);
            rig.report(key, begins);
        }
        rig.pass(GRACE);
        for (key, story) in (0u8..).zip(&stories) {
            let told: Vec<bool> = rig.told.iter().filter(|told| told.0 == key).map(|told| told.1).collect();
            prop_assert_eq!(told, model(story));
        }
        prop_assert_eq!(rig.grace.unsettled(), 0);
    }

    #[test]
    fn out_of_order_and_lost_reports_still_alternate_and_end_true(
        story in story(),
        swaps in prop::collection::vec(any::<bool>(), 24),
        lost in prop::collection::vec(prop::bool::weighted(0.1), 24),
    ) {
        let mut rig = Rig::new();
        let mut reports: Vec<(u64, bool)> =
            story.iter().enumerate().map(|(turn, &after_ms)| (after_ms, turn % 2 == 0)).collect();
        for at in 1..reports.len() {
            // Only what happened within the grace can be swapped by tasks that race.
            if swaps[at] && !swaps[at - 1] && reports[at].0 < 50 {
                let begins = reports[at].1;
                reports[at].1 = reports[at - 1].1;
                reports[at - 1].1 = begins;
            }
        }
        let mut is_any_lost = false;
        for (&(after_ms, begins), &is_lost) in reports.iter().zip(&lost) {
            rig.pass(Duration::from_millis(after_ms));
            if is_lost { is_any_lost = true } else { rig.report(0, begins) }
        }
        rig.pass(GRACE);
        for (turn, told) in rig.told.iter().enumerate() {
            prop_assert_eq!(told.1, turn % 2 == 0);
        }
        if !is_any_lost {
            let is_present = story.len() % 2 == 1;
            prop_assert_eq!(rig.told.len() % 2 == 1, is_present, "told {:?}", rig.told);
        }
        prop_assert_eq!(rig.grace.unsettled(), 0);
    }
}
