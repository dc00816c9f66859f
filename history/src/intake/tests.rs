use tidemap_wire::{Extremes, RunCounters, encode};

use super::*;

const NOW_MS: i64 = 1_700_000_040_000;
const NOW: u32 = 28_333_334;

/// An intake that has taken a message of one node.
fn taken(rows: &[MinuteRow], late: &[LateSample]) -> Intake {
    let node = NodeId::from_name("web-01").unwrap();
    let mut minutes = Minutes::new(1, NOW_MS);
    rows.iter().for_each(|row| minutes.push(&node, row));
    late.iter().for_each(|late| minutes.push_late(&node, late));
    let mut intake = Intake::default();
    intake.take(LogEvent::Messages(vec![record(encode(&minutes))]));
    intake
}

fn record(payload: Vec<u8>) -> Record {
    Record {
        subject: "tidemap.v1.history.minutes.7.1.0".into(),
        sequence: 1,
        published_ns: NOW_MS * 1_000_000,
        payload: payload.into(),
        headers: None,
        pending: 0,
    }
}

fn row(minute: u32) -> MinuteRow {
    MinuteRow { minute, samples: 60, covered_ms: 60_000, rx_bytes: 7, ..MinuteRow::default() }
}

fn late(minute: u32) -> LateSample {
    LateSample { minute, boot: 1, seq: u64::from(minute), covered_ms: 1_000, rx_bytes: 5, tx_bytes: 6 }
}

#[test]
fn rows_of_1970_and_of_the_far_future_are_refused_and_counted() {
    let minutes = [0, 9_999, NOW - 1, NOW, NOW + 60, NOW + 61, NOW + 525_600, u32::MAX];
    let mut intake = taken(&minutes.map(row), &minutes.map(late));
    assert_eq!(intake.refused, 10);
    let batch = intake.batch().unwrap();
    let rows: Vec<u32> = batch.rows.iter().map(|(_, row)| row.minute).collect();
    let late: Vec<u32> = batch.late.iter().map(|(_, late)| late.minute).collect();
    assert_eq!((rows, late), (vec![NOW - 1, NOW, NOW + 60], vec![NOW - 1, NOW, NOW + 60]));
    assert_eq!(batch.at_ms, NOW_MS);
}

#[test]
fn a_row_that_no_host_can_have_is_cut_and_an_honest_one_stays() {
    let most = u64::MAX;
    let counters = (0..500).map(|boot| RunCounters { boot, since: NOW, rx_bytes: most, tx_bytes: 1 });
    let wrong = MinuteRow {
        samples: u32::MAX,
        covered_ms: u32::MAX,
        rx_bytes: most,
        rates: Some(Extremes { rx_max: most, tx_max: 9, rx_min: 1, tx_min: 2 }),
        counters: counters.collect(),
        ..row(NOW)
    };
    let wrong_late = LateSample { covered_ms: u32::MAX, tx_bytes: most, ..late(NOW) };
    let mut intake = taken(&[row(NOW - 1), wrong], &[late(NOW - 1), wrong_late]);
    assert_eq!((intake.refused, intake.cut), (0, 2));
    let batch = intake.batch().unwrap();
    assert_eq!((&batch.rows[0].1, batch.late[0].1), (&row(NOW - 1), late(NOW - 1)));
    let cut = &batch.rows[1].1;
    assert_eq!((cut.covered_ms, cut.rx_bytes, cut.tx_bytes), (125_535, 1 << 46, 0));
    assert_eq!((cut.rates.unwrap().rx_max, cut.counters.len()), (100_000_000_000_000, 32));
    assert_eq!((batch.late[1].1.covered_ms, batch.late[1].1.tx_bytes), (65_535, 1 << 46));
}

#[test]
fn what_is_no_message_of_minutes_is_counted_and_passed() {
    let mut intake = Intake::default();
    intake.take(LogEvent::Messages(vec![record(b"nothing of ours".to_vec())]));
    assert_eq!((intake.unreadable, intake.position().applied), (1, 1));
    assert!(intake.batch().is_some_and(|batch| batch.rows.is_empty()));
}

#[test]
fn what_the_stream_dropped_unread_is_noted_with_the_next_message() {
    let message = || LogEvent::Messages(vec![record(encode(&Minutes::new(1, NOW_MS)))]);
    let opened = |last| LogEvent::Opened { last, created_ns: 1 };
    let lost = |events: Vec<LogEvent>| {
        let mut intake = Intake::default();
        events.into_iter().chain([message()]).for_each(|event| intake.take(event));
        intake.batch().unwrap().lost_before_ms
    };
    assert_eq!(lost(vec![opened(9)]), None);
    assert_eq!(lost(vec![LogEvent::Lost { count: 3 }, opened(9)]), Some(NOW_MS));
    // All of the old stream was read, or not.
    assert_eq!(lost(vec![opened(1), message(), LogEvent::Recreated, opened(9)]), None);
    assert_eq!(lost(vec![opened(2), message(), LogEvent::Recreated, opened(9)]), Some(NOW_MS));
    assert_eq!(lost(vec![LogEvent::Recreated, opened(9)]), Some(NOW_MS));
}
