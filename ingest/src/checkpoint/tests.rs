use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidemap_wire::{Bps, Report, Sample, subject};

use super::*;
use crate::partition::{Limits, Message, Partition};

const LIMITS: Limits = Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000 };

/// A log of reports, as the broker would hold it: message `n` is at index `n - 1`.
fn log(nodes: u64, messages: u64) -> Vec<(String, Vec<u8>, i64)> {
    (0..messages)
        .map(|number| {
            let (which, round) = (number % nodes, number / nodes);
            let node = NodeId::from_name(&format!("node-{which}")).unwrap();
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
    state.snapshot().into_iter().map(|node| (node.node.clone(), format!("{node:?}"))).collect()
}

fn slots() -> impl Iterator<Item = Slot> {
    (0..=255_u8).map(|slot| slot.to_string().parse().unwrap())
}

/// The slots that a log's nodes are in.
fn used(log: &[(String, Vec<u8>, i64)]) -> BTreeSet<Slot> {
    log.iter().map(|(subject, ..)| Slot::of(&subject::node_of_sample(subject).unwrap())).collect()
}

fn place(created_ns: i64, applied: u64) -> Place {
    Place { created_ns, applied, applied_ns: 0 }
}

proptest! {
    /// Whatever the moment at which each part was kept, and however often a slot was divided anew meanwhile, the
    /// checkpoints and the rest of the log make the state that the whole log makes.
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
                    completed += usize::from(round.done().is_some());
                }
            }
            assert_eq!((passed, completed), (parts.clone(), 1));
        }
    }
}
