//! A node that is forgotten is gone, and groups have what it moved.

use std::ops::Range;

use super::*;

const DAY: u32 = 1_440;
const PLACE: &str = "Bergen";

fn key(name: &str) -> SeriesKey {
    SeriesKey::Node(node(name))
}

fn groups() -> [SeriesKey; 2] {
    [GroupKey::Fleet, GroupKey::Location(PLACE.to_owned())].map(SeriesKey::Group)
}

/// Rows of two nodes in these minutes, whose counters have more than the rows.
fn rows(minutes: Range<u32>) -> Vec<(NodeId, MinuteRow)> {
    let of = |name: &str, bytes: u64, minute: u32| {
        (node(name), row(minute, bytes, 1, 0, (bytes + 3) * u64::from(minute + 1)))
    };
    minutes.step_by(7).flat_map(|minute| [of("a", 100, minute), of("b", 10, minute)]).collect()
}

fn store(folder: &Path, end: u32) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    let place = || vec![GroupKey::Location(PLACE.to_owned())];
    store.set_groups(&[(node("a"), place()), (node("b"), place())]).unwrap();
    store.apply(&batch(0, Vec::new())).unwrap();
    for day in 0..=end / DAY {
        let minutes = day * DAY..end.min((day + 1) * DAY);
        store.apply(&batch(minutes.end, rows(minutes))).unwrap();
        store.compact_all();
    }
    store
}

/// Everything but "a".
fn others(store: &mut Store, end: u32) -> Vec<Vec<(u32, Point)>> {
    let [fleet, place] = groups();
    let series = [key("b"), fleet, place];
    let asked = series.iter().flat_map(|key| [1, 15, 60, DAY].map(|step| (key, step)));
    asked.map(|(key, step)| store.points(key, 0..end + DAY, step)).collect()
}

#[test]
fn a_forgotten_node_is_gone_and_the_sums_of_groups_stay() {
    for end in [40, 300, DAY + 30, 3 * DAY + 500] {
        let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut whole = store(one.path(), end);
        let mut store = store(two.path(), end);
        let mut reader = Store::open_to_read(&two.path().join("history"), Settled::default()).unwrap();
        assert!(store.forget(&node("a"), 0).unwrap(), "{end}");
        assert!(!store.forget(&node("a"), 0).unwrap(), "{end}");
        assert_eq!(others(&mut store, end), others(&mut whole, end), "{end}");
        assert_eq!(others(&mut reader, end), others(&mut whole, end), "{end}");
        assert_eq!(store.range(&key("a"), 0..end, Step(1), &[]).unwrap(), None);
        for minutes in [0..end, 3..end - 1] {
            let top = store.top(minutes, TopOrder::Sum, 10).unwrap().nodes;
            assert_eq!(top.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), [node("b")], "{end}");
        }
        // Hours and days are cut later, and a new node does not inherit anything.
        for store in [&mut store, &mut whole] {
            store.apply(&batch(end + 3 * DAY, vec![(node("c"), row(end + DAY, 1, 1, 0, 1))])).unwrap();
            store.compact_all();
        }
        assert_eq!(others(&mut store, end), others(&mut whole, end), "{end}");
        let mut again = Store::open(&two.path().join("history")).unwrap();
        assert_eq!(again.points(&key("c"), 0..end + 2 * DAY, DAY).len(), 1, "{end}");
        assert_eq!(again.range(&key("a"), 0..end, Step(1), &[]).unwrap(), None);
    }
}

#[test]
fn nothing_of_a_forgotten_node_is_in_any_tile() {
    let end = 2 * DAY + 500;
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), end);
    let number = store.state.nodes[&node("a")];
    store.forget(&node("a"), 0).unwrap();
    let tx = store.database.read().unwrap();
    for tier in Tier::ALL {
        for (period, series, bytes) in tx.all(tier, 0..1_000_000).unwrap() {
            let is_there = match tier {
                Tier::Minute => {
                    RowTile::decode(&bytes).unwrap().entries.iter().any(|entry| entry.node == number)
                }
                Tier::HourBoard | Tier::DayBoard => {
                    PointTile::decode(&bytes).unwrap().0.contains_key(&number)
                }
                _ => series == number,
            };
            assert!(!is_there, "{tier:?} {period}");
        }
    }
    for table in ["account", "late", "membership"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE node = {number}");
        assert_eq!(tx.sql().query_row(&sql, [], |row| row.get::<_, u32>(0)).unwrap(), 0, "{table}");
    }
    let named = "SELECT count(*) FROM series WHERE name = 'a'";
    assert_eq!(tx.sql().query_row(named, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
}

#[test]
fn a_node_that_reports_after_it_was_forgotten_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 100);
    store.forget(&node("a"), 0).unwrap();
    store.apply(&batch(102, vec![(node("a"), row(101, 5, 2, 101, 5))])).unwrap();
    let points = store.points(&key("a"), 0..200, 1);
    assert_eq!(points.iter().map(|(at, point)| (*at, point.rx_bytes)).collect::<Vec<_>>(), [(101, 5)]);
}

#[test]
fn a_program_of_yesterday_takes_a_forgotten_node_for_one_without_rows() {
    // It reads every series that is no group as a node, and must find a name.
    assert!(NodeId::from_token("forgotten-16777215").is_ok());
}

/// What moved in all minutes.
fn moved(store: &mut Store, key: &SeriesKey) -> u64 {
    store.points(key, 0..10 * DAY, 1).iter().map(|(_, point)| point.rx_bytes + point.unplaced_rx).sum()
}

#[test]
fn rows_on_their_way_do_not_bring_a_forgotten_node_back() {
    for end in [40, 300, DAY + 30] {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path(), end);
        let before = groups().map(|key| moved(&mut store, &key));
        // A minute later by the clock than what was read.
        assert!(store.forget(&node("a"), i64::from(end + 1) * 60_000).unwrap());
        let late = LateSample { minute: end - 1, ..late(end - 1, 50, 1, 9) };
        let on_their_way = rows(0..end + 2).into_iter().filter(|(name, _)| *name == node("a"));
        let batch = Batch { late: vec![(node("a"), late)], ..batch(end + 2, on_their_way.collect()) };
        store.apply(&batch).unwrap();
        assert_eq!(store.range(&key("a"), 0..end, Step(1), &[]).unwrap(), None, "{end}");
        assert_eq!(groups().map(|key| moved(&mut store, &key)), before, "{end}");
        // Its run goes on, and it is in its place again; what the run had counted is not counted again.
        let next = row(end + 2, 5, 1, 0, 1 << 40);
        for now in [end + 3, end + 200, end + 5 * DAY] {
            store.apply(&super::batch(now, vec![(node("a"), next.clone())])).unwrap();
            store.compact_all();
            assert_eq!(moved(&mut store, &key("a")), 5, "{end}");
            assert_eq!(groups().map(|key| moved(&mut store, &key)), before.map(|sum| sum + 5), "{end}");
        }
    }
}

#[test]
fn the_name_of_a_forgotten_node_goes_after_three_days_and_its_run_is_not_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 100);
    store.forget(&node("a"), 0).unwrap();
    let keep =
        Keep { minute_days: 35, quarter_days: 400, five_days: 400, bytes: u64::MAX, until_sent: false };
    let mut names = |day: u32| {
        store.apply(&batch(100 + day * DAY, Vec::new())).unwrap();
        store.tidy_all(keep, None);
        let tx = store.database.read().unwrap();
        tx.sql().query_row("SELECT count(*) FROM forgotten", [], |row| row.get::<_, u32>(0)).unwrap()
    };
    assert_eq!([names(0), names(3), names(4)], [1, 1, 0]);
    store.apply(&batch(5 * DAY, vec![(node("a"), row(5 * DAY - 1, 5, 1, 0, 1 << 40))])).unwrap();
    assert_eq!(moved(&mut store, &key("a")), 5);
}

#[test]
fn a_node_is_forgotten_while_other_tiles_are_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let end = 2 * DAY + 300;
    let mut store = store(folder.path(), end);
    let tx = store.database.write().unwrap();
    for tier in Tier::oldest() {
        let (period, series, _) = tx.all(tier, 0..end).unwrap()[0];
        tx.put(tier, period, series, b"damage").unwrap();
    }
    tx.commit().unwrap();
    assert!(store.forget(&node("a"), 0).unwrap());
    assert_eq!(store.range(&key("a"), 0..end, Step(1), &[]).unwrap(), None);
    let tx = store.database.read().unwrap();
    let kept = "SELECT count(*) FROM set_aside WHERE tier IN (0, 6, 7) AND tile IS NOT NULL";
    assert_eq!(tx.sql().query_row(kept, [], |row| row.get::<_, u32>(0)).unwrap(), 0);
}

#[test]
fn a_change_that_panics_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), 100);
    let changing = std::panic::AssertUnwindSafe(|| {
        store.transact(|tx, state| -> Result<(), StoreError> {
            state.number_of_node(tx, &node("new"))?;
            panic!("a fault of the program");
        })
    });
    assert!(std::panic::catch_unwind(changing).is_err());
    store.apply(&batch(101, vec![(node("new"), row(100, 5, 1, 100, 5))])).unwrap();
    let mut reader = Store::open_to_read(&folder.path().join("history"), Settled::default()).unwrap();
    assert_eq!(moved(&mut reader, &key("new")), 5);
}
