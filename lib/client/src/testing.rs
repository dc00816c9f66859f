//! Synthetic nodes, and a worker's partition of them, for the tests of programs that follow the fleet.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use tidemap_wire::{
    Averages, Bps, Capacity, Delta, Hello, Host, Interface, InterfaceRate, Location, LocationSource, METRICS,
    MetricValue, NodeId, NodeUpdate, Partition, PartitionCount, PartitionStats, Probe, SnapshotChunk, Status,
};

use crate::{delta_id::DeltaId, fleet::Node, snapshot::Snapshot};

/// The broker's time in these tests.
pub const AT_MS: i64 = 1_700_000_000_000;

/// A node's id.
pub fn id(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

/// A rate.
pub fn bps(rate: f64) -> Option<Bps> {
    Bps::new(rate)
}

/// One partition holds every node.
pub fn one_partition() -> (PartitionCount, Partition) {
    let count = PartitionCount::new(1).unwrap();
    (count, count.partition(0).unwrap())
}

/// A node with required fields only.
pub fn node(name: &str) -> NodeUpdate {
    NodeUpdate {
        node: id(name),
        row: 0,
        boot: 1,
        status: Status::Online,
        since_ms: AT_MS - 60_000,
        seen_ms: AT_MS - 1_000,
        at_ms: AT_MS - 1_000,
        skew_ms: 0,
        interval_ms: 1_000,
        rx_bps: None,
        tx_bps: None,
        rx_avg: Averages::default(),
        tx_avg: Averages::default(),
        rx_bytes: 0,
        tx_bytes: 0,
        partial: false,
        refused: None,
        hello: None,
        host: None,
        interfaces: None,
        probes: None,
    }
}

/// A node with all fields.
pub fn full_node(name: &str) -> NodeUpdate {
    let averages = Averages { s10: bps(10.0), m1: bps(20.0), m5: bps(30.0), m15: bps(40.0) };
    NodeUpdate {
        rx_bps: bps(1_234.5),
        tx_bps: bps(99.0),
        rx_avg: averages,
        tx_avg: averages,
        rx_bytes: 1 << 40,
        tx_bytes: 7,
        partial: false,
        refused: None,
        hello: Some(Box::new(full_hello(name))),
        host: Some(Box::new(full_host())),
        interfaces: Some(vec![InterfaceRate {
            name: "eth0".to_owned(),
            rx_bps: bps(1_234.5).unwrap(),
            tx_bps: bps(99.0).unwrap(),
        }]),
        probes: Some(vec![Probe {
            target: "icmp://192.0.2.1".to_owned(),
            sent: 6,
            lost: 1,
            min_ms: Some(0.25),
            median_ms: Some(0.5),
            max_ms: Some(2.0),
            jitter_ms: Some(0.125),
            failure: None,
        }]),
        ..node(name)
    }
}

fn full_hello(name: &str) -> Hello {
    let some = |text: &str| Some(text.to_owned());
    Hello {
        hostname: format!("{name}.example.com"),
        internal_ip: some("10.0.0.7"),
        external_ip: some("203.0.113.7"),
        addresses: vec!["10.0.0.7".to_owned()],
        os: some("Debian GNU/Linux 12"),
        kernel: some("6.1.0"),
        arch: some("x86_64"),
        agent_version: "0.1.0".to_owned(),
        interval_ms: 1_000,
        location: Some(Location {
            lat: 52.520_066,
            lon: 13.404_954,
            label: some("Berlin"),
            source: LocationSource::Given,
        }),
        provider: some("hetzner"),
        labels: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            counted: true,
            reason: "physical".to_owned(),
            speed_mbps: Some(1_000),
            addresses: vec!["10.0.0.7".to_owned()],
        }],
        unlisted_interfaces: 2,
        lost_samples: Some(3),
        disk_path: some("/mnt/data"),
        display_name: Some(name.to_uppercase()),
        cap: Capacity::parse("500/50"),
        link_speed_mbps: Some(1_000),
    }
}

/// Host metrics, all of them known.
fn full_host() -> Host {
    let mut host = Host::default();
    for metric in METRICS {
        assert!(host.set(metric.id, MetricValue::Whole(metric.id.into())));
    }
    Host {
        cpu_percent: Some(12.5),
        memory_used_bytes: Some(1),
        memory_total_bytes: Some(4),
        swap_used_bytes: Some(1),
        swap_total_bytes: Some(10),
        disk_used_bytes: Some(1),
        disk_total_bytes: Some(2),
        load_15: Some(0.3),
        temperature_c: Some(45.5),
        ..host
    }
}

/// A partition in its worker's state, which a view has to reach.
#[derive(Clone, Debug, Default)]
pub struct TestPartition {
    /// The worker's lease.
    pub epoch: u64,
    seq: u64,
    nodes: BTreeMap<NodeId, NodeUpdate>,
}

impl TestPartition {
    /// A partition without nodes, in the first epoch.
    pub fn new() -> Self {
        Self { epoch: 1, ..Self::default() }
    }

    /// A partition with these nodes in the rows that they name, after its first delta.
    pub fn with_nodes(nodes: Vec<NodeUpdate>) -> Self {
        let nodes = nodes.into_iter().map(|node| (node.node.clone(), node)).collect();
        Self { epoch: 1, seq: 1, nodes }
    }

    /// Changes nodes; returns the delta that a worker would publish: parts that did not change are left out.
    pub fn put(&mut self, updates: Vec<NodeUpdate>) -> Delta {
        let nodes = updates.into_iter().map(|update| self.change(update)).collect();
        self.delta(nodes, Vec::new())
    }

    /// Forgets a node; returns the delta.
    pub fn forget(&mut self, id: &NodeId) -> Delta {
        let forgotten = self.nodes.remove(id).map(|update| update.node).into_iter().collect();
        self.delta(Vec::new(), forgotten)
    }

    /// Another worker takes the partition over with all nodes, and numbers the rows again.
    pub fn change_worker(&mut self) {
        (self.epoch, self.seq) = (self.epoch + 1, 0);
        for (row, node) in (0..).zip(self.nodes.values_mut().rev()) {
            node.row = row;
        }
    }

    /// The present statistics; only the delta's number in them is realistic.
    pub fn stats(&self) -> PartitionStats {
        PartitionStats { epoch: self.epoch, seq: self.seq, at_ms: AT_MS, ..PartitionStats::default() }
    }

    /// A snapshot of the present nodes.
    pub fn snapshot(&self) -> Snapshot {
        let id = DeltaId { epoch: self.epoch, seq: self.seq };
        Snapshot { id, at_ms: AT_MS, nodes: self.nodes.values().cloned().collect() }
    }

    /// The same snapshot as a single part.
    pub fn snapshot_chunk(&self) -> SnapshotChunk {
        let nodes = self.nodes.values().cloned().collect();
        let (epoch, seq) = (self.epoch, self.seq);
        SnapshotChunk { partition: 0, epoch, seq, at_ms: AT_MS, chunk: 0, chunks: 1, nodes, history: None }
    }

    /// The nodes as a view should have them, by id.
    pub fn nodes(&self) -> Vec<Node> {
        self.nodes.values().cloned().map(Node::new).collect()
    }

    fn change(&mut self, mut update: NodeUpdate) -> NodeUpdate {
        let before = self.nodes.get(&update.node);
        let is_free = |row: &u32| self.nodes.values().all(|node| node.row != *row);
        update.row = before.map(|node| node.row).or_else(|| (0..).find(is_free)).unwrap_or_default();
        let mut whole = update.clone();
        whole.hello = update.hello.clone().or_else(|| before?.hello.clone());
        whole.host = update.host.clone().or_else(|| before?.host.clone());
        whole.probes = update.probes.clone().or_else(|| before?.probes.clone());
        whole.interfaces = update.interfaces.clone().or_else(|| before?.interfaces.clone());
        self.nodes.insert(update.node.clone(), whole);
        update
    }

    fn delta(&mut self, nodes: Vec<NodeUpdate>, forgotten: Vec<NodeId>) -> Delta {
        self.seq += 1;
        Delta { partition: 0, epoch: self.epoch, seq: self.seq, at_ms: AT_MS, nodes, forgotten }
    }
}
