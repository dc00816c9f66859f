//! What of a partition's nodes the history has not acknowledged.

use tidemap_wire::{NodeId, Slot};

use super::PartitionState;
use crate::{
    checkpoint::Part,
    minutes::{Receipt, Untold},
    node::Node,
    window::minute_of,
};

/// The rows of a node that was forgotten are kept for as long: each is published about twice meanwhile.
const DEPARTED_MS: i64 = 120_000;

/// Before this minute are all minutes of hosts whose clocks are right. Others are of a broker's clock that
/// was wrong.
pub(crate) fn all_until(now_ms: i64) -> u32 {
    minute_of(now_ms + 60_000) + 1
}

/// A forgotten node.
#[derive(Debug)]
pub(super) struct Departed {
    id: NodeId,
    at_ms: i64,
    untold: Untold,
}

impl Departed {
    /// Of a node that is forgotten; none if the history has all of it.
    pub(super) fn new(id: &NodeId, node: &Node, at_ms: i64) -> Option<Self> {
        let untold = node.untold(all_until(at_ms));
        (!untold.is_empty()).then(|| Self { id: id.clone(), at_ms, untold })
    }
}

impl PartitionState {
    /// What the history lacks of a part's nodes: rows of minutes before `until`, and all of forgotten nodes.
    pub fn untold(&self, part: Part, until: u32) -> impl Iterator<Item = (&NodeId, Untold)> {
        let departed = self.departed.iter().filter(move |departed| part.contains(&departed.id));
        let departed = departed.map(|departed| (&departed.id, departed.untold.clone()));
        let nodes = self.part(part).map(move |(id, node)| (id, node.untold(until)));
        departed.chain(nodes).filter(|(_, untold)| !untold.is_empty())
    }

    /// Notes what the history has of a node.
    pub fn acknowledge(&mut self, id: &NodeId, receipts: &[Receipt]) {
        if let Some(place) = self.departed.iter().position(|departed| departed.id == *id) {
            // A node that has come back may have another row of the same minute; its own comes again.
            let untold = &mut self.departed[place].untold;
            untold.rows.retain(|row| !receipts.contains(&Receipt::of_row(row)));
            untold.late.retain(|late| !receipts.contains(&Receipt::of_late(late)));
            if untold.is_empty() {
                self.departed.swap_remove(place);
            }
        } else if let Some(node) = self.nodes.get_mut(Slot::of(id), id.as_str()) {
            node.acknowledge(receipts);
        }
    }

    /// Drops what the history did not take of forgotten nodes in time.
    pub(super) fn give_up_departed(&mut self, now_ms: i64) {
        let lost = &mut self.history_lost;
        self.departed.retain(|departed| {
            let keep = now_ms - departed.at_ms < DEPARTED_MS;
            if !keep {
                *lost += (departed.untold.rows.len() + departed.untold.late.len()) as u64;
            }
            keep
        });
    }
}
