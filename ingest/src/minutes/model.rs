//! The whole way of rows under random faults: whatever is lost, repeated, late or published by an owner that
//! was replaced, what a reader joins is never more than the samples that there are, and is them in the end.

mod reader;
mod world;

use proptest::prelude::*;
use tidemap_wire::{ReceivedReport, Sample, decode, encode};

use self::world::World;
use super::{Receipt, Untold};
use crate::node::Node;

/// What can go wrong in a history.
#[derive(Clone, Copy, Debug)]
struct Faults {
    /// The longest outage of the way from the agent to the log.
    outage_s: i64,
    /// Whether the log may lose its end.
    cuts: bool,
    /// Whether clocks of hosts and of the broker may be wrong. Then nobody knows a sample's true minute, and
    /// all minutes together are exact. Nor is a run then always known from a second agent, whose samples are
    /// refused. What counters have besides is not compared: where a clock jumps and jumps back while no
    /// report comes through, rows and counters are in an order that no reader can know.
    clocks: bool,
}

/// Reports as the log holds them: run, samples, and when they were stored.
type Stored = (u64, Vec<Sample>, i64);

/// An owner of the node, and how much of the log it has read.
#[derive(Clone, Default)]
struct Owner {
    node: Option<Node>,
    read: usize,
    /// Samples that are not placed, and those of them that counters do not have either.
    lost: u64,
    refused: u64,
}

impl Owner {
    fn read(&mut self, log: &[Stored]) {
        for (boot, samples, published_ms) in log.iter().skip(self.read) {
            let report =
                ReceivedReport { node: "web-01", boot: *boot, hello: None, samples: samples.clone() };
            let node = self.node.get_or_insert_with(|| Node::new(0, &report, *published_ms));
            node.judge(*published_ms, *published_ms, i64::MAX);
            let waiting = node.late_waiting();
            let observed = node.observe(report, *published_ms);
            let late = node.late_waiting().saturating_sub(waiting);
            // Of two runs at a time, one is refused, and so are samples of a run before all that are
            // remembered: by clocks that jump, a run and its successor may seem so.
            let unknown = observed.late.saturating_sub(late);
            self.lost += observed.history_lost + observed.rivals + unknown;
            self.refused += observed.rivals + unknown.saturating_sub(observed.history_lost);
        }
        self.read = log.len();
    }

    fn untold(&self, until: u32) -> Untold {
        self.node.as_ref().map(|node| node.untold(until)).unwrap_or_default()
    }

    fn acknowledge(&mut self, untold: &Untold) {
        let Some(node) = &mut self.node else { return };
        let rows = untold.rows.iter().map(Receipt::of_row);
        let receipts: Vec<Receipt> = rows.chain(untold.late.iter().map(Receipt::of_late)).collect();
        node.acknowledge(&receipts);
    }

    fn checkpoint(&self) -> Self {
        let node = self.node.as_ref().map(|node| decode(&encode(node)).unwrap());
        Self { node, ..self.clone() }
    }
}

fn run(seed: u64, faults: Faults) {
    let mut world = World::new(seed, faults);
    let (mut owner, mut zombies, mut kept) = (Owner::default(), Vec::new(), vec![Owner::default()]);
    for _ in 0..250 {
        world.live();
        if world.random.u8(..) < 150 {
            owner.read(&world.log);
        }
        match world.random.u8(..100) {
            0..40 => world.tell(&mut owner),
            40..60 => kept.push(owner.checkpoint()),
            60..68 => {
                // Another owner begins with a checkpoint of some age; this one may not know it yet.
                let newest = kept.len().saturating_sub(4)..kept.len();
                let next = kept[world.random.usize(newest)].clone();
                zombies.push(std::mem::replace(&mut owner, next));
                owner.read(&world.log);
            }
            68..80 if !zombies.is_empty() => {
                let zombie = world.random.usize(0..zombies.len());
                world.tell(&mut zombies[zombie]);
                zombies.drain(..zombies.len().saturating_sub(3));
            }
            80..84 if faults.cuts => {
                let left = world.cut();
                for one in kept.iter_mut().chain([&mut owner]) {
                    one.read = one.read.min(left);
                }
                // What was replaced reads no more.
            }
            _ => {}
        }
    }
    world.send();
    owner.read(&world.log);
    let rest = owner.untold(u32::MAX);
    world.reader.join(&rest);
    owner.acknowledge(&rest);
    assert_eq!(owner.untold(u32::MAX), Untold::default());
    world.reader.never_more_than(&world.truth, faults);
    // What was given up, counted, is not published. That takes several outages in which nothing is
    // acknowledged.
    if owner.refused == 0 && !faults.clocks {
        world.reader.has_all_bytes(&world.truth);
    }
    if owner.lost == 0 {
        world.reader.is_whole(&world.truth, faults);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_are_exact_whatever_is_lost_or_published_twice(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 540, cuts: true, clocks: false });
    }

    #[test]
    fn samples_of_closed_minutes_are_published_apart_and_once(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 1_100, cuts: false, clocks: false });
    }

    #[test]
    fn no_byte_is_missing_or_counted_twice_when_clocks_jump(seed in any::<u64>()) {
        run(seed, Faults { outage_s: 540, cuts: false, clocks: true });
    }
}
