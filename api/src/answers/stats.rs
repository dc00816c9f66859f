//! The fleet's totals of one tick.

use std::{cmp::Ordering, collections::BTreeMap};

use tidemap_wire::{
    Averages, Bps, PartitionStats, Status,
    http::{StatsJson, TalkerJson},
};
use tokio::time::Instant;

use crate::{
    answers::{Encoded, Version},
    json,
    owner::Counters,
    view::{Fleet, Node},
};

/// How many top talkers are named.
const TALKERS: usize = 10;

/// The totals, as values and as JSON.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) version: Version,
    pub(crate) values: StatsJson,
    pub(crate) body: Encoded,
    pub(crate) health: Health,
}

/// How the pipeline itself does.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub(crate) partitions: Vec<PartitionHealth>,
    pub(crate) listeners: usize,
    pub(crate) counters: Counters,
}

/// How one partition does.
#[derive(Clone, Debug)]
pub(crate) struct PartitionHealth {
    pub(crate) number: u16,
    pub(crate) fresh: bool,
    /// What its owner said last.
    pub(crate) owner: Option<PartitionStats>,
}

impl Stats {
    pub(crate) fn new(version: Version, values: StatsJson, health: Health) -> Self {
        let body = Encoded::new(json::encode(&values));
        Self { version, values, body, health }
    }
}

/// Sums up the fleet.
pub(crate) fn fleet_stats(fleet: &Fleet, now: Instant, at_ms: i64) -> StatsJson {
    let online: Vec<&Node> = fleet.nodes().filter(|node| is(node, Status::Online)).collect();
    let count = |status| fleet.nodes().filter(|node| is(node, status)).count() as u64;
    let mean_of_host = |metric: fn(&Node) -> Option<f64>| mean(online.iter().filter_map(|node| metric(node)));
    StatsJson {
        total_nodes: fleet.nodes().count() as u64,
        online_nodes: online.len() as u64,
        warning_nodes: count(Status::Warning),
        offline_nodes: count(Status::Offline),
        avg_cpu_percent: mean_of_host(|node| node.host()?.cpu_percent),
        avg_memory_percent: mean_of_host(|node| node.host()?.memory_percent()),
        avg_disk_percent: mean_of_host(|node| node.host()?.disk_percent()),
        avg_network_tx_bytes_per_sec: mean_of_host(|node| tx(node).map(Bps::get)),
        avg_network_rx_bytes_per_sec: mean_of_host(|node| rx(node).map(Bps::get)),
        total_network_tx_bytes_per_sec: total(&online, tx),
        total_network_rx_bytes_per_sec: total(&online, rx),
        total_network_tx_bytes_per_sec_avg: averages(online.iter().map(|node| &node.latest().tx_avg)),
        total_network_rx_bytes_per_sec_avg: averages(online.iter().map(|node| &node.latest().rx_avg)),
        providers: providers(fleet),
        top_tx: talkers(&online, tx),
        top_rx: talkers(&online, rx),
        partitions: fleet.partitions().count() as u16,
        partitions_fresh: fleet.partitions().filter(|(_, view)| view.is_fresh(now)).count() as u16,
        timestamp: at_ms as f64 / 1000.0,
    }
}

fn is(node: &Node, status: Status) -> bool {
    node.latest().status == status
}

fn tx(node: &Node) -> Option<Bps> {
    node.latest().tx_bps
}

fn rx(node: &Node) -> Option<Bps> {
    node.latest().rx_bps
}

/// The mean of what is known, rounded to 2 decimals; 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    let mean = finite(sum) / f64::from(count.max(1));
    // Beyond 2^53 a number has no decimals to round, and times 100 it might not be finite.
    if mean.abs() < 9e15 { (mean * 100.0).round() / 100.0 } else { mean }
}

fn total(online: &[&Node], rate: fn(&Node) -> Option<Bps>) -> f64 {
    finite(online.iter().filter_map(|node| rate(node)).map(Bps::get).sum())
}

/// JSON has no infinity, and rates that no link has must not make the answer unreadable.
fn finite(sum: f64) -> f64 {
    sum.clamp(f64::MIN, f64::MAX)
}

fn averages<'a>(nodes: impl Iterator<Item = &'a Averages>) -> Averages {
    nodes.fold(Averages::default(), |mut sum, node| {
        sum.add(node);
        sum
    })
}

fn providers(fleet: &Fleet) -> BTreeMap<String, u64> {
    let mut providers = BTreeMap::new();
    for node in fleet.nodes() {
        let provider = node.hello().and_then(|hello| hello.provider.as_deref()).unwrap_or("unknown");
        match providers.get_mut(provider) {
            Some(count) => *count += 1,
            None => {
                providers.insert(provider.to_owned(), 1);
            }
        }
    }
    providers
}

/// The nodes with the highest rates, highest first; a node without traffic is no talker.
fn talkers(online: &[&Node], rate: fn(&Node) -> Option<Bps>) -> Vec<TalkerJson> {
    let known = online.iter().filter_map(|node| Some((rate(node)?, node.name())));
    let mut talkers: Vec<(Bps, &str)> = known.filter(|(rate, _)| *rate > Bps::ZERO).collect();
    let loudest_first = |one: &(Bps, &str), other: &(Bps, &str)| {
        other.0.partial_cmp(&one.0).unwrap_or(Ordering::Equal).then_with(|| one.1.cmp(other.1))
    };
    if talkers.len() > TALKERS {
        talkers.select_nth_unstable_by(TALKERS, loudest_first);
        talkers.truncate(TALKERS);
    }
    talkers.sort_unstable_by(loudest_first);
    talkers
        .into_iter()
        .map(|(rate, name)| TalkerJson { name: name.to_owned(), bytes_per_sec: rate })
        .collect()
}
