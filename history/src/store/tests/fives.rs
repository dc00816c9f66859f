//! Sums of five minutes outlive the minutes.

use proptest::prelude::*;

use super::{
    calendar::DAY,
    orders::{END, deeds, messages, series, store, tell},
    *,
};

const KEEP: Keep =
    Keep { minute_days: 2, quarter_days: 400, five_days: 400, bytes: u64::MAX, until_sent: false };

/// The sums of all series by so many minutes, without extremes.
fn sums(store: &mut Store, step: u32) -> Vec<Vec<(u32, Point)>> {
    let plain = |(minute, point): (u32, Point)| (minute, point.sums());
    let of = |key| store.points(&key, 0..END + DAY, step).into_iter().map(plain).collect();
    series().into_iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_slots_came_to_stays_when_minutes_are_dropped(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        // A row every day, so that days follow one another.
        let daily = |day: u32| (node("daily"), row(day * DAY + 7, 5, 9, day * DAY, 5));
        store.apply(&batch(END, (0..4).map(daily).collect())).unwrap();
        let (at_last, before) = messages(&deeds);
        tell(&mut store, &[before, at_last].concat(), &[7, 30], &[END, END + 2 * DAY]);
        store.apply(&batch(6 * DAY, vec![])).unwrap();
        store.compact_all();
        let (fives, tens) = (sums(&mut store, 5), sums(&mut store, 10));
        prop_assert_eq!(store.tidy_all(KEEP, None), Tidied::default());
        let reach = store.reach().unwrap();
        prop_assert!(reach.minutes >= Some(2 * DAY) && reach.fives == Some(0), "{reach:?}");
        prop_assert_eq!(sums(&mut store, 5), fives.clone());
        prop_assert_eq!(sums(&mut store, 10), tens);
        drop(store);
        let mut store = Store::open(&folder.path().join("history")).unwrap();
        prop_assert_eq!(sums(&mut store, 5), fives);
    }
}

#[test]
fn a_file_without_these_sums_has_them_from_now_on_and_an_earlier_program_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let daily = |day: u32| (node("n0"), row(day * DAY + 7, 5, 9, day * DAY, 5));
    store.apply(&batch(6 * DAY, (0..6).map(daily).collect())).unwrap();
    store.compact_all();
    // As an earlier program leaves it, which drops days without keeping their sums.
    store.database.write().unwrap().sql().execute_batch("DROP TABLE fives").unwrap();
    drop(store);
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    store.tidy_all(Keep { minute_days: 4, five_days: 0, ..KEEP }, None);
    let none = store.reach().unwrap();
    assert_eq!((none.minutes, none.fives), (Some(2 * DAY), Some(2 * DAY)));
    store.tidy_all(KEEP, None);
    let reach = store.reach().unwrap();
    assert_eq!((reach.minutes, reach.fives), (Some(4 * DAY), Some(2 * DAY)));
    let key = SeriesKey::Node(node("n0"));
    let slots: Vec<u32> = store.points(&key, 0..6 * DAY, 5).into_iter().map(|(minute, _)| minute).collect();
    assert_eq!(slots, [2, 3, 4, 5].map(|day| day * DAY + 5), "what is missing is left out");
    assert_eq!(store.points(&key, 0..6 * DAY, 1).len(), 2, "minutes are not made of them");
}

#[test]
fn sums_are_dropped_by_age_after_their_minutes_and_by_size_before_quarters() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let daily = |day: u32| (node("n0"), row(day * DAY + 7, 5, 9, day * DAY, 5));
    store.apply(&batch(9 * DAY, (0..9).map(daily).collect())).unwrap();
    store.compact_all();
    store.tidy_all(Keep { five_days: 5, ..KEEP }, None);
    let reach = store.reach().unwrap();
    assert_eq!((reach.minutes, reach.fives, reach.quarters), (Some(7 * DAY), Some(4 * DAY), Some(0)));
    let none = store.tidy_all(Keep { bytes: 1, ..KEEP }, None);
    assert!(none.too_much.is_some());
    let reach = store.reach().unwrap();
    // What is left is of the newest day.
    let newest = Some(8 * DAY);
    assert_eq!((reach.minutes, reach.fives, reach.quarters), (newest, newest, newest));
    assert_eq!(store.points(&SeriesKey::Node(node("n0")), 0..9 * DAY, 60).len(), 9);
}

#[test]
fn a_node_that_is_forgotten_leaves_no_sums() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    let daily = |day: u32| (node("n0"), row(day * DAY + 7, 5, 9, day * DAY, 5));
    store.apply(&batch(6 * DAY, (0..6).map(daily).collect())).unwrap();
    store.compact_all();
    store.tidy_all(KEEP, None);
    let number = store.state.nodes[&node("n0")];
    assert!(store.database.read().unwrap().get(Tier::Fives, 1, number).unwrap().is_some());
    store.forget(&node("n0"), 0).unwrap();
    assert_eq!(store.database.read().unwrap().get(Tier::Fives, 1, number).unwrap(), None);
    let fleet = store.points(&SeriesKey::Group(GroupKey::Fleet), 0..6 * DAY, 5);
    assert_eq!(fleet.len(), 6, "what it moved stays in the sums of groups");
}

/// What the sums take of a file, printed: `cargo test -p tidemap-history -- --nocapture sums_take`.
#[test]
fn a_days_sums_take_a_seventh_of_its_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let mut rng = fastrand::Rng::with_seed(17);
    let mut moved = 0;
    for day in 0..6 {
        let minutes = day * DAY..(day + 1) * DAY;
        let mut rate = 3_000_000.0_f64;
        let rows = minutes.map(|minute| {
            rate = (rate * (0.9 + 0.2 * rng.f64())).clamp(20_000.0, 90_000_000.0);
            let bytes = (rate * 60.0) as u64;
            moved += bytes;
            (node("n0"), row(minute, bytes, 1, 0, moved))
        });
        store.apply(&batch((day + 1) * DAY, rows.collect())).unwrap();
        store.compact_all();
    }
    let number = store.state.nodes[&node("n0")];
    let size = |store: &mut Store, tier: Tier, day| {
        store.database.read().unwrap().get(tier, day, number).unwrap().map_or(0, |tile| tile.len())
    };
    let (minutes, quarters) = (size(&mut store, Tier::Day, 1), size(&mut store, Tier::Quarters, 1));
    store.tidy_all(KEEP, None);
    let fives = size(&mut store, Tier::Fives, 1);
    println!("a node and day: {minutes} bytes of minutes, {fives} of five minutes, {quarters} of quarters");
    assert!(fives > 0 && fives < minutes / 6 && fives < 2_600, "{minutes} {fives} {quarters}");
}
