//! What one agent can do to the history: little, and an honest agent in trouble loses nothing.

use tidemap_wire::bounds;

use super::*;

/// Of rows and late samples together.
fn bytes(untold: &Untold) -> u64 {
    let rows = untold.rows.iter().map(|row| row.rx_bytes);
    rows.chain(untold.late.iter().map(|late| late.rx_bytes)).sum()
}

#[test]
fn an_agent_that_invents_runs_loses_no_byte_and_has_few_of_them_in_a_row() {
    let mut node = None;
    let mut random = fastrand::Rng::with_seed(7);
    let mut count = 0;
    for second in 0..1_800 {
        let at_ms = NOW_MS + second * 500;
        // A new run that is a restart, and one whose sample is late.
        for back_ms in [0, 100, 200] {
            let boot = random.u64(..);
            report(&mut node, boot, sample(1, at_ms - back_ms), at_ms);
            count += 1;
        }
    }
    let node = node.unwrap();
    let untold = node.untold(u32::MAX);
    assert!(untold.rows.len() >= 15);
    assert!(untold.rows.iter().all(|row| row.counters.len() <= bounds::RUNS));
    assert_eq!(bytes(&untold), count * 100, "every byte is in a minute");
    assert!(encode(&node).len() < 24 * 1024, "{} bytes", encode(&node).len());
    let kept: Node = decode(&encode(&node)).unwrap();
    assert_eq!(kept.untold(u32::MAX), untold);
}

/// As systemd restarts it: two seconds after its end, for all of the windows and more.
#[test]
fn an_agent_that_crashes_every_three_seconds_loses_nothing() {
    let mut node = None;
    let (mut moved, mut random) = (0, fastrand::Rng::with_seed(3));
    let mut joined = std::collections::BTreeMap::<u32, tidemap_wire::MinuteRow>::new();
    let mut lost = 0;
    for run in 0..600 {
        let at_ms = NOW_MS + run * 2_300;
        let first = sample(1, at_ms);
        // With a spool, a run's counters begin with what moved before it.
        lost += report(&mut node, random.u64(..), Sample { rx_bytes: 150, ..first }, at_ms);
        moved += 150;
        let published = node.as_ref().unwrap().untold(crate::window::minute_of(at_ms));
        // The history takes none of it for a quarter of an hour.
        if run % 400 == 399 || run == 599 {
            let untold = if run == 599 { all(node.as_ref()) } else { published };
            for row in &untold.rows {
                joined.entry(row.minute).or_insert_with(|| row.clone()).join(row);
            }
        }
    }
    let placed: u64 = joined.values().map(|row| row.rx_bytes).sum();
    let counted: u64 = joined.values().flat_map(|row| &row.counters).map(|run| run.rx_bytes).sum();
    assert_eq!((lost, placed, counted), (0, 60_000, moved));
}

#[test]
fn late_samples_of_one_agent_have_a_rate_and_an_honest_backlog_is_below_it() {
    let mut node = None;
    let now_ms = NOW_MS + 7_200_000;
    report(&mut node, 1, sample(100_000, now_ms), now_ms);
    let (mut seq, mut published, mut lost) = (1_000_000, 0, 0);
    for second in 0..600 {
        let live_ms = now_ms + second * 1_000;
        report(&mut node, 1, sample(100_001 + second.cast_unsigned(), live_ms), live_ms);
        for _ in 0..20 {
            seq += 1;
            // Each is of a run of its own, which seems to have ended two hours ago.
            lost += report(&mut node, seq, sample(1, NOW_MS), live_ms);
        }
        if second % 60 == 59 {
            let untold = all(node.as_ref());
            assert!(untold.late.len() <= 2 * bounds::SAMPLES);
            published += untold.late.len();
            let receipts: Vec<Receipt> = untold.late.iter().map(Receipt::of_late).collect();
            node.as_mut().unwrap().acknowledge(&receipts);
        }
    }
    // Two rings at once, and one a second.
    assert!((1_200..=1_201 + 600).contains(&published), "{published} were published");
    assert!(lost > 0);
}

#[test]
fn numbers_of_one_agent_are_what_a_host_can_do_in_a_minute() {
    let mut node = None;
    let rate = Bps::new(Bps::MAX_PLAUSIBLE);
    for seq in 1..=900 {
        let at_ms = NOW_MS + i64::try_from(seq).unwrap() * 10;
        for elapsed_ms in [65_535, u32::MAX] {
            let sample = Sample {
                elapsed_ms,
                rx_bytes: bounds::COUNTED_BYTES,
                rx_bps: rate,
                tx_bps: rate,
                ..sample(2 * seq + u64::from(elapsed_ms == u32::MAX), at_ms)
            };
            report(&mut node, 1, sample, at_ms);
        }
    }
    let untold = all(node.as_ref());
    let [row] = untold.rows.as_slice() else { panic!("{untold:?}") };
    assert_eq!((row.samples, row.covered_ms), (1_800, 125_535));
    assert_eq!((row.rx_bytes, row.tx_bytes), (bounds::MINUTE_BYTES, bounds::MINUTE_BYTES));
    assert_eq!(row.rates.unwrap().rx_max, 100_000_000_000_000);
    assert_eq!(row.counters[0].rx_bytes, bounds::COUNTED_BYTES);
}

#[test]
fn a_node_whose_rows_nobody_takes_keeps_a_few_kilobytes_and_counts_the_rest() {
    let mut node = None;
    let (mut lost, mut before) = (0, 0);
    for minute in 0..600 {
        let at_ms = NOW_MS + minute * 60_000;
        let seq = u64::try_from(minute).unwrap() + 1;
        let busy = Bps::over(7_500_000_003 + seq, 60_000);
        let sample = Sample { elapsed_ms: 60_000, rx_bps: busy, tx_bps: busy, ..sample(seq, at_ms) };
        lost += report(&mut node, u64::MAX / 3, sample, at_ms);
        if minute == 14 {
            before = encode(node.as_ref().unwrap()).len();
        }
    }
    let grown = encode(node.as_ref().unwrap()).len() - before;
    assert!(grown < 64 * 64, "{grown} bytes");
    assert_eq!(lost + 64 + 15, 600);
}
