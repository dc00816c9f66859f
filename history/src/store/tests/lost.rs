//! Tiles that are lost: what they contained is in roll-ups, boards and groups, and is counted once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    orders::{END, deeds, messages, series, store, tell},
    *,
};

const DAY: u32 = 1_440;

fn key(name: &str) -> SeriesKey {
    SeriesKey::Node(node(name))
}

/// Sets tiles aside as damage does, or makes them missing as a file that was built again does.
fn lose(store: &mut Store, places: &[Place], is_rebuilt: bool) {
    let until = store.state.bands.iter().map(|band| band.hours).max().unwrap_or(0) * 60;
    store
        .transact(|tx, state| {
            for Place { tier, period, series } in places {
                if is_rebuilt {
                    tx.remove(*tier, *period, *series)?;
                } else {
                    tx.put(*tier, *period, *series, b"damage")?;
                }
            }
            if is_rebuilt {
                tx.set_fact("rebuilt_until", until)?;
                state.rebuilt_until = until;
            }
            Ok(())
        })
        .unwrap();
    if !is_rebuilt {
        store.set_aside(places).unwrap();
    }
}

/// The tiles of rows of single series.
fn places(store: &mut Store) -> Vec<Place> {
    let tx = store.database.read().unwrap();
    let of = |tier| {
        let tiles = tx.all(tier, 0..END).unwrap();
        tiles.into_iter().map(move |(period, series, _)| Place { tier, period, series })
    };
    [Tier::Hour, Tier::Day].into_iter().flat_map(of).collect()
}

/// All bytes that moved, by series and step, and by node.
fn moved(store: &mut Store) -> BTreeMap<String, u64> {
    let mut moved = BTreeMap::new();
    for key in series() {
        for step in [1, 15, 60, DAY] {
            let points = store.points(&key, 0..END + DAY, step);
            let bytes = points.iter().map(|(_, point)| point.rx_bytes + point.unplaced_rx).sum();
            moved.insert(format!("{key:?} by {step}"), bytes);
        }
    }
    for (name, point) in store.top(0..END + DAY, TopOrder::Rx, 10).unwrap().nodes {
        moved.insert(format!("top {name}"), point.rx_bytes + point.unplaced_rx);
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_lost_and_comes_again_no_sum_is_above_the_truth(
        deeds in deeds(),
        order in any::<u64>(),
        many in 0..=4_u32,
        lost in 0..=4_u32,
        times in proptest::collection::vec(0..END + 200, 1..5),
        is_rebuilt in any::<bool>(),
    ) {
        let (at_last, before) = messages(&deeds);
        let [one, two] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let mut straight = store(one.path());
        tell(&mut straight, &at_last, &[1_000], &[END + 200]);
        let truth = moved(&mut straight);
        let mut rng = fastrand::Rng::with_seed(order);
        let mut all: Vec<_> = before.into_iter().chain(at_last).collect();
        rng.shuffle(&mut all);
        let mut store = store(two.path());
        let some: Vec<_> = all.iter().filter(|_| rng.u32(..4) < many).cloned().collect();
        tell(&mut store, &some, &[9], &times);
        for round in 0..2 {
            let mut places = places(&mut store);
            places.retain(|_| rng.u32(..8) < lost);
            lose(&mut store, &places, is_rebuilt);
            rng.shuffle(&mut all);
            // Some of it comes again before days are sealed, and everything after.
            let count = if round == 0 { all.len() / 2 } else { all.len() };
            tell(&mut store, &all[..count], &[7], if round == 0 { &times } else { &[END + 200] });
            let above: Vec<_> = moved(&mut store)
                .into_iter()
                .filter(|(what, bytes)| *bytes > truth.get(what).copied().unwrap_or(0))
                .collect();
            prop_assert!(above.is_empty(), "{:?} of {:?}", above, truth);
        }
    }
}

/// A row of every hour of two days, each of ten bytes.
fn hourly() -> Vec<(NodeId, MinuteRow)> {
    let row = |hour: u32| row(hour * 60 + 7, 10, 1, 0, 10 * (u64::from(hour) + 1));
    (0..48).map(|hour| (node("n0"), row(hour))).collect()
}

fn store_all(store: &mut Store, minute: u32, rows: Vec<(NodeId, MinuteRow)>) {
    store.apply(&batch(0, Vec::new())).unwrap();
    store.apply(&batch(minute, rows)).unwrap();
    store.compact_all();
}

/// What the fleet and the first of all nodes moved.
fn sums(store: &mut Store) -> [u64; 2] {
    let fleet = store.points(&SeriesKey::Group(GroupKey::Fleet), 0..END, 1);
    let bytes = |point: &Point| point.rx_bytes + point.unplaced_rx;
    let top = store.top(0..END, TopOrder::Rx, 1).unwrap().nodes;
    [fleet.iter().map(|(_, point)| bytes(point)).sum(), bytes(&top[0].1)]
}

fn hour_of(store: &Store, hour: u32) -> Place {
    Place { tier: Tier::Hour, period: hour, series: store.state.nodes[&node("n0")] }
}

#[test]
fn an_hour_that_was_lost_is_still_lost_when_its_day_is_sealed() {
    for is_rebuilt in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        store_all(&mut store, 1_300, hourly()[..21].to_vec());
        let lost = hour_of(&store, 5);
        lose(&mut store, &[lost], is_rebuilt);
        store_all(&mut store, 3 * DAY, hourly()[21..].to_vec());
        assert_eq!(store.state.progress(lost.series).days, 2);
        store_all(&mut store, 3 * DAY, hourly());
        assert_eq!(sums(&mut store)[0], 480, "{is_rebuilt}");
        let minutes = store.points(&key("n0"), 0..END, 1);
        assert_eq!(minutes.iter().map(|(_, point)| point.rx_bytes).sum::<u64>(), 480, "{is_rebuilt}");
    }
}

#[test]
fn a_late_row_before_a_lost_hour_is_not_counted_twice() {
    for is_rebuilt in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        // The row of hour 4 is late, so its bytes are those that hour 5 does not place.
        let mut rows = hourly()[..20].to_vec();
        let late = rows.remove(4);
        store_all(&mut store, 1_300, rows);
        let lost = hour_of(&store, 5);
        lose(&mut store, &[lost], is_rebuilt);
        store_all(&mut store, 1_300, vec![late]);
        let [fleet, top] = sums(&mut store);
        assert!(fleet <= 200 && top <= 200, "{fleet} {top}");
        store_all(&mut store, 1_300, hourly()[..20].to_vec());
        let [fleet, top] = sums(&mut store);
        assert!(fleet <= 200 && top <= 200, "{fleet} {top}");
    }
}

#[test]
fn lost_tiles_are_forgotten_with_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path());
    store_all(&mut store, 1_300, hourly()[..20].to_vec());
    let minute = Place { tier: Tier::Minute, period: 1_299, series: 0 };
    store.transact(|tx, _| tx.put(Tier::Minute, 1_299, 0, b"damage")).unwrap();
    let hour = hour_of(&store, 5);
    store.transact(|tx, _| tx.put(hour.tier, hour.period, hour.series, b"damage")).unwrap();
    store.set_aside(&[minute, hour]).unwrap();
    assert_eq!(store.reach().unwrap().lost_tiles, 2);
    let keep = Keep { minute_days: 2, quarter_days: 400, five_days: 400, bytes: u64::MAX, until_sent: false };
    let mut marks = |day: u32, sealed: u32| {
        store_all(
            &mut store,
            (day + 1) * DAY,
            vec![(node("n0"), row(day * DAY, 1, day.into(), day * DAY, 1))],
        );
        assert!(store.state.progress(hour.series).days >= sealed);
        store.tidy_all(keep, None);
        let tx = store.database.read().unwrap();
        let count = "SELECT count(*) FROM set_aside";
        tx.sql().query_row(count, [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!(marks(1, 1), 1, "that of the hour is the day's");
    assert_eq!((2..9).map(|day| marks(day, day)).last(), Some(0));
    assert_eq!(store.reach().unwrap().lost_tiles, 0);
}

#[test]
fn sums_that_are_too_large_for_a_number_are_the_largest_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    store.apply(&batch(0, Vec::new())).unwrap();
    // A run that has counted for sixteen days what no host can have, on each of twenty nodes.
    let counted = tidemap_wire::bounds::COUNTED_BYTES;
    let minute = 16 * DAY;
    let most = || row(minute, 5, 1, 1, counted / 2);
    let rows = || (0..40).map(|number| (node(&format!("n{number}")), most())).collect::<Vec<_>>();
    for (now, step) in [(minute, 1), (minute + 200, 60), (18 * DAY, 1), (18 * DAY, DAY)] {
        store.apply(&batch(now, rows())).unwrap();
        store.compact_all();
        let fleet = store.points(&SeriesKey::Group(GroupKey::Fleet), minute - 60..minute + DAY, step);
        let unplaced = fleet.last().map(|(_, point)| (point.unplaced_rx, point.unplaced_tx));
        assert_eq!(unplaced, Some((u64::MAX, u64::MAX)), "{now} by {step}");
    }
}
