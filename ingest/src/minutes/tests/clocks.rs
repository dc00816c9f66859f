//! Clocks that are wrong: of hosts, and of the broker.

use super::*;

const YEAR: i64 = 525_600;
const YEAR_MS: i64 = YEAR * 60_000;

/// The agent reports once in ten seconds for so many minutes from a minute on, by its host's clock and the
/// broker's, each so much wrong.
fn live(node: &mut Option<Node>, boot: u64, minutes: std::ops::Range<i64>, host_ms: i64, broker_ms: i64) {
    for step in minutes.start * 6..minutes.end * 6 {
        let at_ms = NOW_MS + step * 10_000;
        let seq = u64::try_from(step + 1).unwrap();
        let report = ReceivedReport {
            node: "web-01",
            boot,
            hello: None,
            samples: vec![sample(seq, (at_ms + host_ms).max(step * 10_000))],
        };
        let published_ms = at_ms + broker_ms;
        let node = node.get_or_insert_with(|| Node::new(0, &report, published_ms));
        assert_eq!(node.observe(report, published_ms).history_lost, 0);
    }
}

/// Bytes by minute from `MINUTE` on.
type Minutes = Vec<(i64, u64)>;

/// Those of rows, and those of late samples.
fn minutes(untold: &Untold) -> (Minutes, Minutes) {
    let sums = |parts: Vec<(u32, u64)>| {
        let mut sums = std::collections::BTreeMap::<i64, u64>::new();
        parts.iter().for_each(|(minute, bytes)| {
            *sums.entry(i64::from(*minute) - i64::from(MINUTE)).or_default() += bytes;
        });
        sums.into_iter().collect()
    };
    let rows = untold.rows.iter().map(|row| (row.minute, row.rx_bytes)).collect();
    (sums(rows), sums(untold.late.iter().map(|late| (late.minute, late.rx_bytes)).collect()))
}

fn whole(minutes: std::ops::Range<i64>) -> Vec<(i64, u64)> {
    minutes.map(|minute| (minute, 600)).collect()
}

#[test]
fn a_broker_that_was_a_year_ahead_once_leaves_later_minutes_right() {
    let mut node = None;
    // The agent starts meanwhile; nothing is acknowledged.
    live(&mut node, 1, 0..3, 0, YEAR_MS);
    live(&mut node, 1, 3..20, 0, 0);
    let (rows, late) = minutes(&node.as_ref().unwrap().untold(MINUTE + 20));
    // What was of next year waits.
    assert_eq!((rows, late), (whole(3..20), vec![]));
    let next_year = MINUTE + u32::try_from(YEAR).unwrap();
    assert_eq!(node.as_ref().unwrap().untold(next_year + 3).rows.len(), 17 + 3);
}

#[test]
fn a_machine_whose_clock_was_a_year_ahead_once_goes_on_with_rows() {
    let mut node = None;
    live(&mut node, 1, 0..3, 0, 0);
    live(&mut node, 1, 3..30, YEAR_MS, YEAR_MS);
    live(&mut node, 1, 30..40, 0, 0);
    let untold = node.as_ref().unwrap().untold(MINUTE + 41);
    let (rows, late) = minutes(&untold);
    assert_eq!((rows, late), ([whole(0..3), whole(30..40)].concat(), vec![]));
    // The history takes it for another run, so what moved by the wrong clock is not counted with these.
    let counters = untold.rows.last().unwrap().counters[0];
    assert_eq!((counters.since, counters.rx_bytes), (MINUTE + 30, 10 * 600));
}

#[test]
fn a_broker_of_1970_does_not_move_minutes() {
    let mut node = None;
    live(&mut node, 1, 0..3, 0, -NOW_MS);
    live(&mut node, 1, 3..6, 0, 0);
    assert_eq!(minutes(&all(node.as_ref())), (whole(0..6), vec![]));
}

#[test]
fn a_broker_that_was_a_year_behind_once_leaves_later_minutes_right() {
    let mut node = None;
    live(&mut node, 1, 0..3, 0, -YEAR_MS);
    live(&mut node, 1, 3..6, 0, 0);
    let (rows, late) = minutes(&all(node.as_ref()));
    let then: Vec<(i64, u64)> = (0..3).map(|minute| (minute - YEAR, 600)).collect();
    assert_eq!((rows, late), ([then, whole(3..6)].concat(), vec![]));
}

/// A small computer without a battery: its samples from before its clock was set come after a live one.
#[test]
fn samples_of_1970_count_when_the_clock_is_set() {
    let mut node = None;
    live(&mut node, 1, 30..31, 0, 0);
    live(&mut node, 1, 0..30, -NOW_MS, 1_800_000);
    let untold = all(node.as_ref());
    let (rows, late) = minutes(&untold);
    assert_eq!((rows, late), (whole(30..31), vec![(30, 30 * 600)]));
    assert!(untold.rows[0].counters[0].since >= MINUTE, "{untold:?}");
}

#[test]
fn a_host_years_ahead_gets_the_brokers_minutes() {
    let mut node = None;
    live(&mut node, 1, 0..3, 7 * YEAR_MS, 0);
    assert_eq!(minutes(&all(node.as_ref())), (whole(0..3), vec![]));
    // It is set right.
    live(&mut node, 1, 3..5, 0, 0);
    assert_eq!(minutes(&all(node.as_ref())), (whole(0..5), vec![]));
}

/// What a reader of the rows finds that counters contain and minutes do not.
fn unplaced(untold: &Untold) -> u64 {
    let mut rows: Vec<_> = untold.rows.iter().collect();
    rows.sort_by_key(|row| row.minute);
    let (mut counted, mut ahead, mut unplaced) = (0, 0, 0);
    for row in rows {
        let now = row.counters.first().map_or(counted, |run| run.rx_bytes);
        let (grown, placed) = (now - counted, ahead + row.rx_bytes);
        unplaced += grown.saturating_sub(placed);
        (counted, ahead) = (now.max(counted), placed.saturating_sub(grown));
    }
    unplaced
}

#[test]
fn a_clock_that_is_put_back_over_the_edge_of_a_minute_makes_no_byte_twice() {
    for back_s in [1, 11, 20, 39] {
        let mut node = None;
        let mut at_ms = NOW_MS + 50_000;
        for seq in 1..=40 {
            at_ms += if seq == 12 { 1_000 - back_s * 1_000 } else { 1_000 };
            // The seventh has no rate.
            let mut sample = sample(seq, at_ms);
            if seq == 7 {
                (sample.rx_bps, sample.tx_bps) = (None, None);
            }
            report(&mut node, 1, sample, NOW_MS + 50_000 + i64::try_from(seq).unwrap() * 1_000);
        }
        let untold = all(node.as_ref());
        let placed: u64 = untold.rows.iter().map(|row| row.rx_bytes).sum();
        assert_eq!((placed, unplaced(&untold)), (3_900, 100), "put back by {back_s} s: {untold:?}");
    }
}

/// Its clock was right, and those of later runs begin in 1970, so by its time it seems to be a new one.
#[test]
fn a_sample_of_many_runs_ago_that_comes_again_counts_once() {
    let mut node = None;
    live(&mut node, 1, 0..1, 0, 0);
    for run in 2..30 {
        let at_ms = NOW_MS + 60_000 + i64::try_from(run).unwrap() * 3_000;
        report(&mut node, run, sample(1, i64::try_from(run).unwrap() * 3_000), at_ms);
    }
    let before = all(node.as_ref());
    report(&mut node, 1, sample(6, NOW_MS + 50_000), NOW_MS + 160_000);
    assert_eq!(all(node.as_ref()), before);
    let bytes = |parts: Minutes| parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let (rows, late) = minutes(&before);
    assert_eq!(bytes(rows) + bytes(late), 600 + 28 * 100);
}
