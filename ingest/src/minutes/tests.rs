mod clocks;
mod hostile;

use tidemap_wire::{Bps, ReceivedReport, Sample, decode, encode};

use super::{Receipt, Untold};
use crate::node::Node;

/// The beginning of a minute.
const NOW_MS: i64 = 1_700_000_040_000;
const MINUTE: u32 = 28_333_334;

fn sample(seq: u64, at_ms: i64) -> Sample {
    let rate = Bps::over(100, 1_000);
    Sample {
        seq,
        at_ms,
        elapsed_ms: 1_000,
        rx_bytes: seq * 100,
        tx_bytes: seq * 100,
        rx_bps: rate,
        tx_bps: rate,
        ..Sample::default()
    }
}

/// Adds a report of one sample that was stored at `published_ms`.
fn report(node: &mut Option<Node>, boot: u64, sample: Sample, published_ms: i64) -> u64 {
    let report = ReceivedReport { node: "web-01", boot, hello: None, samples: vec![sample] };
    let node = node.get_or_insert_with(|| Node::new(0, &report, published_ms));
    node.observe(report, published_ms).history_lost
}

/// Of each row: its minute from `MINUTE` on, its samples and its bytes.
fn rows(untold: &Untold) -> Vec<(i64, u32, u64)> {
    let row = |minute, samples, bytes| (i64::from(minute) - i64::from(MINUTE), samples, bytes);
    untold.rows.iter().map(|one| row(one.minute, one.samples, one.rx_bytes)).collect()
}

fn all(node: Option<&Node>) -> Untold {
    node.unwrap().untold(u32::MAX)
}

#[test]
fn a_row_is_due_once_its_minute_has_passed_and_again_when_it_changes() {
    let mut node = None;
    report(&mut node, 1, sample(1, NOW_MS), NOW_MS);
    report(&mut node, 1, sample(3, NOW_MS + 60_000), NOW_MS + 60_000);
    let node_mut = node.as_mut().unwrap();
    let untold = node_mut.untold(MINUTE + 1);
    assert_eq!(rows(&untold), [(0, 1, 100)]);
    // It changes while the message is on its way.
    report(&mut node, 1, sample(2, NOW_MS + 1_000), NOW_MS + 60_000);
    let node_mut = node.as_mut().unwrap();
    node_mut.acknowledge(&[Receipt::of_row(&untold.rows[0])]);
    let again = node_mut.untold(MINUTE + 1);
    assert_eq!((rows(&again), again.rows[0].counters[0].rx_bytes), (vec![(0, 2, 200)], 200));
    node_mut.acknowledge(&[Receipt::of_row(&again.rows[0])]);
    assert_eq!(rows(&node_mut.untold(u32::MAX)), [(1, 1, 100)]);
}

#[test]
fn a_run_without_a_rate_and_with_a_lost_sample_counts_what_is_unplaced() {
    let mut node = None;
    report(&mut node, 1, sample(1, NOW_MS), NOW_MS);
    let without = Sample { rx_bps: None, tx_bps: None, ..sample(2, NOW_MS + 1_000) };
    report(&mut node, 1, without, NOW_MS + 1_000);
    // The third is lost.
    report(&mut node, 1, sample(4, NOW_MS + 60_000), NOW_MS + 60_000);
    let untold = all(node.as_ref());
    assert_eq!(rows(&untold), [(0, 2, 100), (1, 1, 100)]);
    let counters: Vec<u64> = untold.rows.iter().map(|row| row.counters[0].rx_bytes).collect();
    assert_eq!((counters, untold.rows[0].covered_ms), (vec![200, 400], 1_000));
}

#[test]
fn two_runs_in_a_minute_have_their_counters_apart_and_a_second_agent_has_none() {
    let mut node = None;
    for (boot, seq, after_ms) in [(7, 1, 0), (7, 2, 1_000), (3, 1, 20_000), (7, 9, 21_000), (3, 2, 70_000)] {
        report(&mut node, boot, sample(seq, NOW_MS + after_ms), NOW_MS + after_ms);
    }
    let untold = all(node.as_ref());
    assert_eq!(rows(&untold), [(0, 3, 300), (1, 1, 100)]);
    let counters = |row: usize| -> Vec<(u64, u64)> {
        untold.rows[row].counters.iter().map(|run| (run.boot, run.rx_bytes)).collect()
    };
    assert_eq!((counters(0), counters(1)), (vec![(3, 100), (7, 200)], vec![(3, 200)]));
}

#[test]
fn a_clock_that_is_put_back_opens_no_minute_twice() {
    let mut node = None;
    for minute in 0..3 {
        report(
            &mut node,
            1,
            sample(minute + 1, NOW_MS + minute as i64 * 60_000),
            NOW_MS + minute as i64 * 60_000,
        );
    }
    // From an hour ahead to right, in the middle of the third minute; the host's clock was right before.
    let back_ms = NOW_MS + 150_000;
    report(&mut node, 1, sample(4, back_ms - 3_600_000), back_ms);
    let untold = all(node.as_ref());
    assert_eq!(rows(&untold), [(0, 1, 100), (1, 1, 100), (2, 1, 100)]);
    assert_eq!(untold.late.iter().map(|late| (late.seq, late.minute - MINUTE)).collect::<Vec<_>>(), [(4, 2)]);
    // By its new clock and the broker's, the next minute is a new one.
    report(&mut node, 1, sample(5, back_ms + 60_000 - 3_600_000), back_ms + 60_000);
    assert_eq!(rows(&all(node.as_ref())), [(0, 1, 100), (1, 1, 100), (2, 1, 100), (3, 1, 100)]);
}

#[test]
fn a_host_of_1970_gets_the_brokers_minutes_until_its_clock_is_set() {
    let mut node = None;
    for minute in 0..2_i64 {
        report(&mut node, 1, sample(minute as u64 + 1, minute * 60_000), NOW_MS + minute * 60_000);
    }
    assert_eq!(rows(&all(node.as_ref())), [(0, 1, 100), (1, 1, 100)]);
    report(&mut node, 1, sample(3, NOW_MS + 120_000), NOW_MS + 120_000);
    let untold = all(node.as_ref());
    assert_eq!((rows(&untold), untold.late.len()), (vec![(0, 1, 100), (1, 1, 100), (2, 1, 100)], 0));
}

#[test]
fn rows_that_nobody_takes_are_kept_for_an_hour_and_then_counted() {
    let mut node = None;
    let mut lost = 0;
    for minute in 0..100 {
        let at_ms = NOW_MS + minute * 60_000;
        lost += report(&mut node, 1, sample(minute as u64 + 1, at_ms), at_ms);
    }
    let untold = all(node.as_ref());
    assert_eq!((lost, untold.rows.len(), rows(&untold)[0]), (21, 79, (21, 1, 100)));
    let kept: Node = decode(&encode(node.as_ref().unwrap())).unwrap();
    assert_eq!(kept.untold(u32::MAX), untold);
    assert_eq!(untold.rows.iter().map(|row| row.counters[0].rx_bytes).max(), Some(10_000));
}

#[test]
fn a_node_of_an_earlier_versions_checkpoint_begins_with_the_next_sample() {
    let mut node = None;
    report(&mut node, 1, sample(1, NOW_MS), NOW_MS);
    let mut earlier = Some(node.as_ref().unwrap().without_minutes());
    report(&mut earlier, 1, sample(2, NOW_MS + 1_000), NOW_MS + 1_000);
    let untold = all(earlier.as_ref());
    assert_eq!((rows(&untold), untold.rows[0].counters[0].since), (vec![(0, 1, 100)], MINUTE));
}

#[test]
fn an_hour_of_backlog_lands_in_its_minutes() {
    let mut node = None;
    let now_ms = NOW_MS + 3_600_000;
    let mut lost = report(&mut node, 1, sample(601, now_ms), now_ms);
    // All that an agent keeps: 600 samples, one in six seconds.
    let samples: Vec<Sample> =
        (0..600).map(|number| sample(number + 1, NOW_MS + i64::try_from(number).unwrap() * 6_000)).collect();
    for batch in samples.chunks(60) {
        let report = ReceivedReport { node: "web-01", boot: 1, hello: None, samples: batch.to_vec() };
        lost += node.as_mut().unwrap().observe(report, now_ms).history_lost;
    }
    let untold = all(node.as_ref());
    let mut minutes = std::collections::BTreeMap::<u32, u64>::new();
    untold.rows.iter().for_each(|row| *minutes.entry(row.minute).or_default() += row.rx_bytes);
    untold.late.iter().for_each(|late| *minutes.entry(late.minute).or_default() += late.rx_bytes);
    let mut expected: Vec<(u32, u64)> = (0..60).map(|minute| (MINUTE + minute, 1_000)).collect();
    expected.push((MINUTE + 60, 100));
    assert_eq!((lost, minutes.into_iter().collect::<Vec<_>>()), (0, expected));
    assert_eq!((untold.rows.len(), untold.late.len()), (15, 460));
    let kept: Node = decode(&encode(node.as_ref().unwrap())).unwrap();
    assert_eq!(kept.untold(u32::MAX), untold);
    let receipts: Vec<Receipt> = untold.late.iter().map(Receipt::of_late).collect();
    node.as_mut().unwrap().acknowledge(&receipts);
    assert_eq!(all(node.as_ref()), Untold { late: Vec::new(), ..untold });
}
