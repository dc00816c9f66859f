//! Time goes on, nodes move, and room is short.

use super::*;

const DAY: u32 = 1_440;

fn key(name: &str) -> SeriesKey {
    SeriesKey::Node(node(name))
}

/// A row whose extremes take room.
fn filled_row(minute: u32) -> MinuteRow {
    let mut rng = fastrand::Rng::with_seed(minute.into());
    let [rx_max, tx_max, rx_min, tx_min] = [(); 4].map(|()| rng.u64(..999));
    let rates = Some(Extremes { rx_max, tx_max, rx_min, tx_min });
    MinuteRow { rates, ..row(minute, 1_000, 1, 0, 1_000 * u64::from(minute + 1)) }
}

/// One node's minutes without a hole, reported day by day.
pub(super) fn filled(folder: &Path, days: u32) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    store.set_groups(&[(node("a"), Vec::new())]).unwrap();
    for day in 0..days {
        let minutes = day * DAY..(day + 1) * DAY;
        let rows = minutes.map(|minute| (node("a"), filled_row(minute)));
        store.apply(&batch((day + 1) * DAY, rows.collect())).unwrap();
        store.compact_all();
    }
    store
}

#[test]
fn a_burst_of_seconds_has_its_height_in_every_tier() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 3);
    let mut burst = filled_row(DAY + 77);
    burst.rates = burst.rates.map(|rates| Extremes { rx_max: 123_000_000, ..rates });
    store.apply(&batch(3 * DAY, vec![(node("a"), burst)])).unwrap();
    for step in [1, 5, 15, 60, 1_440, 4 * 1_440] {
        let points = store.points(&key("a"), 0..3 * DAY, step);
        let highest = points.iter().filter_map(|(_, point)| point.rates).map(|rates| rates.rx_max).max();
        assert_eq!(highest, Some(123_000_000), "{step}");
    }
}

#[test]
fn nodes_that_are_known_before_the_first_rows_begin_with_these() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    store.set_groups(&[(node("a"), Vec::new())]).unwrap();
    let now = 29_000_000;
    store.apply(&batch(now, vec![(node("a"), row(now - 1, 5, 1, 0, 5))])).unwrap();
    assert!(!store.compact().unwrap(), "the years before have no hours to cut");
    for key in [key("a"), SeriesKey::Group(GroupKey::Fleet)] {
        let points = store.points(&key, now - 3..now, 1);
        assert_eq!(
            points.iter().map(|(at, point)| (*at, point.rx_bytes)).collect::<Vec<_>>(),
            [(now - 1, 5)]
        );
    }
}

#[test]
fn minutes_are_dropped_by_age_and_what_was_rolled_up_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 5);
    store.tidy_all(
        Keep { minute_days: 2, quarter_days: 3, five_days: 400, bytes: u64::MAX, until_sent: false },
        None,
    );
    let reach = store.reach().unwrap();
    assert_eq!((reach.minutes, reach.quarters, reach.hours), (Some(3 * DAY), Some(2 * DAY), Some(0)));
    assert_eq!(store.points(&key("a"), 0..5 * DAY, 1).len(), 2 * 1_440);
    assert_eq!(store.points(&key("a"), 0..5 * DAY, 15).len(), 3 * 96);
    let hours = store.points(&key("a"), 0..5 * DAY, 60);
    assert_eq!((hours.len(), hours.iter().map(|(_, hour)| hour.rx_bytes).sum::<u64>()), (120, 5 * 1_440_000));
    assert_eq!(store.top(0..5 * DAY, TopOrder::Rx, 1).unwrap().nodes[0].1.rx_bytes, 5 * 1_440_000);
    // What comes too late for its minute is counted, and no minute comes back.
    assert_eq!(store.apply(&batch(5 * DAY, vec![(node("a"), row(7, 2_000, 1, 0, 9_000))])).unwrap(), 1);
    assert_eq!(store.points(&key("a"), 0..5 * DAY, 60), hours);
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_minutes_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 5);
    let before = store.reach().unwrap();
    store.tidy_all(
        Keep {
            minute_days: 35,
            quarter_days: 400,
            five_days: 400,
            bytes: before.used_bytes - 1,
            until_sent: false,
        },
        None,
    );
    let after = store.reach().unwrap();
    assert!(after.minutes > before.minutes && after.used_bytes < before.used_bytes, "{before:?} {after:?}");
    assert_eq!((after.quarters, after.hours), (Some(0), Some(0)));
    assert_eq!(store.points(&key("a"), 0..5 * DAY, 1_440).len(), 5);
}

#[test]
fn traffic_belongs_to_the_groups_of_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let place = |name: &str| GroupKey::Location(name.to_owned());
    store.set_groups(&[(node("a"), vec![place("Bergen")])]).unwrap();
    store.apply(&batch(101, vec![(node("a"), row(100, 5, 1, 100, 5))])).unwrap();
    store.set_groups(&[(node("a"), vec![place("Oslo")])]).unwrap();
    store.apply(&batch(102, vec![(node("a"), row(101, 7, 1, 100, 12))])).unwrap();
    for time in [110, 200, 4 * DAY] {
        store.apply(&batch(time, Vec::new())).unwrap();
        store.compact_all();
        let mut bytes = |name: &str| {
            let points = store.points(&SeriesKey::Group(place(name)), 0..DAY, 1);
            points.into_iter().map(|(minute, point)| (minute, point.rx_bytes)).collect::<Vec<_>>()
        };
        assert_eq!((bytes("Bergen"), bytes("Oslo")), (vec![(100, 5)], vec![(101, 7)]), "{time}");
    }
    assert_eq!(store.range(&SeriesKey::Group(place("Rome")), 0..DAY, Step(1), &[]).unwrap(), None);
    assert_eq!(store.range(&key("b"), 0..DAY, Step(1), &[]).unwrap(), None);
}

#[test]
fn a_node_without_a_hello_belongs_to_the_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    store.apply(&batch(101, vec![(node("a"), row(100, 5, 1, 100, 5))])).unwrap();
    let fleet = SeriesKey::Group(GroupKey::Fleet);
    assert_eq!(store.points(&fleet, 0..DAY, 1)[0].1.rx_bytes, 5);
    // Its hello comes later, and counts for the hour that is open.
    let place = GroupKey::Location("Oslo".to_owned());
    store.set_groups(&[(node("a"), vec![place.clone()])]).unwrap();
    for time in [110, 200, 4 * DAY] {
        store.apply(&batch(time, Vec::new())).unwrap();
        store.compact_all();
        for key in [&fleet, &SeriesKey::Group(place.clone())] {
            assert_eq!(store.points(key, 0..DAY, 1)[0].1.rx_bytes, 5, "{time} {key:?}");
        }
    }
}

#[test]
fn rows_of_a_wrong_clock_change_neither_the_begin_nor_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let now = 29_000_000;
    let begun_ms = i64::from(now) * 60_000;
    let good = (node("a"), row(now - 1, 5, 1, now - 1, 5));
    let wrong = [0, 7, now - 30 * DAY, now + 8 * DAY, u32::MAX]
        .map(|minute| (node("b"), row(minute, 5, 2, minute, 5)));
    let rows = wrong.into_iter().chain([good]).collect();
    assert_eq!(store.apply(&Batch { begun_ms, ..batch(now, rows) }).unwrap(), 5);
    store.compact_all();
    let reach = store.reach().unwrap();
    assert_eq!((reach.minutes, reach.hours), (Some(now - 1), Some(now - 1)));
}

#[test]
fn a_clock_that_was_a_year_ahead_costs_a_day_of_minutes_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 5);
    let keep = Keep { minute_days: 4, quarter_days: 10, five_days: 400, bytes: u64::MAX, until_sent: false };
    store.apply(&batch(370 * DAY, Vec::new())).unwrap();
    store.compact_all();
    store.tidy_all(keep, None);
    let reach = store.reach().unwrap();
    assert!(reach.minutes <= Some(2 * DAY) && reach.quarters == Some(0), "{reach:?}");
}

#[test]
fn one_node_cannot_take_the_places_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    for number in 0..2_000 {
        let invented = vec![
            GroupKey::Location(format!("nowhere {number}")),
            GroupKey::Label(format!("label {number}"), "x".to_owned()),
        ];
        store.set_groups(&[(node("hostile"), invented)]).unwrap();
    }
    let home = GroupKey::Location("Bergen".to_owned());
    store.set_groups(&[(node("honest"), vec![home.clone()])]).unwrap();
    assert!(store.range(&SeriesKey::Group(home), 0..1, Step(1), &[]).unwrap().is_some());
    let tx = store.database.read().unwrap();
    let count = |table: &str| -> u32 {
        tx.sql().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert!(
        count("series") < 100 && count("membership") < 150,
        "{} {}",
        count("series"),
        count("membership")
    );
}

#[test]
fn a_label_has_a_thousand_groups_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let label = |number: u32| GroupKey::Label("id".to_owned(), number.to_string());
    let nodes: Vec<_> = (0..1_002).map(|number| (node(&format!("n{number}")), vec![label(number)])).collect();
    store.set_groups(&nodes).unwrap();
    let mut is_known =
        |number| store.range(&SeriesKey::Group(label(number)), 0..1, Step(1), &[]).unwrap().is_some();
    assert_eq!([is_known(999), is_known(1_000)], [true, false]);
}

#[test]
fn a_quiet_week_is_no_reason_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path(), 1);
    store.apply(&batch(9 * DAY, vec![(node("a"), row(9 * DAY - 2, 1_000, 2, 9 * DAY - 2, 1_000))])).unwrap();
    store.compact_all();
    assert_eq!(store.points(&key("a"), 0..9 * DAY, 1_440).len(), 2);
}

#[test]
fn groups_that_were_not_seen_for_long_leave_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let label = |number: u32| GroupKey::Label("id".to_owned(), number.to_string());
    let known = |store: &mut Store, number| {
        store.range(&SeriesKey::Group(label(number)), 0..1, Step(1), &[]).unwrap().is_some()
    };
    store.apply(&batch(DAY, Vec::new())).unwrap();
    let nodes: Vec<_> = (0..1_000).map(|number| (node(&format!("n{number}")), vec![label(number)])).collect();
    store.set_groups(&nodes).unwrap();
    let new = |number: u32| (node(&format!("n{number}")), vec![label(number)]);
    store.apply(&batch(400 * DAY, Vec::new())).unwrap();
    store.set_groups(&[new(2_000)]).unwrap();
    assert!(!known(&mut store, 2_000), "those of 400 days have their places");
    // One of them has moved something meanwhile.
    let group = store.state.groups[&label(7).text()];
    let moved = PointTile([(450, Point { rx_bytes: 5, ..Point::default() })].into());
    store.transact(|tx, _| tx.put(Tier::Days, 450 / 128, group, &moved.encode())).unwrap();
    store.apply(&batch(500 * DAY, Vec::new())).unwrap();
    store.set_groups(&(3_000..4_001).map(new).collect::<Vec<_>>()).unwrap();
    assert_eq!([3_998, 3_999].map(|number| known(&mut store, number)), [true, false], "one is in use");
    assert!(known(&mut store, 3), "what it moved stays");
}
