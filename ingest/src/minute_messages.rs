//! What the history lacks of a part's nodes, as messages for the history's stream. Pure.

use bytes::Bytes;
use tidemap_wire::{LateSample, MinuteRow, Minutes, NodeId, encode, subject};

use crate::{
    checkpoint::Part,
    minutes::{Receipt, Untold},
};

/// Beyond this, a message is followed by another. The stream takes a third more.
const MOST_BYTES: usize = 192 * 1024;

/// What messages contain.
pub(crate) type Receipts = Vec<(NodeId, Receipt)>;

/// A message.
#[derive(Clone, Debug)]
pub struct MinutesMessage {
    /// Where it is published.
    pub(crate) subject: String,
    /// The encoded [`Minutes`].
    pub payload: Bytes,
    /// What the history has once this is stored.
    pub(crate) receipts: Receipts,
}

/// Packs what the history lacks of a part's nodes.
pub(crate) fn messages<'a>(
    (epoch, at_ms): (u64, i64),
    part: Part,
    untold: impl Iterator<Item = (&'a NodeId, Untold)>,
) -> Vec<MinutesMessage> {
    let minutes = Minutes::new(epoch, at_ms);
    let mut packing =
        Packing { part, epoch, at_ms, minutes, bytes: 0, receipts: Vec::new(), full: Vec::new() };
    for (node, Untold { rows, late }) in untold {
        rows.iter().for_each(|row| packing.push_row(node, row));
        late.iter().for_each(|late| packing.push_late(node, late));
    }
    packing.finish()
}

struct Packing {
    part: Part,
    epoch: u64,
    at_ms: i64,
    minutes: Minutes,
    /// The most that `minutes` can be, encoded.
    bytes: usize,
    receipts: Receipts,
    full: Vec<MinutesMessage>,
}

impl Packing {
    fn push_row(&mut self, node: &NodeId, row: &MinuteRow) {
        // Columns of numbers, of 5 bytes each or 9; a name for each row at most.
        self.make_room(38 + 41 + 25 + 37 * row.counters.len() + 5 + node.as_str().len());
        self.minutes.push(node, row);
        self.receipts.push((node.clone(), Receipt::of_row(row)));
    }

    fn push_late(&mut self, node: &NodeId, late: &LateSample) {
        self.make_room(51 + 5 + node.as_str().len());
        self.minutes.push_late(node, late);
        self.receipts.push((node.clone(), Receipt::of_late(late)));
    }

    fn make_room(&mut self, bytes: usize) {
        if self.bytes + bytes > MOST_BYTES {
            self.close();
        }
        self.bytes += bytes;
    }

    fn close(&mut self) {
        let minutes = std::mem::replace(&mut self.minutes, Minutes::new(self.epoch, self.at_ms));
        self.bytes = 0;
        if minutes.is_empty() {
            return;
        }
        let Part { slot, of, index } = self.part;
        self.full.push(MinutesMessage {
            subject: subject::minutes(slot, of, index),
            payload: encode(&minutes).into(),
            receipts: std::mem::take(&mut self.receipts),
        });
    }

    fn finish(mut self) -> Vec<MinutesMessage> {
        self.close();
        self.full
    }
}

#[cfg(test)]
mod tests {
    use tidemap_wire::{CpuMinute, Extremes, HostMinute, RunCounters, Slot, decode};

    use super::*;

    #[test]
    fn the_largest_rows_fit_into_messages_that_the_stream_takes_and_none_is_left_out() {
        let most = u64::MAX;
        let counters = RunCounters { boot: most, since: u32::MAX, rx_bytes: most, tx_bytes: most };
        let large = Some(u16::MAX);
        let cpu = Some(CpuMinute { samples: u16::MAX, mean: u16::MAX, max: u16::MAX });
        let host = HostMinute { cpu, memory_max: large, disk_max: large, load_max: Some(u32::MAX) };
        let row = |minute| MinuteRow {
            minute,
            samples: u32::MAX,
            covered_ms: u32::MAX,
            rx_bytes: most,
            tx_bytes: most,
            rates: Some(Extremes { rx_max: most, tx_max: most, rx_min: most, tx_min: most }),
            host,
            counters: vec![counters; 9],
        };
        let late = |seq| LateSample {
            minute: u32::MAX,
            boot: most,
            seq: most - seq,
            covered_ms: u32::MAX,
            rx_bytes: most,
            tx_bytes: most,
        };
        let untold = Untold {
            rows: (0..1_000).map(|minute| row(u32::MAX - minute)).collect(),
            late: (0..9_000).map(late).collect(),
        };
        let nodes = ["a".repeat(200), "b".to_owned()].map(|name| NodeId::from_name(&name).unwrap());
        let part = Part { slot: Slot::of(&nodes[0]), of: 1, index: 0 };
        let messages = messages((most, i64::MAX), part, nodes.iter().map(|node| (node, untold.clone())));
        assert!(messages.len() > 2 && messages.iter().all(|message| message.payload.len() <= 200 * 1024));
        let (mut rows, mut lates, mut receipts) = (Vec::new(), Vec::new(), 0);
        for message in &messages {
            let minutes: Minutes = decode(&message.payload).unwrap();
            assert_eq!(minutes.len(), message.receipts.len());
            rows.extend(minutes.rows().unwrap().into_iter().map(|(node, row)| (node.clone(), row)));
            lates.extend(minutes.late().unwrap().into_iter().map(|(node, late)| (node.clone(), late)));
            receipts += message.receipts.len();
        }
        let all =
            |node: &NodeId| untold.rows.iter().map(|row| (node.clone(), row.clone())).collect::<Vec<_>>();
        assert_eq!(rows, nodes.iter().flat_map(all).collect::<Vec<_>>());
        assert_eq!((lates.len(), receipts), (2 * 9_000, 2 * 10_000));
        assert!(
            messages
                .iter()
                .all(|message| message.payload.len() > MOST_BYTES / 2 || message.receipts.len() < 9_000)
        );
    }

    #[test]
    fn there_is_no_message_of_nothing() {
        let part = Part { slot: Slot::of(&NodeId::from_name("a").unwrap()), of: 1, index: 0 };
        assert!(messages((1, 2), part, std::iter::empty()).is_empty());
    }
}
