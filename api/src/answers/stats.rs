//! The fleet's totals of one tick.

use std::{
    borrow::Borrow,
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tidemap_client::{Fleet, FleetCounters, Node};
use tidemap_wire::{
    Averages, Bps, PartitionStats, Status,
    http::{StatsJson, TalkerJson},
};
use tokio::time::Instant;

use crate::{
    answers::{Encoded, Version, connections},
    json,
};

/// How many top talkers are listed.
const TALKERS: usize = 10;
/// How many providers are listed by name.
const PROVIDERS: usize = 100;

/// The totals, as values and as JSON.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) version: Version,
    pub(crate) values: StatsJson,
    pub(crate) body: Encoded,
    pub(crate) health: Health,
}

/// The state of the pipeline itself: partitions, streams, counters.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) partitions: Vec<PartitionHealth>,
    pub(crate) listeners: usize,
    pub(crate) counters: Counters,
}

/// The state of one partition.
#[derive(Clone, Debug)]
pub(crate) struct PartitionHealth {
    pub(crate) number: u16,
    pub(crate) fresh: bool,
    /// Its worker's newest totals.
    pub(crate) owner: Option<PartitionStats>,
}

/// Counts since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) fleet: FleetCounters,
    pub(crate) ticks: u64,
    pub(crate) streams_opened: u64,
    pub(crate) streams_resumed: u64,
}

impl Stats {
    pub(crate) fn new(version: Version, values: StatsJson, health: Health) -> Self {
        let body = Encoded::short(json::encode(&values).into());
        Self { version, values, body, health }
    }
}

/// Computes the fleet's totals.
pub(crate) fn fleet_stats(fleet: &Fleet, now: Instant, at_ms: i64) -> StatsJson {
    let mut sums = Sums::default();
    fleet.nodes().for_each(|node| sums.add(node));
    StatsJson {
        total_nodes: sums.online + sums.warning + sums.offline + sums.unknown,
        online_nodes: sums.online,
        warning_nodes: sums.warning,
        offline_nodes: sums.offline,
        unknown_nodes: sums.unknown,
        avg_cpu_percent: sums.cpu.mean(),
        avg_memory_percent: sums.memory.mean(),
        avg_disk_percent: sums.disk.mean(),
        avg_network_tx_bytes_per_sec: sums.tx.mean(),
        avg_network_rx_bytes_per_sec: sums.rx.mean(),
        total_network_tx_bytes_per_sec: finite(sums.tx.sum),
        total_network_rx_bytes_per_sec: finite(sums.rx.sum),
        total_network_tx_bytes_per_sec_avg: sums.tx_avg,
        total_network_rx_bytes_per_sec_avg: sums.rx_avg,
        providers: providers(&sums.providers),
        top_tx: talkers(sums.loudest_tx),
        top_rx: talkers(sums.loudest_rx),
        total_connections: if sums.is_probing { n_connections(fleet) } else { 0 },
        partitions: fleet.partitions().count() as u16,
        partitions_fresh: fleet.partitions().filter(|(_, view)| view.is_fresh(now)).count() as u16,
        lag_messages: lag(fleet, now),
        lag_ms: lag_ms(fleet, now),
        view_age_ms: view_age_ms(fleet, now),
        timestamp: at_ms as f64 / 1000.0,
    }
}

/// Everything that one pass over the nodes adds up. Nodes are spread over memory, so visiting one costs more
/// than adding its values.
#[derive(Debug, Default)]
struct Sums<'a> {
    online: u64,
    warning: u64,
    offline: u64,
    unknown: u64,
    cpu: Sum,
    memory: Sum,
    disk: Sum,
    tx: Sum,
    rx: Sum,
    tx_avg: Averages,
    rx_avg: Averages,
    providers: HashMap<&'a str, u64>,
    loudest_tx: Vec<(Bps, &'a Node)>,
    loudest_rx: Vec<(Bps, &'a Node)>,
    /// Whether any node probes.
    is_probing: bool,
}

/// A sum of the known values.
#[derive(Debug, Default)]
struct Sum {
    sum: f64,
    count: u32,
}

impl<'a> Sums<'a> {
    fn add(&mut self, node: &'a Node) {
        let provider = node.hello().and_then(|hello| hello.provider.as_deref()).unwrap_or("unknown");
        *self.providers.entry(provider).or_default() += 1;
        match node.status() {
            Status::Online => self.add_online(node),
            Status::Warning => self.warning += 1,
            Status::Offline => self.offline += 1,
            Status::Unknown => self.unknown += 1,
        }
    }

    fn add_online(&mut self, node: &'a Node) {
        let (latest, host) = (node.latest(), node.host());
        self.online += 1;
        self.is_probing |= !node.probes().is_empty();
        self.cpu.add(host.and_then(|host| host.cpu_percent));
        self.memory.add(host.and_then(|host| host.memory_percent()));
        self.disk.add(host.and_then(|host| host.disk_percent()));
        self.tx.add(latest.tx_bps.map(Bps::get));
        self.rx.add(latest.rx_bps.map(Bps::get));
        self.tx_avg.add(&latest.tx_avg);
        self.rx_avg.add(&latest.rx_avg);
        insert_talker(&mut self.loudest_tx, latest.tx_bps, node);
        insert_talker(&mut self.loudest_rx, latest.rx_bps, node);
    }
}

impl Sum {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    /// The mean, rounded to 2 decimals; 0 without values.
    fn mean(&self) -> f64 {
        let mean = finite(self.sum) / f64::from(self.count.max(1));
        // Above 2^53 a float has no decimals to round, and multiplied by 100 it might become infinite.
        if mean.abs() < 9e15 { (mean * 100.0).round() / 100.0 } else { mean }
    }
}

/// Another pass over the nodes, of fleets in which any of them probes.
fn n_connections(fleet: &Fleet) -> u64 {
    let nodes: Vec<&Node> = fleet.nodes().map(Borrow::borrow).collect();
    connections(&nodes).len() as u64
}

/// How many messages are not applied; `None` unless all owners are heard.
fn lag(fleet: &Fleet, now: Instant) -> Option<u64> {
    heard(fleet, now).map(|stats| stats.map(|stats| stats.lag)).sum()
}

/// The largest age of what is applied where something is not; `None` unless all owners are heard.
fn lag_ms(fleet: &Fleet, now: Instant) -> Option<u64> {
    let ages: Option<Vec<u64>> = heard(fleet, now).map(|stats| stats.map(|stats| stats.lag_ms)).collect();
    ages?.into_iter().max()
}

/// The totals of each partition, if its owner is heard: the last ones of an owner that is gone say nothing.
fn heard(fleet: &Fleet, now: Instant) -> impl Iterator<Item = Option<&PartitionStats>> {
    fleet.partitions().map(move |(_, view)| view.stats().filter(|_| view.is_fresh(now)))
}

/// The longest time since a partition's newest message; `None` until all partitions have published.
fn view_age_ms(fleet: &Fleet, now: Instant) -> Option<u64> {
    let ages = fleet.partitions().map(|(_, view)| view.silent_for(now));
    let ages: Option<Vec<Duration>> = ages.collect();
    let oldest = ages?.into_iter().max()?;
    u64::try_from(oldest.as_millis()).ok()
}

/// JSON has no infinity, and impossible rates must not make the answer invalid.
pub(super) fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

/// The largest providers. Nodes say which theirs is, so there may be as many as nodes.
fn providers(counts: &HashMap<&str, u64>) -> BTreeMap<String, u64> {
    let mut largest: Vec<(&str, u64)> = counts.iter().map(|(provider, count)| (*provider, *count)).collect();
    largest.sort_unstable_by_key(|(provider, count)| (Reverse(*count), *provider));
    let others: u64 = largest.iter().skip(PROVIDERS).map(|(_, count)| count).sum();
    let mut providers: BTreeMap<String, u64> =
        largest.into_iter().take(PROVIDERS).map(|(provider, count)| (provider.to_owned(), count)).collect();
    if others > 0 {
        *providers.entry("others".to_owned()).or_default() += others;
    }
    providers
}

/// Inserts a node into the top talkers, highest first, if it belongs there. A node without traffic never
/// does.
fn insert_talker<'a>(loudest: &mut Vec<(Bps, &'a Node)>, rate: Option<Bps>, node: &'a Node) {
    let Some(rate) = rate.filter(|rate| *rate > Bps::ZERO) else { return };
    let is_before =
        |(known, other): &(Bps, &Node)| *known > rate || *known == rate && other.name() < node.name();
    let place = loudest.partition_point(is_before);
    if place < TALKERS {
        loudest.truncate(TALKERS - 1);
        loudest.insert(place, (rate, node));
    }
}

fn talkers(loudest: Vec<(Bps, &Node)>) -> Vec<TalkerJson> {
    let talker = |(rate, node): (Bps, &Node)| TalkerJson {
        name: node.name(),
        display_name: node.display_name(),
        bytes_per_sec: rate,
    };
    loudest.into_iter().map(talker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_beyond_the_largest_are_others() {
        let names: Vec<String> = (0..1_000).map(|number| format!("provider-{number:03}")).collect();
        let mut counts: HashMap<&str, u64> = names.iter().map(|name| (name.as_str(), 1)).collect();
        counts.extend([("home", 7), ("others", 2)]);
        let listed = providers(&counts);
        assert_eq!(listed.len(), PROVIDERS);
        assert_eq!((listed["home"], listed["provider-000"], listed["others"]), (7, 1, 904));
        assert_eq!(listed.values().sum::<u64>(), 1_009);
        assert_eq!(providers(&HashMap::from([("home", 7)])), BTreeMap::from([("home".to_owned(), 7)]));
    }
}
