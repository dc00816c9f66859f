//! A browser that follows the stream has the values of the rows.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidemap_client::{
    FeedMessage, Fleet,
    testing::{AT_MS, TestPartition, bps, full_node, id, node, one_partition},
};
use tidemap_wire::{
    Host, NodeUpdate, Status,
    stream::{Columns, DeltaEvent, RateRows, decode_rows},
};
use tokio::time::Instant;

use crate::stream_rows::{HostLoad, Rates, Row, Shown, StreamRows};

/// A browser's values of a row.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    name: String,
    location: Option<String>,
    lat: Option<f64>,
    labels: BTreeMap<String, String>,
    status: u8,
    rates: Rates,
    host: HostLoad,
}

/// A browser, written from the protocol's description only.
#[derive(Clone, Debug, Default)]
struct Browser(Vec<Option<Seen>>);

impl Browser {
    fn open(columns: &Columns) -> Self {
        Self((0..columns.name.len()).map(|place| Seen::at(columns, place)).collect())
    }

    fn apply(&mut self, delta: &DeltaEvent) {
        for row in decode_rows(&delta.gone).unwrap() {
            self.0[row as usize] = None;
        }
        if let Some(put) = &delta.put {
            for (place, row) in decode_rows(&put.i).unwrap().into_iter().enumerate() {
                let seen = Seen::at(&put.nodes, place);
                let len = self.0.len().max(row as usize + 1);
                self.0.resize(len, None);
                self.0[row as usize] = seen;
            }
        }
        if let Some(rows) = &delta.status {
            self.each(&rows.i, |place, seen| seen.status = rows.status[place]);
        }
        if let Some(rows) = &delta.rates {
            self.each(&rows.i, |place, seen| seen.rates = Rates { rx: rows.rx[place], tx: rows.tx[place] });
        }
        if let Some(rows) = &delta.host {
            self.each(&rows.i, |place, seen| {
                seen.host = HostLoad { cpu: rows.cpu[place], mem: rows.mem[place], disk: rows.disk[place] };
            });
        }
    }

    fn each(&mut self, rows: &[u32], mut change: impl FnMut(usize, &mut Seen)) {
        for (place, row) in decode_rows(rows).unwrap().into_iter().enumerate() {
            change(place, self.0[row as usize].as_mut().unwrap());
        }
    }
}

impl Seen {
    fn at(columns: &Columns, place: usize) -> Option<Self> {
        Some(Self {
            name: columns.name[place].clone()?,
            location: columns.location[place].clone(),
            lat: columns.lat[place],
            labels: columns.labels[place].clone(),
            status: columns.status[place],
            rates: Rates { rx: columns.rx[place], tx: columns.tx[place] },
            host: HostLoad { cpu: columns.cpu[place], mem: columns.mem[place], disk: columns.disk[place] },
        })
    }
}

/// A fleet of one partition that receives everything, and its rows.
struct Stage {
    worker: TestPartition,
    fleet: Fleet,
    rows: StreamRows,
    now: Instant,
}

impl Stage {
    fn new() -> Self {
        let (count, partition) = one_partition();
        let worker = TestPartition::new();
        let mut fleet = Fleet::new(count);
        let now = Instant::now();
        fleet.settle(now);
        fleet.apply(FeedMessage::Snapshot(partition, worker.snapshot()), now);
        Self { worker, fleet, rows: StreamRows::default(), now }
    }

    fn put(&mut self, update: NodeUpdate) {
        let delta = self.worker.put(vec![update]);
        self.fleet.apply(FeedMessage::Delta(one_partition().1, delta), self.now);
    }

    fn forget(&mut self, name: &str) {
        let delta = self.worker.forget(&id(name));
        self.fleet.apply(FeedMessage::Delta(one_partition().1, delta), self.now);
    }

    fn replace_without(&mut self, name: &str) {
        self.worker.forget(&id(name));
        self.worker.change_worker();
        self.fleet.apply(FeedMessage::Snapshot(one_partition().1, self.worker.snapshot()), self.now);
    }

    fn says(&mut self) -> DeltaEvent {
        let changed = self.fleet.take_changed();
        self.rows.update(&self.fleet, &changed, AT_MS)
    }

    /// All nodes, rounded as browsers receive them.
    fn known(&self) -> BTreeMap<String, Row> {
        self.fleet.nodes().map(|node| (node.name(), Row::of(node))).collect()
    }
}

/// What happens between two ticks.
#[derive(Clone, Debug)]
enum Change {
    Put(Box<NodeUpdate>),
    Forget(usize),
    Tick,
    Join,
    /// A node disappears in another worker's snapshot, without a delta that says so.
    Replace(usize),
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn change() -> impl Strategy<Value = Change> {
    let update = (0..NAMES.len(), 0_u32..3, any::<bool>(), 0_u8..3).prop_map(|(name, rate, full, status)| {
        Change::Put(Box::new(NodeUpdate {
            rx_bps: bps(f64::from(rate) * 1e4),
            status: Status::from_code(status).unwrap(),
            ..if full { full_node(NAMES[name]) } else { node(NAMES[name]) }
        }))
    });
    prop_oneof![
        6 => update,
        3 => (0..NAMES.len()).prop_map(Change::Forget),
        3 => Just(Change::Tick),
        1 => Just(Change::Join),
        1 => (0..NAMES.len()).prop_map(Change::Replace),
    ]
}

proptest! {
    #[test]
    fn a_snapshot_and_the_deltas_after_it_show_the_fleet(changes in proptest::collection::vec(change(), 1..80)) {
        let mut stage = Stage::new();
        let mut browsers = vec![Browser::default()];
        for change in changes.into_iter().chain([Change::Tick]) {
            match change {
                Change::Put(update) => stage.put(*update),
                Change::Forget(name) => stage.forget(NAMES[name]),
                Change::Replace(name) => stage.replace_without(NAMES[name]),
                Change::Join => browsers.push(Browser::open(&stage.rows.columns(AT_MS))),
                Change::Tick => {
                    let delta = serde_json::to_string(&stage.says()).unwrap();
                    let delta = serde_json::from_str(&delta).unwrap();
                    browsers.iter_mut().for_each(|browser| browser.apply(&delta));
                }
            }
        }
        let known = stage.known();
        for browser in browsers {
            prop_assert_eq!(&browser.0, &Browser::open(&stage.rows.columns(AT_MS)).0);
            let seen: Vec<Seen> = browser.0.into_iter().flatten().collect();
            prop_assert_eq!(seen.len(), known.len());
            for seen in seen {
                let row = &known[&seen.name];
                let Seen { status, rates, host, .. } = seen;
                prop_assert_eq!(Shown { status, rates, host }, row.shown);
                prop_assert_eq!(seen.labels.is_empty(), row.hello.is_none());
            }
        }
    }
}

#[test]
fn invisible_changes_are_not_sent() {
    let mut stage = Stage::new();
    stage.put(full_node("a"));
    assert!(stage.says().put.is_some());
    stage.put(NodeUpdate { rx_bps: bps(1_241.0), seen_ms: AT_MS, ..full_node("a") });
    assert!(stage.says().is_empty());
    stage.put(NodeUpdate { rx_bps: bps(1_251.0), ..full_node("a") });
    let said = stage.says();
    assert_eq!(said.rates, Some(RateRows { i: vec![0], rx: vec![Some(1_250)], tx: vec![Some(99)] }));
    assert!(said.put.is_none() && said.status.is_none() && said.host.is_none());
}

#[test]
fn host_metrics_of_a_large_fleet_are_spread_over_deltas() {
    let mut stage = Stage::new();
    let name = |number: usize| format!("node-{number}");
    let busy = |number: usize, percent: f64| {
        let host = Host { cpu_percent: Some(percent), ..Host::default() };
        NodeUpdate { host: Some(Box::new(host)), ..node(&name(number)) }
    };
    (0..1_000).for_each(|number| stage.put(busy(number, 1.0)));
    stage.says();
    (0..1_000).for_each(|number| stage.put(busy(number, 2.0)));
    let mut sent = BTreeSet::new();
    for _ in 0..8 {
        let rows = decode_rows(&stage.says().host.unwrap().i).unwrap();
        assert_eq!(rows.len(), 125);
        sent.extend(rows);
    }
    assert_eq!(sent.len(), 1_000);
    assert!(stage.says().is_empty());
}

#[test]
fn a_vacant_row_is_taken_by_the_next_node() {
    let mut stage = Stage::new();
    ["a", "b", "c"].into_iter().for_each(|name| stage.put(node(name)));
    stage.says();
    stage.forget("b");
    assert_eq!(stage.says().gone, [1]);
    stage.forget("a");
    stage.put(node("d"));
    let said = stage.says();
    assert!(said.gone.is_empty(), "the row is another node's at once");
    assert_eq!(said.put.unwrap().i, [0]);
    assert_eq!(stage.rows.columns(AT_MS).name, [Some("d".to_owned()), None, Some("c".to_owned())]);
}
