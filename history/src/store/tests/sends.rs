use proptest::prelude::*;

use super::*;
use crate::store::calendar::{DAY, HOUR};

/// All that is due, as it would be sent; each band's share is noted before the next is asked for.
fn send_all(store: &mut Store) -> Vec<(NodeId, u32, Point)> {
    let mut all = Vec::new();
    while let Some(due) = store.sending().unwrap().due {
        for (node, minutes) in store.band_minutes(due.band, due.minutes.clone()).unwrap() {
            assert!(minutes.is_sorted_by_key(|(minute, _)| *minute));
            all.extend(minutes.into_iter().map(|(minute, point)| (node.clone(), minute, point)));
        }
        store.set_sent(&due.then).unwrap();
    }
    all
}

#[test]
fn every_final_minute_is_sent_once_in_order_while_hours_and_days_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.sending().unwrap().due, None);
    let names: Vec<NodeId> = (0..300).map(|number| node(&format!("n{number}"))).collect();
    let (begin, end) = (DAY + 22 * HOUR, 2 * DAY + 3 * HOUR);
    let mut sent = Vec::new();
    let mut counted = 0;
    for minute in begin..end {
        // Few nodes and many minutes, with a minute of all nodes now and then.
        let some = if minute % 50 == 0 { 300 } else { 2 };
        counted += 7;
        let rows = names[..some].iter().map(|name| (name.clone(), row(minute, 5, 1, begin, counted)));
        store.apply(&batch(minute + 1, rows.collect())).unwrap();
        if minute % 37 == 0 {
            store.compact_all();
            sent.extend(send_all(&mut store));
            // Another program goes on from the mark.
            store = Store::open(&path).unwrap();
        }
    }
    sent.extend(send_all(&mut store));
    let until = store.sending().unwrap().sent.unwrap().until;
    assert_eq!(until, (end - 16) / 5 * 5);
    for name in &names {
        let mine = sent.iter().filter(|(node, ..)| node == name).map(|(_, minute, point)| (*minute, *point));
        let expected = store.points(&SeriesKey::Node(name.clone()), 0..until, 1);
        assert_eq!(mine.collect::<Vec<_>>(), expected, "{name}");
    }
    assert!(sent.iter().any(|(.., point)| point.unplaced_rx > 0));
}

#[test]
fn minutes_are_kept_until_they_are_sent_unless_the_disk_is_too_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = super::life::filled(folder.path(), 5);
    let keep = Keep { minute_days: 2, quarter_days: 400, five_days: 400, bytes: u64::MAX, until_sent: true };
    let first = |store: &mut Store| store.reach().unwrap().minutes.unwrap();
    store.tidy_all(keep, None);
    assert_eq!(first(&mut store), 0);
    let due = store.sending().unwrap().due.unwrap();
    assert_eq!(due.minutes, 0..DAY);
    store.set_sent(&due.then).unwrap();
    store.tidy_all(keep, None);
    assert_eq!(first(&mut store), DAY);

    let used = store.reach().unwrap().used_bytes;
    store.tidy_all(Keep { bytes: used - 1, ..keep }, None);
    let begin = first(&mut store);
    assert!(begin > DAY);
    let due = store.sending().unwrap().due.unwrap();
    assert_eq!((due.minutes.start, due.then.dropped), (begin, u64::from(begin - DAY)));
}

#[test]
fn rows_that_change_after_they_were_sent_are_counted_and_repeated_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("history")).unwrap();
    let changed = |store: &mut Store| store.sending().unwrap().sent.map(|sent| sent.changed);
    for now in [200, 200 + 2 * HOUR] {
        let rows = [100, 101].map(|minute| (node("a"), row(minute, 5, 1, 100, 5)));
        store.apply(&batch(now, rows.to_vec())).unwrap();
        assert_eq!(changed(&mut store), (now > 200).then_some(1), "a repeated row is no change");
        store.compact_all();
        send_all(&mut store);
        let grown = row(if now == 200 { 100 } else { 101 }, 6, 1, 100, 6);
        store.apply(&batch(now + 1, vec![(node("a"), grown)])).unwrap();
    }
    assert_eq!(changed(&mut store), Some(2));
    // What lies ahead of the mark is sent as it is then.
    store.apply(&batch(400, vec![(node("a"), row(399, 6, 1, 100, 6))])).unwrap();
    assert_eq!(changed(&mut store), Some(2));
}

#[test]
fn a_node_that_was_forgotten_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    let mut store = Store::open(&path).unwrap();
    let rows = ["a", "b"].map(|name| (node(name), row(100, 5, 1, 100, 5)));
    store.apply(&batch(200, rows.to_vec())).unwrap();
    let mut reader = Store::open_to_read(&path, store.settled()).unwrap();
    assert_eq!(reader.band_minutes(0, 100..101).unwrap().len(), 2);
    store.forget(&node("a"), 0).unwrap();
    let left = reader.band_minutes(0, 100..101).unwrap();
    assert_eq!(left.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&node("b")]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn whenever_sending_goes_on_each_minute_is_sent_once(
        steps in proptest::collection::vec((1_u32..200, any::<bool>()), 1..30)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("history")).unwrap();
        let (mut now, mut sent) = (1_000, Vec::new());
        for (minutes, is_cut) in steps {
            now += minutes;
            store.apply(&batch(now, vec![(node("a"), row(now - 1, 5, 1, 1_000, 5))])).unwrap();
            if is_cut {
                store.compact_all();
                // One step only: the rest is due later.
                if let Some(due) = store.sending().unwrap().due {
                    prop_assert!(due.minutes.end + 16 <= now);
                    let found = store.band_minutes(due.band, due.minutes.clone()).unwrap();
                    sent.extend(found.into_iter().flat_map(|(_, minutes)| minutes));
                    store.set_sent(&due.then).unwrap();
                }
            }
        }
        sent.extend(send_all(&mut store).into_iter().map(|(_, minute, point)| (minute, point)));
        let until = store.sending().unwrap().sent.map_or(0, |sent| sent.until);
        prop_assert_eq!(sent, store.points(&SeriesKey::Node(node("a")), 0..until, 1));
    }
}
