//! The nodes with the most traffic are those of a plain sum over the rows.

use std::{collections::BTreeMap, ops::Range};

use proptest::prelude::*;

use super::*;

const DAY: u32 = 1_440;
const NODES: u32 = 12;
const END: u32 = 3 * DAY + 400;

/// Rows of nodes that are alike, so that a few minutes decide.
fn rows() -> impl Strategy<Value = BTreeMap<(u32, u32), u64>> {
    proptest::collection::btree_map((0..NODES, 0..END), 1_u64..40, 1..300)
}

/// A range of minutes, most of which begin or end within an hour.
fn range() -> impl Strategy<Value = Range<u32>> {
    let length = prop_oneof![1_u32..90, 1..END];
    (0..END, length).prop_map(|(start, length)| start..start + length)
}

/// What a plain sum says, and the highest rate.
fn expected(rows: &BTreeMap<(u32, u32), u64>, minutes: &Range<u32>, limit: usize) -> Vec<(NodeId, u64, u64)> {
    let mut sums: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for ((node, minute), bytes) in rows {
        if minutes.contains(minute) {
            let (sum, peak) = sums.entry(*node).or_default();
            *sum += bytes;
            *peak = (*peak).max(*bytes);
        }
    }
    let mut sums: Vec<(u32, (u64, u64))> = sums.into_iter().collect();
    sums.sort_by_key(|(node, (bytes, _))| (std::cmp::Reverse(*bytes), *node));
    sums.truncate(limit);
    sums.into_iter().map(|(number, (sum, peak))| (node(&format!("n{number}")), sum, peak)).collect()
}

/// The rows, stored when it is `now`.
fn store(folder: &Path, rows: &BTreeMap<(u32, u32), u64>, now: u32) -> Store {
    let mut store = Store::open(&folder.join("history")).unwrap();
    let names: Vec<_> = (0..NODES).map(|number| (node(&format!("n{number}")), Vec::new())).collect();
    store.set_groups(&names).unwrap();
    store.apply(&batch(0, Vec::new())).unwrap();
    let rows = rows.iter().map(|((number, minute), bytes)| {
        let counters = Vec::new();
        (node(&format!("n{number}")), MinuteRow { counters, ..row(*minute, *bytes, 1, 0, 0) })
    });
    store.apply(&batch(now, rows.collect())).unwrap();
    store.compact_all();
    store.settle().unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_top_is_exact_to_the_minute(
        rows in rows(),
        ranges in proptest::collection::vec(range(), 1..12),
        now in 0..END + 200,
        limit in 1_usize..6,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path(), &rows, now);
        for minutes in ranges {
            for (order, times) in [(TopOrder::Rx, 1), (TopOrder::Tx, 2), (TopOrder::Sum, 3)] {
                let top = store.top(minutes.clone(), order, limit).unwrap();
                prop_assert_eq!(&top.minutes, &minutes);
                let found = top.nodes.into_iter().map(|(node, point)| {
                    (node, order.bytes(&point) / times, point.rates.unwrap().rx_max)
                });
                let found: Vec<(NodeId, u64, u64)> = found.collect();
                prop_assert_eq!(&found, &expected(&rows, &minutes, limit), "{:?} {:?}", minutes, order);
            }
        }
    }
}

#[test]
fn where_minutes_are_kept_no_more_whole_days_are_summed() {
    let rows: BTreeMap<(u32, u32), u64> =
        (0..4 * DAY).step_by(60).map(|minute| ((0, minute + 7), 1)).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(folder.path(), &rows, 4 * DAY + 200);
    store.tidy_all(
        Keep { minute_days: 2, quarter_days: 400, five_days: 400, bytes: u64::MAX, until_sent: false },
        None,
    );
    let mut of = |minutes| {
        let top = store.top(minutes, TopOrder::Rx, 1).unwrap();
        (top.minutes, top.nodes.first().map_or(0, |(_, point)| point.rx_bytes))
    };
    assert_eq!(of(DAY + 5..3 * DAY + 68), (DAY..3 * DAY + 68, 50));
    assert_eq!(of(DAY + 5..DAY + 6), (DAY..2 * DAY, 24));
    assert_eq!(of(3 * DAY + 7..3 * DAY + 8), (3 * DAY + 7..3 * DAY + 8, 1));
}

#[test]
fn too_many_nodes_that_may_be_first_are_summed_by_the_hour() {
    // All are alike in the hour, and differ in its first minute only, which is the day's tile to read.
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let many = crate::store::read::top::MOST_READ / crate::store::read::top::READ_OF_A_DAY + 10;
    let of = |number: u32, minute, bytes| {
        let counters = Vec::new();
        (node(&format!("n{number}")), MinuteRow { counters, ..row(minute, bytes, 1, 0, 0) })
    };
    let rows = (0..many).flat_map(|number| [of(number, 5, 1), of(number, 10, 100)]);
    store.apply(&batch(0, Vec::new())).unwrap();
    store.apply(&batch(DAY + 200, rows.collect())).unwrap();
    store.compact_all();
    let top = store.top(5..6, TopOrder::Rx, 3).unwrap();
    assert_eq!((top.minutes, top.nodes[0].1.rx_bytes), (0..60, 101));
    let top = store.top(5..11, TopOrder::Rx, 3).unwrap();
    assert_eq!((top.minutes, top.nodes[0].1.rx_bytes), (5..11, 101), "the first ones have all of the hour");
}
