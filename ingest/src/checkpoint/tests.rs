use proptest::prelude::*;
use tidemap_wire::{Hello, Report, Sample, subject};

use super::*;
use crate::partition::{Limits, Message, PartitionState};

const LIMITS: Limits =
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };

/// Reports of several nodes in turn.
fn log(nodes: u64, messages: u64) -> Vec<(String, Vec<u8>, i64)> {
    let report = |number: u64| {
        let node = NodeId::from_name(&format!("node-{}", number % nodes)).unwrap();
        let at_ms = 1_000_000 + i64::try_from(number).unwrap() * 1_000;
        let sample = Sample { seq: number + 1, at_ms, elapsed_ms: 1_000, ..Sample::default() };
        let report = Report { node: node.clone(), boot: 1, hello: None, samples: vec![sample] };
        (subject::sample(&node), encode(&report), at_ms)
    };
    (0..messages).map(report).collect()
}

fn apply(state: &mut PartitionState, log: &[(String, Vec<u8>, i64)]) {
    for (subject, payload, published_ms) in log {
        state.observe(Message { subject, payload, published_ms: *published_ms }).unwrap();
    }
}

fn place(created_ns: i64, applied: u64) -> LogPosition {
    LogPosition { created_ns, applied, ..LogPosition::default() }
}

proptest! {
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
fn a_checkpoint_of_another_log_restores_nodes_but_contains_nothing_of_this_log() {
    let log = log(3, 9);
    let mut state = PartitionState::new(LIMITS);
    apply(&mut state, &log);
    let kept = Slot::all().flat_map(|slot| Part::all(slot, 1)).map(|part| {
        (part, Checkpoint::decode(&Checkpoint::encode(1, place(7, 9), state.part(part))).unwrap())
    });
    let (recovery, nodes) = Recovery::new(kept.collect(), 8);
    assert_eq!((nodes.len(), recovery.applied(Slot::all()), recovery.highest()), (3, 0, 0));
}

#[test]
fn a_part_of_large_nodes_is_kept_as_several_that_fit_and_contain_every_node() {
    let slot = Slot::of(&NodeId::from_name("a").unwrap());
    let names = (0..).map(|number| NodeId::from_name(&format!("node-{number}")).unwrap());
    let mut state = PartitionState::new(LIMITS);
    for node in names.filter(|node| Slot::of(node) == slot).take(NODES_PER_PART) {
        let labels = (0..64).map(|number| (format!("{number:0>255}"), "x".repeat(255))).collect();
        let hello = Hello { labels, ..Hello::default() };
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
fn a_slot_without_checkpoints_is_read_from_the_beginning() {
    let kept = Slot::all()
        .skip(1)
        .flat_map(|slot| Part::all(slot, 1))
        .map(|part| (part, Checkpoint { epoch: 1, place: place(7, 9), nodes: Vec::new() }));
    let (recovery, _) = Recovery::new(kept.collect(), 7);
    assert_eq!((recovery.applied(Slot::all()), recovery.applied(Slot::all().skip(1))), (0, 9));
}

#[test]
fn a_round_writes_every_part_once() {
    for slots in [1, 3, 32, 256] {
        let parts: Vec<Part> = (0..slots)
            .map(|index| Part { slot: Slot::of(&NodeId::from_name("a").unwrap()), of: 256, index })
            .collect();
        let mut round = Round::over(40);
        for _ in 0..3 {
            let mut passed = Vec::new();
            let mut completed = 0;
            for _ in 0..40 {
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
