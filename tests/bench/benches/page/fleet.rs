//! A made-up fleet, spread evenly over the map, so that its markers form no clusters.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use tidemap_service::clock;
use tidemap_wire::{
    http::StatsJson,
    stream::{
        Columns, DeltaEvent, HostRows, PutRows, RateRows, SnapshotEvent, StatusRows, VERSION, encode_rows,
        round_rate,
    },
};

/// Nodes that leave in each tick of a churning fleet, and that others replace in the next.
const CHURN: u32 = 10;
/// One in this many nodes reports host metrics in a tick.
const HOST_ONE_IN: u32 = 10;

/// The fleet, as an API would publish it.
pub(crate) struct Fleet {
    nodes: u32,
    tick: u32,
    vacant: Vec<u32>,
    random: fastrand::Rng,
}

impl Fleet {
    pub(crate) fn new(nodes: u32) -> Self {
        Self { nodes, tick: 0, vacant: Vec::new(), random: fastrand::Rng::with_seed(1) }
    }

    /// The event that opens the stream.
    pub(crate) fn snapshot(&mut self) -> Result<Vec<u8>> {
        let nodes = self.columns(&(0..self.nodes).collect::<Vec<_>>());
        self.event("snapshot", &SnapshotEvent { v: VERSION, at_ms: clock::unix_ms(), nodes })
    }

    /// A delta with every node's rates and the totals after it, as in each second of a busy fleet.
    pub(crate) fn tick(&mut self) -> Result<Vec<u8>> {
        let delta = self.delta();
        self.events(&delta)
    }

    /// The same with nodes that join, leave, go silent and report again.
    pub(crate) fn churn(&mut self) -> Result<Vec<u8>> {
        let arrived = std::mem::take(&mut self.vacant);
        let mut leaving: Vec<u32> = (0..CHURN).map(|_| self.random.u32(0..self.nodes)).collect();
        leaving.sort_unstable();
        leaving.dedup();
        leaving.retain(|row| !arrived.contains(row));
        let late: Vec<u32> = arrived.iter().map(|row| (row + 1) % self.nodes).collect();
        let mut late: Vec<u32> = late.into_iter().filter(|row| !leaving.contains(row)).collect();
        late.sort_unstable();
        let put = PutRows { i: encode_rows(arrived.iter().copied()), nodes: self.columns(&arrived) };
        let status = StatusRows {
            status: late.iter().map(|_| self.random.u8(0..3)).collect(),
            age_ms: vec![4_000; late.len()],
            i: encode_rows(late),
        };
        let delta = DeltaEvent {
            put: Some(put),
            gone: encode_rows(leaving.iter().copied()),
            status: Some(status),
            ..self.delta()
        };
        self.vacant = leaving;
        self.events(&delta)
    }

    fn events(&mut self, delta: &DeltaEvent) -> Result<Vec<u8>> {
        let mut events = self.event("delta", delta)?;
        events.extend(self.event("stats", &self.stats())?);
        Ok(events)
    }

    fn delta(&mut self) -> DeltaEvent {
        self.tick += 1;
        // Vacant rows have no values.
        let rows: Vec<u32> = (0..self.nodes).filter(|row| !self.vacant.contains(row)).collect();
        let of_hosts: Vec<u32> =
            rows.iter().copied().filter(|row| (row + self.tick).is_multiple_of(HOST_ONE_IN)).collect();
        DeltaEvent {
            at_ms: clock::unix_ms(),
            rates: Some(RateRows {
                rx: self.rates(rows.len()),
                tx: self.rates(rows.len()),
                i: encode_rows(rows),
            }),
            host: Some(HostRows {
                cpu: self.shares(of_hosts.len()),
                mem: self.shares(of_hosts.len()),
                disk: self.shares(of_hosts.len()),
                i: encode_rows(of_hosts),
            }),
            ..DeltaEvent::default()
        }
    }

    fn columns(&mut self, rows: &[u32]) -> Columns {
        let len = rows.len();
        let places = rows.iter().map(|row| place(*row));
        let (lat, lon) = places.map(|(lat, lon)| (Some(lat), Some(lon))).unzip();
        let text = |text: &dyn Fn(u32) -> String| rows.iter().map(|row| Some(text(*row))).collect();
        Columns {
            name: text(&|row| format!("edge-{:02}-{row:06}-{}", row % 40, self.tick)),
            display_name: Vec::new(),
            location: text(&|row| format!("Place {}", row % 500)),
            provider: text(&|row| format!("provider-{}", row % 7)),
            lat,
            lon,
            labels: rows
                .iter()
                .map(|row| BTreeMap::from([("role".to_owned(), format!("role-{}", row % 5))]))
                .collect(),
            status: vec![0; len],
            age_ms: vec![0; len],
            rx: self.rates(len),
            tx: self.rates(len),
            cpu: self.shares(len),
            mem: self.shares(len),
            disk: self.shares(len),
        }
    }

    fn rates(&mut self, len: usize) -> Vec<Option<u64>> {
        // Few move much, most move little.
        (0..len).map(|_| Some(round_rate(10_f64.powf(self.random.f64() * 5.0 + 3.0)))).collect()
    }

    fn shares(&mut self, len: usize) -> Vec<Option<u8>> {
        (0..len).map(|_| Some(self.random.u8(0..=100))).collect()
    }

    fn stats(&self) -> StatsJson {
        let vacant = self.vacant.len() as u64;
        StatsJson {
            total_nodes: u64::from(self.nodes) - vacant,
            online_nodes: u64::from(self.nodes) - vacant,
            total_network_rx_bytes_per_sec: 1e9 + f64::from(self.tick % 100) * 1e6,
            total_network_tx_bytes_per_sec: 5e8 + f64::from(self.tick % 70) * 1e6,
            partitions: 1,
            partitions_fresh: 1,
            timestamp: clock::unix_ms() as f64 / 1_000.0,
            ..StatsJson::default()
        }
    }

    fn event(&self, name: &str, data: &impl Serialize) -> Result<Vec<u8>> {
        let data = serde_json::to_string(data)?;
        Ok(format!("event: {name}\nid: 1-{}\ndata: {data}\n\n", self.tick).into_bytes())
    }
}

/// The place of a row. The places of any number of rows are spread evenly over a square map.
fn place(row: u32) -> (f64, f64) {
    // The plastic ratio's sequence.
    let [x, y] =
        [0.754_877_666_246_693, 0.569_840_290_998_053].map(|step| (0.5 + f64::from(row) * step).fract());
    let north = std::f64::consts::PI * (1.0 - 2.0 * y) * 0.95;
    (north.sinh().atan().to_degrees(), 340.0 * (x - 0.5))
}
