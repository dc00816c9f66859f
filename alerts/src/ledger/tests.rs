use proptest::prelude::*;
use tidemap_client::notice_key;

use super::*;
use crate::testing::{key, put, update};

/// Sees all alerts of a notice, although it lists the first ones only.
fn everybody(notice: &AlertNotice) -> BTreeSet<String> {
    assert_eq!(notice.alerts.len(), notice.count as usize);
    ["ops".to_owned()].into()
}

fn push(ledger: &mut Ledger, node: &str, change: AlertChange, now_ms: u64) {
    ledger.push(&key(node), update(node, change, 1), "site".to_owned(), now_ms);
}

/// Stores everything that is due, as if each write succeeded.
fn store(ledger: &mut Ledger, bucket: &mut AlertBucket, now_ms: u64, revision: &mut u64) {
    for write in ledger.due(bucket, now_ms).writes {
        *revision += 1;
        put(bucket, &write.key, &write.record, *revision);
    }
    loop {
        let mending = mend(bucket, 0, everybody);
        if mending.notices.is_empty() && mending.records.is_empty() {
            return;
        }
        for notice in mending.notices {
            *revision += 1;
            put(bucket, &notice_key(&notice.notice.id), &notice, *revision);
        }
        for write in mending.records {
            *revision += 1;
            put(bucket, &write.key, &write.record, *revision);
        }
    }
}

#[test]
fn what_happens_within_a_second_is_one_notice() {
    let (mut ledger, mut bucket, mut revision) = (Ledger::default(), AlertBucket::default(), 0);
    for node in 0..30 {
        push(&mut ledger, &format!("n{node}"), AlertChange::Fired, node * 30);
    }
    assert!(ledger.due(&bucket, 999).writes.is_empty());
    store(&mut ledger, &mut bucket, 1_000, &mut revision);
    assert!(ledger.due(&bucket, 1_000).writes.is_empty() && ledger.is_empty());
    let notices: Vec<_> = bucket.notices.values().collect();
    let [stored] = notices.as_slice() else { panic!("{} notices", notices.len()) };
    assert_eq!((stored.value.notice.count, stored.value.notice.alerts.len()), (30, 20));
    assert_eq!(stored.value.notice.alerts[2].target.name, "n2");
    assert_eq!(stored.value.undelivered, ["".to_owned(), "ops".to_owned()].into());
}

#[test]
fn a_firing_that_another_station_has_stored_is_not_notified_again() {
    let (mut ledger, mut bucket, mut revision) = (Ledger::default(), AlertBucket::default(), 0);
    push(&mut ledger, "a", AlertChange::Fired, 0);
    store(&mut ledger, &mut bucket, 1_000, &mut revision);
    // This station believes that it fired at another moment.
    let mut late = Ledger::default();
    late.push(&key("a"), update("a", AlertChange::Fired, 7), String::new(), 0);
    let due = late.due(&bucket, 5_000);
    assert!(due.writes.is_empty());
    assert_eq!(due.others[0].standing, bucket.records[&key("a")].value.standing);
    // And a resolution of an alert that does not fire.
    late.push(&key("a"), update("a", AlertChange::Resolved, 7), String::new(), 0);
    assert!(late.due(&bucket, 5_000).writes.is_empty());
    assert_eq!(bucket.notices.len(), 1);
}

#[test]
fn a_change_waits_until_the_one_before_was_notified() {
    let (mut ledger, mut bucket) = (Ledger::default(), AlertBucket::default());
    push(&mut ledger, "a", AlertChange::Fired, 0);
    push(&mut ledger, "a", AlertChange::Resolved, 0);
    let due = ledger.due(&bucket, 1_000).writes;
    assert_eq!((due.len(), due[0].record.change), (1, AlertChange::Fired));
    put(&mut bucket, &due[0].key, &due[0].record, 1);
    assert!(ledger.due(&bucket, 1_000).writes.is_empty(), "nobody was notified that it fires");
    let notice = mend(&bucket, 0, everybody).notices.remove(0);
    put(&mut bucket, &notice_key(&notice.notice.id), &notice, 2);
    assert_eq!(ledger.due(&bucket, 1_000).writes[0].record.change, AlertChange::Resolved);
}

#[test]
fn repetitions_and_what_is_over_do_not_pile_up_while_nothing_can_be_written() {
    let mut ledger = Ledger::default();
    let changes = |ledger: &Ledger| -> Vec<(AlertChange, i64)> {
        let queue = ledger.queued[&key("a")].iter().map(|queued| &queued.update);
        queue.map(|update| (update.change, update.alert.since_ms)).collect()
    };
    let say = |ledger: &mut Ledger, change, since_ms| {
        ledger.push(&key("a"), update("a", change, since_ms), String::new(), 0);
    };
    use AlertChange::{Fired, Repeated, Resolved};
    say(&mut ledger, Fired, 0);
    for _ in 0..100 {
        say(&mut ledger, Repeated, 0);
    }
    assert_eq!(changes(&ledger), [(Fired, 0)]);
    say(&mut ledger, Resolved, 0);
    for since_ms in 1..100 {
        say(&mut ledger, Fired, since_ms);
        say(&mut ledger, Fired, since_ms);
        say(&mut ledger, Repeated, since_ms);
        say(&mut ledger, Resolved, since_ms);
    }
    let kept = changes(&ledger);
    assert!(kept.len() <= MAX_QUEUED + 1, "{kept:?}");
    assert_eq!(kept[..2], [(Fired, 0), (Resolved, 0)]);
    // What fires now is notified, and so is each end of what is.
    say(&mut ledger, Fired, 100);
    assert_eq!(changes(&ledger).last(), Some(&(Fired, 100)));
    let fired = |wanted| kept.iter().filter(move |(change, _)| *change == wanted).map(|(_, since)| *since);
    let firings: BTreeSet<i64> = fired(Fired).collect();
    assert_eq!(firings, fired(Resolved).collect());
}

#[test]
fn the_end_of_what_is_stored_waits_behind_whatever_waits() {
    let mut ledger = Ledger::default();
    for since_ms in 0..=MAX_QUEUED as i64 {
        ledger.push(&key("a"), update("a", AlertChange::Fired, since_ms), String::new(), 0);
    }
    ledger.push(&key("a"), update("a", AlertChange::Resolved, -1), String::new(), 0);
    ledger.push(&key("a"), update("a", AlertChange::Resolved, 0), String::new(), 0);
    assert_eq!(ledger.waiting(), MAX_QUEUED + 3);
}

/// What befalls a station while it writes.
#[derive(Clone, Debug)]
enum Fate {
    /// It writes so many of the keys that are due, then ends.
    EndsAfter(usize),
    /// It stands still after so many; another takes over, and later its further writes arrive.
    Wakes(usize),
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_change_is_notified_once_however_stations_end(
        nodes in 1..12_usize,
        fates in prop::collection::vec(
            prop_oneof![(0..30_usize).prop_map(Fate::EndsAfter), (0..30_usize).prop_map(Fate::Wakes)], 0..6),
    ) {
        let (mut bucket, mut revision) = (AlertBucket::default(), 0_u64);
        let mut asleep: Vec<(String, Vec<u8>, u64)> = Vec::new();
        // A compare-and-swap.
        let swap = |bucket: &mut AlertBucket, key: &str, value: &[u8], over: u64, revision: &mut u64| {
            if bucket.revision(key).unwrap_or_default() == over {
                *revision += 1;
                bucket.note(key, Some(value), *revision);
            }
        };
        for change in [AlertChange::Fired, AlertChange::Resolved] {
            for fate in fates.iter().cloned().map(Some).chain([None]) {
                // A station that takes over first tells what was not notified, then judges.
                let mut ledger = Ledger::default();
                for node in 0..nodes {
                    ledger.push(&key(&node.to_string()), update(&node.to_string(), change, 1), String::new(), 0);
                }
                let mut left = match &fate {
                    Some(Fate::EndsAfter(writes) | Fate::Wakes(writes)) => *writes,
                    None => usize::MAX,
                };
                loop {
                    let mending = mend(&bucket, 0, everybody);
                    let mut writes: Vec<(String, Vec<u8>, u64)> = Vec::new();
                    for notice in mending.notices {
                        let key = notice_key(&notice.notice.id);
                        writes.push((key, serde_json::to_vec(&notice).unwrap(), 0));
                    }
                    for write in mending.records {
                        writes.push((write.key, serde_json::to_vec(&write.record).unwrap(), write.revision));
                    }
                    if writes.is_empty() {
                        for write in ledger.due(&bucket, 1_000).writes {
                            writes.push((write.key, serde_json::to_vec(&write.record).unwrap(), write.revision));
                        }
                    }
                    if writes.is_empty() {
                        break;
                    }
                    let now = writes.len().min(left);
                    for (key, value, over) in &writes[..now] {
                        swap(&mut bucket, key, value, *over, &mut revision);
                    }
                    left -= now;
                    if left == 0 {
                        if let Some(Fate::Wakes(_)) = fate {
                            asleep.extend(writes.drain(now..));
                        }
                        break;
                    }
                }
                if fate.is_none() {
                    // One that wakes late, when another judges.
                    for (key, value, over) in asleep.drain(..) {
                        swap(&mut bucket, &key, &value, over, &mut revision);
                    }
                }
            }
            let mut ledger = Ledger::default();
            store(&mut ledger, &mut bucket, 1_000, &mut revision);
        }
        for change in [AlertChange::Fired, AlertChange::Resolved] {
            let notified = bucket.notices.values().filter(|stored| stored.value.notice.change == change);
            let mut members: Vec<u64> = notified.flat_map(|stored| stored.value.members.iter().copied()).collect();
            members.sort_unstable();
            let mut expected: Vec<u64> = (0..nodes).map(|node| member(&key(&node.to_string()))).collect();
            expected.sort_unstable();
            prop_assert_eq!(members, expected, "{}", change);
        }
    }
}
