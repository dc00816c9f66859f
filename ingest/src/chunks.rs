//! Deltas and snapshots, encoded in messages below the broker's size limit.

use tidemap_wire::{Delta, History, NodeId, NodeUpdate, Partition, SnapshotChunk, encode};

/// Nodes per message to begin with: about 100 KB when the nodes have only rates.
const NODES_PER_MESSAGE: usize = 256;
/// Forgotten nodes per message: 132 KB when their names are as long as names may be.
const FORGOTTEN_PER_MESSAGE: usize = 1_024;

/// What all messages of an answer have in common.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub partition: Partition,
    pub epoch: u64,
    /// The newest delta that the state includes, or the delta's own number.
    pub seq: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
}

/// The encoded deltas with these changes, numbered from `header.seq + 1` on; none when nothing has changed.
pub fn deltas(header: Header, nodes: impl Iterator<Item = NodeUpdate>, forgotten: &[NodeId]) -> Vec<Vec<u8>> {
    // Forgotten nodes come first: one that was forgotten and has joined again must end up known.
    let forgotten = forgotten.chunks(FORGOTTEN_PER_MESSAGE).map(|part| (Vec::new(), part.to_vec()));
    let changed = cut(nodes).map(|part| (part, Vec::new()));
    let numbered = (header.seq + 1..).zip(forgotten.chain(changed));
    numbered.map(|(seq, (nodes, forgotten))| delta(Header { seq, ..header }, nodes, forgotten)).collect()
}

/// The first delta of an epoch. It is empty: readers that see a new epoch request a snapshot.
pub(crate) fn first_delta(header: Header) -> Vec<u8> {
    delta(header, Vec::new(), Vec::new())
}

fn delta(header: Header, nodes: Vec<NodeUpdate>, forgotten: Vec<NodeId>) -> Vec<u8> {
    let Header { partition, epoch, seq, at_ms } = header;
    encode(&Delta { partition: partition.get(), epoch, seq, at_ms, nodes, forgotten })
}

/// The encoded chunks of a whole partition; one empty chunk when it has no nodes.
pub(crate) fn snapshot(header: Header, nodes: Vec<NodeUpdate>) -> Vec<Vec<u8>> {
    let mut parts: Vec<_> = cut(nodes.into_iter()).collect();
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let chunks = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let mut encoded = Vec::with_capacity(parts.len());
    for (nodes, chunk) in parts.into_iter().zip(0..) {
        encoded.push(encode(&part(header, chunk, chunks, nodes, None)));
    }
    encoded
}

/// The encoded snapshot of one node.
pub(crate) fn snapshot_of_one(header: Header, node: Option<(NodeUpdate, History)>) -> Vec<u8> {
    let (node, mut history) = node.unzip();
    if let Some(History { minutes, .. }) = &mut history {
        (minutes.epoch, minutes.at_ms) = (header.epoch, header.at_ms);
    }
    encode(&part(header, 0, 1, node.into_iter().collect(), history))
}

fn part(
    header: Header,
    chunk: u32,
    chunks: u32,
    nodes: Vec<NodeUpdate>,
    history: Option<History>,
) -> SnapshotChunk {
    let Header { partition, epoch, seq, at_ms } = header;
    SnapshotChunk { partition: partition.get(), epoch, seq, at_ms, chunk, chunks, nodes, history }
}

/// Cuts nodes into parts whose encoding stays below the limit. A part that is too long is halved. A single
/// node always fits: its data is within [`tidemap_wire::bounds`].
fn cut(mut nodes: impl Iterator<Item = NodeUpdate>) -> impl Iterator<Item = Vec<NodeUpdate>> {
    let mut next = Vec::new();
    std::iter::from_fn(move || {
        next.extend(nodes.by_ref().take(NODES_PER_MESSAGE - next.len()));
        let mut take = next.len();
        while take > 1 && encoded_len(&next[..take]) > Delta::MAX_BYTES - 1_024 {
            take /= 2;
        }
        let rest = next.split_off(take);
        let part = std::mem::replace(&mut next, rest);
        (!part.is_empty()).then_some(part)
    })
}

/// An upper bound of the nodes' encoded size. Only nodes with names in them are encoded to find it.
fn encoded_len(nodes: &[NodeUpdate]) -> usize {
    let bare = |node: &NodeUpdate| {
        [node.hello.is_some(), node.interfaces.is_some(), node.probes.is_some()] == [false; 3]
    };
    // A node without names in it is at most this long: 50 fields of 28 bytes on average.
    let small = nodes.iter().filter(|node| bare(node)).count() * 1_400;
    let large: usize = nodes.iter().filter(|node| !bare(node)).map(|node| encode(node).len()).sum();
    small + large
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemap_wire::{Averages, Bps, Hello, Host, PartitionCount, Status, decode};

    fn nodes(count: usize, label_bytes: usize) -> Vec<NodeUpdate> {
        let hello = Hello { hostname: "x".repeat(label_bytes), ..Hello::default() };
        (0..count)
            .map(|number| NodeUpdate {
                node: NodeId::from_name(&format!("node-{number}")).unwrap(),
                row: 0,
                boot: u64::MAX,
                status: Status::Online,
                since_ms: i64::MAX,
                seen_ms: i64::MAX,
                at_ms: i64::MAX,
                skew_ms: i64::MIN,
                interval_ms: 1_000,
                rx_bps: Bps::new(1.5),
                tx_bps: Bps::new(2.5),
                rx_avg: Averages::default(),
                tx_avg: Averages::default(),
                rx_bytes: u64::MAX,
                tx_bytes: u64::MAX,
                partial: false,
                refused: None,
                hello: (label_bytes > 0).then(|| Box::new(hello.clone())),
                host: Some(Box::new(Host { cpu_percent: Some(1.5), ..Host::default() })),
                interfaces: None,
                probes: None,
            })
            .collect()
    }

    #[test]
    fn every_node_is_in_one_delta_and_no_message_is_too_long() {
        let partition = PartitionCount::default().partition(3).unwrap();
        for (count, label_bytes) in [(1_000, 0), (100, 60_000), (600, 800), (1, 0)] {
            let header = Header { partition, epoch: 7, seq: 41, at_ms: 0 };
            let messages = deltas(header, nodes(count, label_bytes).into_iter(), &[]);
            assert!(messages.iter().all(|message| message.len() <= Delta::MAX_BYTES));
            let deltas: Vec<Delta> = messages.iter().map(|message| decode(message).unwrap()).collect();
            assert!(deltas.iter().zip(42..).all(|(delta, seq)| delta.seq == seq));
            assert_eq!(deltas.iter().map(|delta| delta.nodes.len()).sum::<usize>(), count);
        }
    }

    #[test]
    fn an_empty_partition_is_one_empty_chunk() {
        let partition = PartitionCount::default().partition(3).unwrap();
        let header = Header { partition, epoch: 1, seq: 0, at_ms: 0 };
        let parts = snapshot(header, Vec::new());
        let part: SnapshotChunk = decode(&parts[0]).unwrap();
        assert_eq!((parts.len(), part.chunk, part.chunks, part.nodes.len()), (1, 0, 1, 0));
        assert!(deltas(header, std::iter::empty(), &[]).is_empty());
        assert_eq!(deltas(header, std::iter::empty(), &[nodes(1, 0)[0].node.clone()]).len(), 1);
    }

    #[test]
    fn nodes_that_are_forgotten_together_are_in_several_messages() {
        let partition = PartitionCount::default().partition(3).unwrap();
        let header = Header { partition, epoch: 1, seq: 7, at_ms: 0 };
        let name = |number: usize| NodeId::from_name(&format!("{number:0>128}")).unwrap();
        let forgotten: Vec<NodeId> = (0..12_500).map(name).collect();
        let messages = deltas(header, nodes(1, 0).into_iter(), &forgotten);
        assert!(messages.iter().all(|message| message.len() <= Delta::MAX_BYTES));
        let deltas: Vec<Delta> = messages.iter().map(|message| decode(message).unwrap()).collect();
        assert_eq!(deltas.iter().map(|delta| delta.forgotten.len()).sum::<usize>(), 12_500);
        assert!(deltas.iter().zip(8..).all(|(delta, seq)| delta.seq == seq));
        assert!(deltas.last().is_some_and(|last| last.nodes.len() == 1 && last.forgotten.is_empty()));
    }
}
