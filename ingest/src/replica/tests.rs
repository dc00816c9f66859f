use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidemap_wire::{Bps, NodeId, NodeUpdate, PackWriter, Report, Sample, Slot, encode, subject};

use super::*;
use crate::{
    checkpoint::{Checkpoint, Part},
    refusal::Refusal,
};

const LIMITS: Limits =
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };
/// When the log was created.
const CREATED_NS: i64 = 7;
/// The most nodes in one part: twice as many divide a slot into two.
const NODES_PER_PART: usize = 128;

/// The log's messages, each a report: message `n` is at index `n - 1`.
fn log(nodes: &[NodeId], messages: u64) -> Vec<Record> {
    let records = (0..messages).map(|number| {
        let (which, round) = (number % nodes.len() as u64, number / nodes.len() as u64);
        let node = nodes[usize::try_from(which).unwrap()].clone();
        let rate = Bps::new((number * 7 % 1_000) as f64);
        let at_ms = 1_000_000 + i64::try_from(round).unwrap() * 1_000;
        let sample = Sample {
            seq: round + 1,
            at_ms,
            elapsed_ms: 1_000,
            rx_bytes: number * 1_000,
            tx_bytes: number,
            rx_bps: rate,
            tx_bps: rate,
            ..Sample::default()
        };
        // Every third round is another run of the agent.
        let report = Report { node: node.clone(), boot: round / 3, hello: None, samples: vec![sample] };
        record(subject::sample(&node), encode(&report), number + 1, at_ms)
    });
    records.collect()
}

fn record(subject: String, payload: Vec<u8>, sequence: u64, at_ms: i64) -> Record {
    let (subject, payload, published_ns) = (subject.into(), payload.into(), at_ms * 1_000_000);
    Record { subject, payload, headers: None, sequence, pending: 0, published_ns }
}

/// The same reports as a relay packs them: messages of one slot with numbers of their own.
fn packed(slot: Slot, reports: &[Record], pack_size: usize) -> Vec<Record> {
    let relay = NodeId::from_name("relay").unwrap();
    let pack = |(reports, sequence): (&[Record], u64)| {
        let mut writer = PackWriter::default();
        assert!(reports.iter().all(|report| writer.push(&report.payload)));
        let at_ms = reports.last().unwrap().published_ns / 1_000_000;
        record(subject::pack(slot, &relay), writer.finish(), sequence, at_ms)
    };
    reports.chunks(pack_size).zip(1..).map(pack).collect()
}

fn restore(nodes: Vec<(NodeId, Node)>, recovery: Recovery, applied: u64) -> Replica {
    let position = LogPosition { created_ns: CREATED_NS, applied, ..LogPosition::default() };
    Replica::restore(LIMITS, nodes, recovery, position)
}

/// A replica without checkpoints that has read these messages.
fn whole(log: &[Record]) -> Replica {
    let mut replica = restore(Vec::new(), Recovery::default(), 0);
    read(&mut replica, log, log.len());
    replica
}

fn read(replica: &mut Replica, log: &[Record], at_once: usize) {
    let last = log.last().map_or(0, |record| record.sequence);
    replica.apply(LogEvent::Opened { last, created_ns: CREATED_NS });
    for records in log.chunks(at_once.max(1)) {
        assert_eq!(replica.apply(LogEvent::Messages(records.to_vec())).refused, None);
    }
    assert!(replica.is_caught_up());
}

/// The checkpoint of a part, as it is read back.
fn checkpoint(replica: &Replica, part: Part) -> (Part, Checkpoint) {
    let bytes = Checkpoint::encode(1, replica.position().clone(), replica.state.part(part));
    (part, Checkpoint::decode(&bytes).unwrap())
}

/// A replica restored from checkpoints, which has read the rest of the log.
fn restored(checkpoints: Vec<(Part, Checkpoint)>, slots: &BTreeSet<Slot>, log: &[Record]) -> Replica {
    let (recovery, nodes) = Recovery::new(checkpoints, CREATED_NS);
    let applied = recovery.applied(slots.iter().copied());
    let mut replica = restore(nodes, recovery, applied);
    read(&mut replica, &log[usize::try_from(applied).unwrap()..], 7);
    assert!(replica.contains_its_checkpoints());
    replica
}

/// Each node in full. Rows may differ between two replicas, but no two nodes have the same.
fn nodes(replica: &Replica) -> BTreeMap<NodeId, String> {
    let mut rows = BTreeSet::new();
    let nodes = replica.state.snapshot().into_iter().inspect(|node| assert!(rows.insert(node.row)));
    nodes.map(|node| (node.node.clone(), format!("{:?}", NodeUpdate { row: 0, ..node }))).collect()
}

/// Each node without the broker's times.
fn totals(replica: &Replica) -> BTreeMap<NodeId, (u64, u64, String)> {
    let total = |node: NodeUpdate| {
        let averages = format!("{:?} {:?}", node.rx_avg, node.tx_avg);
        (node.node, (node.rx_bytes, node.tx_bytes, averages))
    };
    replica.state.snapshot().into_iter().map(total).collect()
}

fn names() -> impl Iterator<Item = NodeId> {
    (0..).map(|number| NodeId::from_name(&format!("node-{number}")).unwrap())
}

proptest! {
    /// Whenever each part was written, and however often a slot was divided again: the checkpoints and the
    /// rest of the log yield the same state as the whole log.
    #[test]
    fn checkpoints_and_the_rest_of_the_log_equal_the_whole_log(
        count in 1_usize..12,
        messages in 1_usize..200,
        cuts in proptest::collection::vec((0_usize..200, 0_u32..3), 12),
        leftover in (0_usize..200, 0_u32..3),
    ) {
        let known: Vec<NodeId> = names().take(count).collect();
        let log = log(&known, messages as u64);
        let slots: BTreeSet<Slot> = known.iter().map(Slot::of).collect();
        let mut kept = Vec::new();
        for (slot, cut) in slots.iter().zip(&cuts) {
            for (messages_read, finer) in [*cut, leftover] {
                let replica = whole(&log[..messages_read.min(messages)]);
                let parts = Part::all(*slot, NODES_PER_PART << finer);
                kept.extend(parts.map(|part| checkpoint(&replica, part)));
            }
        }
        let (replica, whole) = (restored(kept, &slots, &log), whole(&log));
        prop_assert_eq!(nodes(&replica), nodes(&whole));
        prop_assert_eq!(replica.state.stats().total_samples, messages as u64);
        prop_assert_eq!(replica.position().applied, messages as u64);
    }

    /// The same when the reports of one slot come in packs: one part may contain some nodes' reports of a
    /// pack, while another part does not yet contain the others.
    #[test]
    fn checkpoints_and_the_rest_of_a_log_of_packs_equal_the_whole_log(
        count in 1_usize..9,
        reports in 1_u64..150,
        pack_size in 1_usize..7,
        cuts in proptest::collection::vec((0_usize..150, 0_u32..3), 1..4),
    ) {
        let slot = Slot::of(&names().next().unwrap());
        let known: Vec<NodeId> = names().filter(|node| Slot::of(node) == slot).take(count).collect();
        let alone = log(&known, reports);
        let packs = packed(slot, &alone, pack_size);
        let mut kept = Vec::new();
        for (cut, finer) in cuts {
            let cut = cut.min(packs.len());
            let replica = whole(&packs[..cut]);
            let parts: Vec<Part> = Part::all(slot, NODES_PER_PART << finer).collect();
            let some = parts.len().div_ceil(2) + cut % 2;
            kept.extend(parts.into_iter().take(some).map(|part| checkpoint(&replica, part)));
        }
        let replica = restored(kept, &BTreeSet::from([slot]), &packs);
        prop_assert_eq!(replica.state.stats().total_samples, reports);
        prop_assert_eq!(replica.state.stats().duplicates, 0);
        // A pack is stored when its last report would have been stored; nothing else may differ.
        prop_assert_eq!(totals(&replica), totals(&whole(&alone)));
    }
}

#[test]
fn a_log_that_was_interrupted_is_not_caught_up_with_until_it_is_open_again() {
    let known: Vec<NodeId> = names().take(2).collect();
    let log = log(&known, 10);
    let mut replica = whole(&log[..6]);
    replica.apply(LogEvent::Interrupted { missing: false });
    assert!(!replica.is_caught_up());
    replica.apply(LogEvent::Opened { last: 10, created_ns: CREATED_NS });
    assert!(!replica.is_caught_up());
    replica.apply(LogEvent::Messages(log[6..].to_vec()));
    assert!(replica.is_caught_up());
    assert_eq!(nodes(&replica), nodes(&whole(&log)));
}

#[test]
fn messages_that_replace_a_lost_end_are_applied() {
    let known: Vec<NodeId> = names().take(1).collect();
    let log = log(&known, 10);
    let before = whole(&log[..8]);
    let part = Part::all(Slot::of(&known[0]), 1).next().unwrap();
    let (recovery, kept) = Recovery::new(vec![checkpoint(&before, part)], CREATED_NS);
    let mut replica = restore(kept, recovery, 8);
    // The broker has lost the messages 6 to 8, and has given 6 and 7 to what came next.
    let left = LogPosition { created_ns: CREATED_NS, applied: 5, ..LogPosition::default() };
    replica.apply(LogEvent::Shortened { left });
    let renumbered = |(record, sequence): (&Record, u64)| Record { sequence, ..record.clone() };
    replica.apply(LogEvent::Messages(log[8..].iter().zip(6..).map(renumbered).collect()));
    assert_eq!((replica.state.stats().total_samples, replica.position().applied), (10, 7));
}

#[test]
fn a_refusal_is_reported_with_its_subject() {
    let mut replica = restore(Vec::new(), Recovery::default(), 0);
    let garbage = record("tidemap.v1.sample.131.node-1".to_owned(), vec![0xc1], 1, 0);
    let applied = replica.apply(LogEvent::Messages(vec![garbage]));
    let refused = RefusedReport { node: NodeId::from_name("node-1").ok(), reason: Refusal::Garbage };
    assert_eq!(applied.refused, Some(("tidemap.v1.sample.131.node-1".into(), refused)));
    assert_eq!((applied.reports, replica.position().applied), (0, 1));
}
