use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidemap_wire::{Bps, Hello, NodeUpdate, PackWriter, Report, Sample, subject};

use super::*;
use crate::partition::{Limits, Message, Partition};

const LIMITS: Limits = Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000 };

/// A log of reports, as the broker would hold it: message `n` is at index `n - 1`.
fn log(nodes: u64, messages: u64) -> Vec<(String, Vec<u8>, i64)> {
    let names = (0..nodes).map(|which| NodeId::from_name(&format!("node-{which}")).unwrap());
    log_of(&names.collect::<Vec<_>>(), messages)
}

fn log_of(nodes: &[NodeId], messages: u64) -> Vec<(String, Vec<u8>, i64)> {
    (0..messages)
        .map(|number| {
            let (which, round) = (number % nodes.len() as u64, number / nodes.len() as u64);
            let node = nodes[usize::try_from(which).unwrap()].clone();
            let rate = Bps::new((number * 7 % 1_000) as f64);
            let at_ms = 1_000_000 + round as i64 * 1_000;
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
            (subject::sample(&node), encode(&report), at_ms)
        })
        .collect()
}

fn apply(state: &mut Partition, log: &[(String, Vec<u8>, i64)]) {
    for (subject, payload, published_ms) in log {
        state.observe(Message { subject, payload, published_ms: *published_ms }).unwrap();
    }
}

fn told(state: &Partition) -> BTreeMap<NodeId, String> {
    // Rows may be others, but never two nodes' the same.
    let mut rows = BTreeSet::new();
    let nodes = state.snapshot().into_iter().inspect(|node| assert!(rows.insert(node.row)));
    nodes.map(|node| (node.node.clone(), format!("{:?}", NodeUpdate { row: 0, ..node }))).collect()
}

fn slots() -> impl Iterator<Item = Slot> {
    (0..=255_u8).map(|slot| slot.to_string().parse().unwrap())
}

/// The slots that a log's nodes are in.
fn used(log: &[(String, Vec<u8>, i64)]) -> BTreeSet<Slot> {
    log.iter().map(|(subject, ..)| Slot::of(&subject::node_of_sample(subject).unwrap())).collect()
}

fn place(created_ns: i64, applied: u64) -> LogPosition {
    LogPosition { created_ns, applied, ..LogPosition::default() }
}

/// Some nodes of one slot.
fn neighbours(count: usize) -> (Slot, Vec<NodeId>) {
    let names = (0..).map(|number| NodeId::from_name(&format!("node-{number}")).unwrap());
    let slot = Slot::of(&NodeId::from_name("node-0").unwrap());
    (slot, names.filter(|node| Slot::of(node) == slot).take(count).collect())
}

/// Reports as a relay says them.
fn pack(slot: Slot, reports: &[(String, Vec<u8>, i64)]) -> (String, Vec<u8>, i64) {
    let mut writer = PackWriter::default();
    assert!(reports.iter().all(|(_, report, _)| writer.push(report)));
    let relay = NodeId::from_name("relay").unwrap();
    (subject::pack(slot, &relay), writer.finish(), reports.last().unwrap().2)
}

/// What is known of each node but for the broker's time.
fn totals(state: &Partition) -> BTreeMap<NodeId, (u64, u64, String)> {
    let told = |node: NodeUpdate| {
        let averages = format!("{:?} {:?}", node.rx_avg, node.tx_avg);
        (node.node, (node.rx_bytes, node.tx_bytes, averages))
    };
    state.snapshot().into_iter().map(told).collect()
}

proptest! {
    /// Whatever the moment at which each part was kept, and however often a slot was divided anew meanwhile,
    /// the checkpoints and the rest of the log make the state that the whole log makes.
    #[test]
    fn checkpoints_and_the_rest_of_the_log_are_the_whole(
        nodes in 1_u64..12,
        messages in 1_usize..200,
        cuts in proptest::collection::vec((0_usize..200, 0_u32..3), 12),
        leftover in (0_usize..200, 0_u32..3),
    ) {
        let log = log(nodes, messages as u64);
        let mut whole = Partition::new(LIMITS);
        apply(&mut whole, &log);
        let mut kept = Vec::new();
        for (slot, (cut, finer)) in used(&log).into_iter().zip(&cuts) {
            for (cut, finer) in [(*cut, *finer), leftover] {
                for part in Part::all(slot, NODES_PER_PART << finer) {
                    let cut = cut.min(messages);
                    let mut state = Partition::new(LIMITS);
                    apply(&mut state, &log[..cut]);
                    let bytes = Checkpoint::encode(1, place(7, cut as u64), state.part(part));
                    kept.push((part, Checkpoint::decode(&bytes).unwrap()));
                }
            }
        }
        let (recovery, nodes_kept) = Recovery::new(kept, 7);
        let start = recovery.applied(used(&log).into_iter());
        let mut state = Partition::new(LIMITS);
        state.restore(nodes_kept);
        for (seq, message) in (1..).zip(&log).skip(usize::try_from(start).unwrap()) {
            let node = subject::node_of_sample(&message.0).unwrap();
            if !recovery.contains(&node, seq) {
                apply(&mut state, std::slice::from_ref(message));
            }
        }
        prop_assert_eq!(told(&state), told(&whole));
        prop_assert_eq!(state.stats().total_samples, messages as u64);
    }

    /// The same when reports of one slot came packed: a part may contain some nodes' reports of a pack and
    /// another part not yet those of others.
    #[test]
    fn checkpoints_and_the_rest_of_a_log_of_packs_are_the_whole(
        nodes in 1_usize..9,
        reports in 1_u64..150,
        pack_size in 1_usize..7,
        cuts in proptest::collection::vec((0_usize..150, 0_u32..3), 1..4),
    ) {
        let (slot, names) = neighbours(nodes);
        let alone = log_of(&names, reports);
        let packed: Vec<_> = alone.chunks(pack_size).map(|reports| pack(slot, reports)).collect();
        let mut whole = Partition::new(LIMITS);
        apply(&mut whole, &alone);
        let mut kept = Vec::new();
        for (cut, finer) in cuts {
            let cut = cut.min(packed.len());
            let parts: Vec<Part> = Part::all(slot, NODES_PER_PART << finer).collect();
            let some = parts.len().div_ceil(2) + cut % 2;
            for part in parts.into_iter().take(some) {
                let mut state = Partition::new(LIMITS);
                apply(&mut state, &packed[..cut]);
                let bytes = Checkpoint::encode(1, place(7, cut as u64), state.part(part));
                kept.push((part, Checkpoint::decode(&bytes).unwrap()));
            }
        }
        let (recovery, nodes_kept) = Recovery::new(kept, 7);
        let start = recovery.applied([slot].into_iter());
        let mut state = Partition::new(LIMITS);
        state.restore(nodes_kept);
        for (seq, (subject, payload, published_ms)) in (1..).zip(&packed).skip(usize::try_from(start).unwrap()) {
            let message = Message { subject, payload, published_ms: *published_ms };
            let taken = state.observe_unless(message, |node| recovery.knows(node, seq));
            prop_assert_eq!(taken.refused, None);
        }
        prop_assert_eq!(state.stats().total_samples, reports);
        prop_assert_eq!(state.stats().duplicates, 0);
        // When a pack was stored is when its last report would have been: nothing else may differ.
        prop_assert_eq!(totals(&state), totals(&whole));
    }

    #[test]
    fn every_node_is_in_one_part_of_its_slot(name in "[a-z0-9-]{1,20}", nodes in 0_usize..5_000) {
        let node = NodeId::from_name(&name).unwrap();
        let parts: Vec<Part> = Part::all(Slot::of(&node), nodes).collect();
        prop_assert_eq!(parts.iter().filter(|part| part.contains(&node)).count(), 1);
        for part in parts {
            prop_assert_eq!(Part::from_key(&part.key()), Some(part));
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in any::<Vec<u8>>()) {
        prop_assert!(Checkpoint::decode(&bytes).is_err() || Checkpoint::epoch_of(&bytes) > 0);
    }
}

#[test]
fn a_checkpoint_of_another_log_brings_its_nodes_and_contains_nothing_of_this_one() {
    let log = log(3, 9);
    let mut state = Partition::new(LIMITS);
    apply(&mut state, &log);
    let kept = slots().flat_map(|slot| Part::all(slot, 1)).map(|part| {
        (part, Checkpoint::decode(&Checkpoint::encode(1, place(7, 9), state.part(part))).unwrap())
    });
    let (recovery, nodes) = Recovery::new(kept.collect(), 8);
    assert_eq!((nodes.len(), recovery.applied(slots()), recovery.highest()), (3, 0, 0));
}

#[test]
fn a_part_of_large_nodes_is_kept_as_several_that_fit_and_contain_every_node() {
    let slot = Slot::of(&NodeId::from_name("a").unwrap());
    let names = (0..).map(|number| NodeId::from_name(&format!("node-{number}")).unwrap());
    let mut state = Partition::new(LIMITS);
    for node in names.filter(|node| Slot::of(node) == slot).take(NODES_PER_PART) {
        let hello = Hello { hostname: "x".repeat(40_000), ..Hello::default() };
        let sample = Sample { seq: 1, at_ms: 1_000_000, elapsed_ms: 1_000, ..Sample::default() };
        let report =
            Report { node: node.clone(), boot: 1, hello: Some(Box::new(hello)), samples: vec![sample] };
        apply(&mut state, &[(subject::sample(&node), encode(&report), 1_000_000)]);
    }
    let whole = Part::all(slot, NODES_PER_PART).next().unwrap();
    let written = Checkpoint::fit(whole, &|part| Checkpoint::encode(1, place(7, 9), state.part(part)));
    assert!(written.len() > 1 && written.iter().all(|(_, value)| value.len() <= BYTES_PER_PART));
    let kept = written.iter().map(|(part, value)| (*part, Checkpoint::decode(value).unwrap())).collect();
    let (recovery, nodes) = Recovery::new(kept, 7);
    assert_eq!((nodes.len(), recovery.applied([slot].into_iter())), (NODES_PER_PART, 9));
}

#[test]
fn a_slot_that_nobody_has_kept_is_read_from_the_beginning() {
    let kept = slots()
        .skip(1)
        .flat_map(|slot| Part::all(slot, 1))
        .map(|part| (part, Checkpoint { epoch: 1, place: place(7, 9), nodes: Vec::new() }));
    let (recovery, _) = Recovery::new(kept.collect(), 7);
    assert_eq!((recovery.applied(slots()), recovery.applied(slots().skip(1))), (0, 9));
}

#[test]
fn a_round_passes_every_part_once_in_its_time() {
    for slots in [1, 3, 32, 256] {
        let parts: Vec<Part> = (0..slots)
            .map(|index| Part { slot: Slot::of(&NodeId::from_name("a").unwrap()), of: 256, index })
            .collect();
        let mut round = Round::default();
        for _ in 0..3 {
            let mut passed = Vec::new();
            let mut completed = 0;
            for _ in 0..Round::TICKS {
                round.tick(|| parts.clone());
                while let Some(part) = round.due() {
                    passed.push(part);
                    completed += usize::from(round.done([part]).is_some());
                }
            }
            assert_eq!((passed, completed), (parts.clone(), 1));
        }
    }
}
