//! Large answers cut into messages that a broker likes.

use tidemap_wire::{Delta, History, NodeUpdate, Partition, SnapshotChunk, encode};

use crate::partition::Output;

/// Nodes tried in one message first: about 100 KB of nodes that said only their rates.
const NODES_PER_MESSAGE: usize = 256;

/// What all parts of an answer have in common.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The partition.
    pub partition: Partition,
    /// The lease's epoch.
    pub epoch: u64,
    /// The newest delta that the state includes.
    pub seq: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
}

/// The encoded deltas that say `output`, numbered from `seq + 1` on; none when nothing has changed.
pub fn deltas(output: Output, partition: Partition, epoch: u64, seq: u64, at_ms: i64) -> Vec<Vec<u8>> {
    let Output { nodes, mut forgotten, .. } = output;
    if nodes.is_empty() && forgotten.is_empty() {
        return Vec::new();
    }
    // Forgotten nodes go first: one that was forgotten and has joined again must end up known.
    let mut parts = cut(nodes);
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let number =
        |seq, nodes, forgotten| Delta { partition: partition.get(), epoch, seq, at_ms, nodes, forgotten };
    parts
        .into_iter()
        .zip(seq + 1..)
        .map(|(nodes, seq)| encode(&number(seq, nodes, std::mem::take(&mut forgotten))))
        .collect()
}

/// The encoded parts of a whole partition; one empty part when it has no nodes.
pub fn snapshot(header: Header, nodes: Vec<NodeUpdate>) -> Vec<Vec<u8>> {
    let mut parts = cut(nodes);
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let chunks = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    parts
        .into_iter()
        .zip(0..)
        .map(|(nodes, chunk)| encode(&part(header, chunk, chunks, nodes, None)))
        .collect()
}

/// The encoded answer to a question about one node.
pub fn snapshot_of_one(header: Header, node: Option<(NodeUpdate, History)>) -> Vec<u8> {
    let (node, history) = node.unzip();
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

/// Cuts nodes into parts whose encoding stays below the limit. The usual part is tried once; one with much to say is
/// halved. A single node always fits: what it can say came in one report, and a report is at most 64 KiB.
fn cut(mut nodes: Vec<NodeUpdate>) -> Vec<Vec<NodeUpdate>> {
    let mut parts = Vec::new();
    while !nodes.is_empty() {
        let mut take = nodes.len().min(NODES_PER_MESSAGE);
        while take > 1 && encoded_len(&nodes[nodes.len() - take..]) > Delta::MAX_BYTES - 1_024 {
            take /= 2;
        }
        parts.push(nodes.split_off(nodes.len() - take));
    }
    parts
}

/// The encoded size of nodes, estimated from above without encoding what is small anyway.
fn encoded_len(nodes: &[NodeUpdate]) -> usize {
    let bare = |node: &NodeUpdate| node.hello.is_none() && node.interfaces.is_none();
    // A node without names in it is at most this long: 30 fields of at most 30 bytes.
    let small = nodes.iter().filter(|node| bare(node)).count() * 900;
    let large: usize = nodes.iter().filter(|node| !bare(node)).map(|node| encode(node).len()).sum();
    small + large
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemap_wire::{Averages, Bps, Hello, Host, NodeId, PartitionCount, Status, decode};

    fn nodes(count: usize, label_bytes: usize) -> Vec<NodeUpdate> {
        let hello = Hello { hostname: "x".repeat(label_bytes), ..Hello::default() };
        (0..count)
            .map(|number| NodeUpdate {
                node: NodeId::from_name(&format!("node-{number}")).unwrap(),
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
                hello: (label_bytes > 0).then(|| Box::new(hello.clone())),
                host: Some(Box::new(Host { cpu_percent: Some(1.5), ..Host::default() })),
                interfaces: None,
            })
            .collect()
    }

    #[test]
    fn every_node_is_told_once_and_no_message_is_too_long() {
        let partition = PartitionCount::default().partition(3).unwrap();
        for (count, label_bytes) in [(1_000, 0), (100, 60_000), (600, 800), (1, 0)] {
            let output = Output { nodes: nodes(count, label_bytes), ..Output::default() };
            let messages = deltas(output, partition, 7, 41, 0);
            assert!(messages.iter().all(|message| message.len() <= Delta::MAX_BYTES));
            let told: Vec<Delta> = messages.iter().map(|message| decode(message).unwrap()).collect();
            assert!(told.iter().zip(42..).all(|(delta, seq)| delta.seq == seq));
            assert_eq!(told.iter().map(|delta| delta.nodes.len()).sum::<usize>(), count);
        }
    }

    #[test]
    fn a_partition_without_nodes_answers_all_the_same() {
        let partition = PartitionCount::default().partition(3).unwrap();
        let header = Header { partition, epoch: 1, seq: 0, at_ms: 0 };
        let parts = snapshot(header, Vec::new());
        let part: SnapshotChunk = decode(&parts[0]).unwrap();
        assert_eq!((parts.len(), part.chunk, part.chunks, part.nodes.len()), (1, 0, 1, 0));
        assert!(deltas(Output::default(), partition, 1, 0, 0).is_empty());
    }
}
