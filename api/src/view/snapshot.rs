//! A snapshot of one partition, put together from its parts.

use std::collections::BTreeMap;

use tidemap_wire::{NodeUpdate, SnapshotChunk};

use crate::view::Mark;

/// All nodes of a partition at one `(epoch, seq)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) mark: Mark,
    pub(crate) at_ms: i64,
    pub(crate) nodes: Vec<NodeUpdate>,
}

/// The parts that have arrived. When two owners answer, the one with the higher epoch is heard.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    mark: Option<Mark>,
    parts: BTreeMap<u32, Vec<NodeUpdate>>,
}

impl Assembly {
    /// Takes a part; returns the snapshot when it was the last that was missing.
    pub(crate) fn add(&mut self, chunk: SnapshotChunk) -> Option<Snapshot> {
        let mark = Mark { epoch: chunk.epoch, seq: chunk.seq };
        if self.mark > Some(mark) || chunk.chunk >= chunk.chunks {
            return None;
        }
        if self.mark < Some(mark) {
            self.parts.clear();
        }
        self.mark = Some(mark);
        self.parts.insert(chunk.chunk, chunk.nodes);
        if u32::try_from(self.parts.len()) != Ok(chunk.chunks) {
            return None;
        }
        let nodes = std::mem::take(&mut self.parts).into_values().flatten().collect();
        Some(Snapshot { mark, at_ms: chunk.at_ms, nodes })
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
    fn a_snapshot_is_whole_when_every_part_has_come_in_any_order() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(chunk(1, 2, 3)), None);
        assert_eq!(assembly.add(chunk(1, 0, 3)), None);
        assert_eq!(assembly.add(chunk(1, 0, 3)), None);
        let mark = Mark { epoch: 1, seq: 7 };
        assert_eq!(assembly.add(chunk(1, 1, 3)), Some(Snapshot { mark, at_ms: 5, nodes: Vec::new() }));
    }

    #[test]
    fn parts_of_two_owners_are_not_mixed() {
        let mut assembly = Assembly::default();
        assert_eq!(assembly.add(chunk(1, 0, 2)), None);
        assert_eq!(assembly.add(chunk(2, 1, 2)), None);
        assert_eq!(assembly.add(chunk(1, 1, 2)), None);
        assert_eq!(assembly.add(chunk(2, 5, 2)), None);
        assert_eq!(assembly.add(chunk(2, 0, 2)).map(|snapshot| snapshot.mark.epoch), Some(2));
    }
}
