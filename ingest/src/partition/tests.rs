use proptest::prelude::*;
use tidemap_wire::{Bps, EventKind, NodeId, Pack, PackWriter, Report, Sample, Slot, bounds, encode, subject};

use super::{Limits, Message, Outcome, PartitionState};
use crate::refusal::Refusal;

const LIMITS: Limits = Limits { offline_after_ms: 30_000, forget_after_ms: 60_000, max_nodes: usize::MAX };

fn id(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

fn report(name: &str, seq: u64) -> Report {
    let rate = Bps::new(1_000.0);
    let at_ms = 1_700_000_000_000;
    let sample = Sample { seq, at_ms, elapsed_ms: 1_000, rx_bps: rate, tx_bps: rate, ..Sample::default() };
    Report { node: id(name), boot: 1, hello: None, samples: vec![sample] }
}

fn observe(partition: &mut PartitionState, subject: &str, payload: &[u8]) -> Result<(), Refusal> {
    partition.observe(Message { subject, payload, published_ms: 0 })
}

#[test]
fn refused_messages_change_nothing_but_their_count() {
    let mut partition = PartitionState::new(LIMITS);
    let good = subject::sample(&id("web-01"));
    let mut check = |subject: &str, payload: &[u8], reason| {
        assert_eq!(observe(&mut partition, subject, payload), Err(reason));
    };
    check(&good, b"\xc1 garbage", Refusal::Garbage);
    check("tidemap.v1.sample.1.web-01", &encode(&report("web-01", 1)), Refusal::Subject);
    check(&good, &encode(&report("web-02", 1)), Refusal::NodeMismatch);
    check(&good, &encode(&Report { samples: vec![], ..report("web-01", 1) }), Refusal::Empty);
    check(&good, &encode(&report("web-01", 0)), Refusal::Implausible);
    let mut absurd = report("web-01", 1);
    absurd.samples[0].rx_bps = Bps::new(1e300);
    check(&good, &encode(&absurd), Refusal::Implausible);
    let mut absurd = report("web-01", 1);
    absurd.samples[0].tx_bytes = bounds::COUNTED_BYTES + 1;
    check(&good, &encode(&absurd), Refusal::Implausible);
    for at_ms in [i64::MIN, -1, i64::MAX] {
        let mut absurd = report("web-01", 1);
        absurd.samples[0].at_ms = at_ms;
        check(&good, &encode(&absurd), Refusal::Implausible);
    }
    assert!(partition.snapshot().is_empty());
    assert_eq!(partition.stats().refused.values().sum::<u64>(), 10);
}

fn pack(slot_of: &str, reports: &[&[u8]]) -> (String, Vec<u8>) {
    let mut writer = PackWriter::default();
    assert!(reports.iter().all(|report| writer.push(report)));
    (subject::pack(Slot::of(&id(slot_of)), &id("relay")), writer.finish())
}

#[test]
fn a_report_in_a_pack_counts_as_if_it_had_come_alone() {
    let mut partition = PartitionState::new(LIMITS);
    let reports = [encode(&report("a", 1)), encode(&report("a", 1)), encode(&report("a", 2))];
    let (subject, payload) = pack("a", &reports.each_ref().map(Vec::as_slice));
    let message = Message { subject: &subject, payload: &payload, published_ms: 5 };
    assert_eq!(partition.observe_unless(message, |_| false), Outcome { reports: 3, refused: None });
    let stats = partition.stats();
    assert_eq!((stats.samples, stats.duplicates, partition.snapshot()[0].seen_ms), (2, 1, 5));
    assert_eq!(partition.observe_unless(message, |node| node == "a"), Outcome::default());
    assert_eq!(partition.stats().duplicates, 1);
}

#[test]
fn a_bad_report_in_a_pack_does_not_affect_the_others() {
    let mut partition = PartitionState::new(LIMITS);
    // The last but one is a node of another slot, which must not be in this pack.
    let reports =
        [b"\xc1".to_vec(), encode(&report("a", 0)), encode(&report("b", 1)), encode(&report("a", 1))];
    let (subject, payload) = pack("a", &reports.each_ref().map(Vec::as_slice));
    let message = Message { subject: &subject, payload: &payload, published_ms: 0 };
    assert_eq!(
        partition.observe_unless(message, |_| false),
        Outcome {
            reports: 1,
            refused: Some(super::RefusedReport { node: Some(id("b")), reason: Refusal::OtherSlot })
        }
    );
    let refused = partition.stats().refused;
    assert_eq!(format!("{refused:?}"), r#"{"garbage": 1, "implausible": 1, "other-slot": 1}"#);
    assert_eq!(partition.snapshot().len(), 1);
    // A pack in place of a sample is not a report.
    observe(&mut partition, &subject::sample(&id("a")), &payload).unwrap_err();
    observe(&mut partition, &subject, &encode(&report("a", 2))).unwrap_err();
    assert_eq!(partition.stats().samples, 1);
}

#[test]
fn a_node_joins_falls_silent_and_is_forgotten() {
    let mut partition = PartitionState::new(LIMITS);
    observe(&mut partition, &subject::sample(&id("a")), &encode(&report("a", 1))).unwrap();
    let mut kinds = Vec::new();
    for now_ms in [0, 10_000, 40_000, 60_000] {
        let output = partition.tick(now_ms, 0);
        assert_eq!(
            (partition.updates().count(), output.forgotten.len()),
            if now_ms < 60_000 { (1, 0) } else { (0, 1) }
        );
        kinds.extend(output.events.into_iter().map(|event| event.kind));
    }
    assert_eq!(kinds, [EventKind::Joined, EventKind::Warning, EventKind::Offline, EventKind::Forgotten]);
    partition.tick(61_000, 0);
    assert_eq!(partition.updates().count(), 0);
}

#[test]
fn totals_are_over_online_nodes() {
    let mut partition = PartitionState::new(LIMITS);
    for name in ["a", "b", "c"] {
        observe(&mut partition, &subject::sample(&id(name)), &encode(&report(name, 1))).unwrap();
    }
    assert_eq!(partition.stats().rx_bps.get(), 3_000.0);
    partition.tick(10_000, 0);
    let stats = partition.stats();
    assert_eq!((stats.online, stats.warning, stats.rx_bps.get(), stats.rx_avg.m1), (0, 3, 0.0, None));
}

#[test]
fn an_operator_can_forget_a_node_once() {
    let mut partition = PartitionState::new(LIMITS);
    observe(&mut partition, &subject::sample(&id("a")), &encode(&report("a", 1))).unwrap();
    assert!(partition.forget(&id("a"), 1));
    assert!(!partition.forget(&id("a"), 2));
    assert_eq!(partition.tick(3, 0).forgotten, [id("a")]);
}

proptest! {
    #[test]
    fn no_payload_can_break_a_partition(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut partition = PartitionState::new(LIMITS);
        let taken = observe(&mut partition, &subject::sample(&id("a")), &payload).is_ok();
        prop_assert_eq!(partition.stats().refused.values().sum::<u64>(), u64::from(!taken));
    }

    /// Bytes that are almost a report reach more code than random bytes do.
    #[test]
    fn no_flipped_byte_can_break_a_partition(place in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut payload = encode(&report("a", 1));
        let place = place.index(payload.len());
        payload[place] = value;
        let mut partition = PartitionState::new(LIMITS);
        let taken = observe(&mut partition, &subject::sample(&id("a")), &payload).is_ok();
        prop_assert_eq!(partition.snapshot().len(), usize::from(taken));
    }
}

#[test]
fn nodes_beyond_the_limit_are_refused_and_the_known_ones_go_on() {
    let mut partition = PartitionState::new(Limits { max_nodes: 1, ..LIMITS });
    let mut send = |name: &str, seq: u64| {
        observe(&mut partition, &subject::sample(&id(name)), &encode(&report(name, seq)))
    };
    assert_eq!(send("a", 1), Ok(()));
    assert_eq!(send("b", 1), Err(Refusal::TooManyNodes));
    assert_eq!(send("a", 2), Ok(()));
    assert_eq!((partition.len(), partition.stats().refused["too-many-nodes"]), (1, 1));
}

#[test]
fn a_pack_of_nothing_is_not_read() {
    let mut partition = PartitionState::new(LIMITS);
    let empty = b"\xc4\x00".repeat(Pack::MAX_REPORTS + 1);
    let payload = [&b"\x81\xa7reports\xdc\x10\x01"[..], &empty].concat();
    assert_eq!(observe(&mut partition, "tidemap.v1.pack.7.relay", &payload), Err(Refusal::TooLong));
    assert_eq!(partition.stats().refused["too-long"], 1);
}

#[test]
fn a_node_without_a_hello_has_rows_and_those_that_nobody_takes_are_counted() {
    let mut partition = PartitionState::new(LIMITS);
    let begin_ms = 1_700_000_040_000;
    for minute in 0..90 {
        let mut report = report("a", minute + 1);
        report.samples[0].at_ms = begin_ms + i64::try_from(minute).unwrap() * 60_000;
        let published_ms = report.samples[0].at_ms;
        let (subject, payload) = (subject::sample(&report.node), encode(&report));
        partition.observe(Message { subject: &subject, payload: &payload, published_ms }).unwrap();
    }
    let part = partition.parts(&[Slot::of(&id("a"))])[0];
    let untold: Vec<_> = partition.untold(part, u32::MAX).collect();
    assert_eq!((untold.len(), untold[0].0, untold[0].1.rows.len()), (1, &id("a"), 79));
    assert_eq!(partition.stats().refused["history_lost"], 90 - 79);
}
