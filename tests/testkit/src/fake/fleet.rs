//! A made-up fleet whose numbers are the same each time.

use std::{collections::BTreeMap, time::Duration};

use tidemap_wire::{
    Averages, Bps,
    http::{GroupJson, GroupedStatsJson, StatsJson, TalkerJson},
    stream::{Columns, DeltaEvent, RateRows, SnapshotEvent, VERSION, encode_rows, round_rate},
};

/// When every fake fleet begins: the first second of 2026.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// The places of a fleet's nodes: name, degrees north, degrees east.
const PLACES: [(&str, f64, f64); 12] = [
    ("Zürich", 47.37, 8.54),
    ("Frankfurt", 50.11, 8.68),
    ("London", 51.51, -0.13),
    ("Ashburn", 39.04, -77.49),
    ("São Paulo", -23.55, -46.63),
    ("San José", 37.34, -121.89),
    ("Tokyo", 35.68, 139.69),
    ("Singapore", 1.35, 103.82),
    ("Mumbai", 19.08, 72.88),
    ("Sydney", -33.87, 151.21),
    ("Johannesburg", -26.2, 28.05),
    ("Reykjavík", 64.15, -21.94),
];

/// A node of a fake fleet.
#[derive(Clone, Debug, Default)]
pub struct FakeNode {
    /// Its display name.
    pub name: String,
    /// Its place's name, degrees north and degrees east.
    pub place: Option<(String, f64, f64)>,
    /// Who runs it.
    pub provider: Option<String>,
    /// 0 online, 1 warning, 2 offline.
    pub status: u8,
    /// Milliseconds since its newest report when the fleet began.
    pub age_ms: u64,
    /// About what it receives, bytes per second; nothing is known when absent.
    pub rate: Option<f64>,
}

/// A made-up fleet at some time of its life.
#[derive(Clone, Debug, Default)]
pub struct FakeFleet {
    nodes: Vec<FakeNode>,
    lived_ms: u64,
}

impl FakeFleet {
    /// A fleet without nodes.
    pub fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// These nodes.
    pub fn of(nodes: Vec<FakeNode>) -> Self {
        Self { nodes, lived_ms: 0 }
    }

    /// Three dozen nodes over the world: most are online, two are late, two are offline, one has no place.
    pub fn world() -> Self {
        let node = |at: usize| {
            let (place, lat, lon) = PLACES[at % PLACES.len()];
            let (status, age_ms) = match at {
                7 | 20 => (1, 14_000),
                11 => (2, 310_000),
                16 => (2, 7_260_000),
                _ => (0, 400),
            };
            // Nodes of one place are some streets apart.
            let apart = at as f64 * 0.013;
            FakeNode {
                name: format!("{}-{:02}", ["web", "db", "cache", "edge"][at % 4], at + 1),
                place: (at != 5).then(|| (place.to_owned(), lat + apart, lon - apart)),
                provider: Some(["Hetzner", "AWS", "on premises"][at % 3].to_owned()),
                status,
                age_ms,
                rate: (at != 33).then(|| 4e5 * 1.27_f64.powi((at * 7 % 36) as i32 / 2)),
            }
        };
        Self::of((0..36).map(node).collect())
    }

    /// Lets time pass.
    pub fn pass(&mut self, by: Duration) {
        self.lived_ms += u64::try_from(by.as_millis()).unwrap_or_default();
    }

    /// The id of the event of now.
    pub(super) fn id(&self) -> String {
        format!("1-{}", self.lived_ms / 250)
    }

    pub(super) fn snapshot(&self) -> SnapshotEvent {
        SnapshotEvent { v: VERSION, at_ms: self.at_ms(), nodes: self.columns() }
    }

    /// The rates of all nodes.
    pub(super) fn delta(&self) -> DeltaEvent {
        let rows: Vec<usize> = (0..self.nodes.len()).filter(|row| self.nodes[*row].status == 0).collect();
        let rates = RateRows {
            i: encode_rows(rows.iter().map(|row| *row as u32)),
            rx: rows.iter().map(|row| self.rx(*row)).collect(),
            tx: rows.iter().map(|row| self.tx(*row)).collect(),
        };
        DeltaEvent { at_ms: self.at_ms(), rates: Some(rates), ..DeltaEvent::default() }
    }

    pub(super) fn stats(&self) -> StatsJson {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        let count = |status| self.nodes.iter().filter(|node| node.status == status).count() as u64;
        let online = count(0);
        let (rx, tx) = self.sums(&all);
        let mean = |sum: f64| if online > 0 { (sum / online as f64 * 100.0).round() / 100.0 } else { 0.0 };
        StatsJson {
            total_nodes: self.nodes.len() as u64,
            online_nodes: online,
            warning_nodes: count(1),
            offline_nodes: count(2),
            unknown_nodes: count(3),
            avg_cpu_percent: if online > 0 { 37.25 } else { 0.0 },
            avg_memory_percent: if online > 0 { 61.5 } else { 0.0 },
            avg_disk_percent: if online > 0 { 82.75 } else { 0.0 },
            avg_network_tx_bytes_per_sec: mean(tx),
            avg_network_rx_bytes_per_sec: mean(rx),
            total_network_tx_bytes_per_sec: tx,
            total_network_rx_bytes_per_sec: rx,
            total_network_tx_bytes_per_sec_avg: averages(tx),
            total_network_rx_bytes_per_sec_avg: averages(rx),
            providers: BTreeMap::from([("Hetzner".to_owned(), online)]),
            top_tx: self.talkers(Self::tx),
            top_rx: self.talkers(Self::rx),
            total_connections: 0,
            partitions: 8,
            partitions_fresh: 8,
            lag_messages: Some(0),
            lag_ms: Some(0),
            view_age_ms: Some(120),
            timestamp: self.at_ms() as f64 / 1000.0,
        }
    }

    /// The totals, and those of each place or provider.
    pub(super) fn grouped(&self, by: Option<&str>) -> GroupedStatsJson {
        let key = |node: &FakeNode| match by {
            Some("location") => node.place.as_ref().map(|place| place.0.clone()),
            Some("provider") => node.provider.clone(),
            _ => None,
        };
        let mut members = BTreeMap::<(bool, Option<String>), Vec<usize>>::new();
        for (row, node) in self.nodes.iter().enumerate() {
            let key = key(node);
            members.entry((key.is_none(), key)).or_default().push(row);
        }
        let group = |((_, key), rows): ((bool, Option<String>), Vec<usize>)| {
            let count = |status| rows.iter().filter(|row| self.nodes[**row].status == status).count() as u64;
            let (rx, tx) = self.sums(&rows);
            GroupJson {
                key,
                total_nodes: rows.len() as u64,
                online_nodes: count(0),
                warning_nodes: count(1),
                offline_nodes: count(2),
                unknown_nodes: count(3),
                network_tx_bytes_per_sec: tx,
                network_rx_bytes_per_sec: rx,
            }
        };
        let groups = by.is_some().then(|| members.into_iter().map(group).collect());
        GroupedStatsJson { stats: self.stats(), groups: groups.unwrap_or_default() }
    }
}

impl FakeFleet {
    pub(super) fn nodes(&self) -> &[FakeNode] {
        &self.nodes
    }

    pub(super) fn at_ms(&self) -> i64 {
        BEGINNING_MS.saturating_add_unsigned(self.lived_ms)
    }

    fn columns(&self) -> Columns {
        let share = |row: usize, step: usize| Some((row * step % 101) as u8);
        let rows = || 0..self.nodes.len();
        Columns {
            name: self.nodes.iter().map(|node| Some(node.name.clone())).collect(),
            display_name: Vec::new(),
            location: self
                .nodes
                .iter()
                .map(|node| node.place.as_ref().map(|place| place.0.clone()))
                .collect(),
            provider: self.nodes.iter().map(|node| node.provider.clone()).collect(),
            lat: self.nodes.iter().map(|node| node.place.as_ref().map(|place| place.1)).collect(),
            lon: self.nodes.iter().map(|node| node.place.as_ref().map(|place| place.2)).collect(),
            labels: vec![BTreeMap::new(); self.nodes.len()],
            status: self.nodes.iter().map(|node| node.status).collect(),
            age_ms: self.nodes.iter().map(|node| self.age_ms(node)).collect(),
            rx: rows().map(|row| self.rx(row)).collect(),
            tx: rows().map(|row| self.tx(row)).collect(),
            cpu: rows().map(|row| share(row, 13)).collect(),
            mem: rows().map(|row| share(row, 29)).collect(),
            disk: rows().map(|row| share(row, 41)).collect(),
        }
    }

    /// Whoever reports does so all the time.
    pub(super) fn age_ms(&self, node: &FakeNode) -> u64 {
        node.age_ms + if node.status == 0 { 0 } else { self.lived_ms }
    }

    pub(super) fn rx(&self, row: usize) -> Option<u64> {
        let node = &self.nodes[row];
        let lived_s = if node.status == 0 { self.lived_ms as f64 / 1000.0 } else { 0.0 };
        node.rate.map(|rate| {
            round_rate(rate * (1.0 + 0.25 * (lived_s / 17.0 + row as f64).sin() + lived_s / 2000.0))
        })
    }

    pub(super) fn tx(&self, row: usize) -> Option<u64> {
        self.rx(row).map(|rx| round_rate(rx as f64 * [0.45, 1.6, 0.08][row % 3]))
    }

    /// Download and upload of those of these rows that are online.
    fn sums(&self, rows: &[usize]) -> (f64, f64) {
        let online = || rows.iter().copied().filter(|row| self.nodes[*row].status == 0);
        let sum = |rates: &dyn Fn(usize) -> Option<u64>| online().filter_map(rates).sum::<u64>() as f64;
        (sum(&|row| self.rx(row)), sum(&|row| self.tx(row)))
    }

    fn talkers(&self, rate: fn(&Self, usize) -> Option<u64>) -> Vec<TalkerJson> {
        let online = (0..self.nodes.len()).filter(|row| self.nodes[*row].status == 0);
        let mut talkers: Vec<TalkerJson> = online
            .filter_map(|row| {
                let bytes_per_sec = Bps::new(rate(self, row)? as f64)?;
                Some(TalkerJson {
                    name: self.nodes[row].name.clone(),
                    display_name: self.nodes[row].name.clone(),
                    bytes_per_sec,
                })
            })
            .collect();
        talkers.sort_by(|a, b| b.bytes_per_sec.get().total_cmp(&a.bytes_per_sec.get()));
        talkers.truncate(10);
        talkers
    }
}

fn averages(rate: f64) -> Averages {
    let rate = Bps::new(rate);
    Averages { s10: rate, m1: rate, m5: rate, m15: rate }
}
