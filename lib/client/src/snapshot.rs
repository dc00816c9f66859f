//! A snapshot of one partition, assembled from its parts.

use std::collections::BTreeMap;

use tidemap_wire::{NodeUpdate, SnapshotChunk};

use crate::delta_id::DeltaId;

/// All nodes of a partition at one `(epoch, seq)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub(crate) id: DeltaId,
    pub(crate) at_ms: i64,
    pub(crate) nodes: Vec<NodeUpdate>,
}

/// The parts that have arrived. When two workers answer, the one with the higher epoch counts.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    id: Option<DeltaId>,
    parts: BTreeMap<u32, Vec<NodeUpdate>>,
}

impl Assembly {
    /// Adds a part; returns the snapshot once all parts are there.
    pub(crate) fn add(&mut self, chunk: SnapshotChunk) -> Option<Snapshot> {
        let id = DeltaId { epoch: chunk.epoch, seq: chunk.seq };
        if self.id > Some(id) || chunk.chunk >= chunk.chunks {
            return None;
        }
        if self.id < Some(id) {
            self.parts.clear();
        }
        self.id = Some(id);
        self.parts.insert(chunk.chunk, chunk.nodes);
        if u32::try_from(self.parts.len()) != Ok(chunk.chunks) {
            return None;
        }
        let nodes = std::mem::take(&mut self.parts).into_values().flatten().collect();
        Some(Snapshot { id, at_ms: chunk.at_ms, nodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(epoch: u64, chunk: u32, chunks: u32) -> SnapshotChunk {
        SnapshotChunk {
            partition: 0,
            epoch,
            seq: 7,
            at_ms: 5,
            chunk,
            chunks,
            nodes: Vec::new(),
            history: None,
        }
    }

    #[test]
    fn a_snapshot_is_complete_once_all_parts_came_in_any_order() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(chunk(1, 2, 3)), None);
        assert_eq!(assembly.add(chunk(1, 0, 3)), None);
        assert_eq!(assembly.add(chunk(1, 0, 3)), None);
        let id = DeltaId { epoch: 1, seq: 7 };
        assert_eq!(assembly.add(chunk(1, 1, 3)), Some(Snapshot { id, at_ms: 5, nodes: Vec::new() }));
    }

    #[test]
    fn parts_of_two_workers_are_not_mixed() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(chunk(1, 0, 2)), None);
        assert_eq!(assembly.add(chunk(2, 1, 2)), None);
        assert_eq!(assembly.add(chunk(1, 1, 2)), None);
        assert_eq!(assembly.add(chunk(2, 5, 2)), None);
        assert_eq!(assembly.add(chunk(2, 0, 2)).map(|snapshot| snapshot.id.epoch), Some(2));
    }
}
