//! Facts about a node, each a label and a text.

use tidemap_format::{self as format, Unit};
use tidemap_wire::http::NodeJson;
use tidemap_wire::{Bps, LocationSource, METRICS, Metric, MetricUnit};

use crate::json::NodeAnswer;

/// Lines of a label and a text each, of what is known.
type Facts = Vec<Vec<String>>;

/// One line of a list of facts.
struct Fact {
    /// What it is about.
    label: &'static str,
    /// What is known; absent when nothing is.
    text: fn(&NodeJson) -> Option<String>,
}

const IDENTITY: [Fact; 17] = [
    Fact { label: "Hostname", text: |node| node.hostname.clone() },
    Fact { label: "Place", text: place },
    Fact { label: "Provider", text: |node| node.provider.clone() },
    Fact { label: "Labels", text: labels },
    Fact { label: "Internal address", text: |node| node.internal_ip.clone() },
    Fact { label: "External address", text: |node| node.external_ip.clone() },
    Fact { label: "System", text: |node| node.os.clone() },
    Fact { label: "Kernel", text: |node| node.kernel.clone() },
    Fact { label: "Architecture", text: |node| node.arch.clone() },
    Fact { label: "Agent", text: |node| node.agent_version.clone() },
    Fact { label: "Interval", text: |node| Some(seconds(i64::from(node.interval_ms))) },
    Fact { label: "Clock", text: clock },
    Fact {
        label: "Samples lost",
        text: |node| node.lost_samples.filter(|lost| *lost > 0).map(format::count),
    },
    Fact { label: "Refused", text: refused },
    Fact {
        label: "Averages",
        text: |node| node.averages_partial.then(|| "partial: reports were lost".to_owned()),
    },
    Fact { label: "Received in all", text: |node| Some(format::bytes(node.network_rx_bytes_total as f64)) },
    Fact { label: "Sent in all", text: |node| Some(format::bytes(node.network_tx_bytes_total as f64)) },
];

/// Metrics that belong together.
const HOST: [Fact; 5] = [
    Fact { label: "Processors", text: processors },
    Fact { label: "Load", text: load },
    Fact { label: "Memory", text: memory },
    Fact { label: "Swap", text: |node| node.swap_percent.map(|swap| format::percent(Some(swap))) },
    Fact { label: "Disk", text: disk },
];

/// What comes below all other metrics.
const HOST_LAST: [Fact; 3] = [
    Fact { label: "Round trip", text: round_trip },
    Fact { label: "Errors, drops", text: errors },
    Fact { label: "Up for", text: |node| node.host.uptime_s.map(format::duration) },
];

/// The metrics in the lists above. Any other, and so a new one, has a line of its own.
const LISTED: [&str; 22] = [
    "cpu_percent",
    "cpu_count",
    "cpu_mhz",
    "memory_used_bytes",
    "memory_total_bytes",
    "swap_used_bytes",
    "swap_total_bytes",
    "disk_used_bytes",
    "disk_total_bytes",
    "load_1",
    "load_5",
    "load_15",
    "uptime_s",
    "network_errors",
    "network_drops",
    // The line of errors and drops has their sums.
    "network_rx_errors",
    "network_tx_errors",
    "network_rx_drops",
    "network_tx_drops",
    "broker_rtt_p50_ms",
    "broker_rtt_p99_ms",
    "broker_loss_percent",
];

/// The label and the unit of each metric that has a line of its own; no label where it is listed.
const ALONE: [(&str, MetricUnit); METRICS.len()] = {
    let mut alone = [("", MetricUnit::Count); METRICS.len()];
    let (mut id, mut n_listed) = (0, 0);
    while id < alone.len() {
        let Metric { name, label, unit, .. } = METRICS[id];
        if is_listed(name) {
            n_listed += 1;
        } else {
            alone[id] = (label, unit);
        }
        id += 1;
    }
    assert!(n_listed == LISTED.len(), "a listed name is no metric's");
    alone
};

/// Runs only while this is compiled, where texts cannot be compared with `==`.
const fn is_listed(name: &str) -> bool {
    let mut index = 0;
    while index < LISTED.len() {
        if is_same(name.as_bytes(), LISTED[index].as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// Who and where the node is.
pub fn identity(node: &NodeJson) -> Facts {
    let mut facts = Facts::new();
    add(&mut facts, &IDENTITY, node);
    facts
}

/// What its host is doing.
pub fn host(answer: &NodeAnswer) -> Facts {
    let mut facts = Facts::new();
    let node = &answer.node;
    if let Some(links) = links(answer) {
        facts.push(vec!["Links".to_owned(), links]);
    }
    add(&mut facts, &HOST, node);
    for (id, (label, unit)) in (0..).zip(&ALONE) {
        if let (false, Some(value)) = (label.is_empty(), node.host.get(id)) {
            facts.push(vec![(*label).to_owned(), metric(*unit, value.as_f64())]);
        }
    }
    add(&mut facts, &HOST_LAST, node);
    facts
}

fn add(facts: &mut Facts, list: &[Fact], node: &NodeJson) {
    for fact in list {
        if let Some(text) = (fact.text)(node) {
            facts.push(vec![fact.label.to_owned(), text]);
        }
    }
}

/// A metric's value with its unit.
fn metric(unit: MetricUnit, value: f64) -> String {
    match unit {
        MetricUnit::Count if value.fract() > 0.0 => format::fixed2(value),
        MetricUnit::Count => format::count(value as u64),
        MetricUnit::Percent => format::percent(Some(value)),
        MetricUnit::Bytes => format::bytes(value),
        MetricUnit::BytesPerSecond => Unit::Auto.full(Some(value)),
        MetricUnit::Seconds => format::duration(value as u64),
        MetricUnit::Milliseconds => format::milliseconds(value),
        MetricUnit::Megahertz => format::fixed(value / 1000.0, 1) + " GHz",
        MetricUnit::Celsius => format::fixed(value, 0) + " °C",
        MetricUnit::TurnsPerMinute => format::count(value as u64) + " rpm",
        MetricUnit::Load => format::fixed2(value),
    }
}

/// How much of the links is in use: `↓ 80 %, ↑ 2 % of 500/50 Mbit/s`.
fn links(answer: &NodeAnswer) -> Option<String> {
    let node = &answer.node;
    let used = [node.network_rx_utilisation_percent, node.network_tx_utilisation_percent];
    let [down, up] = answer.capacity;
    let [down_used, up_used] = used.map(format::percent);
    let carried = [megabits(down?), megabits(up?)].join("/");
    Some(["↓ ", &down_used, ", ↑ ", &up_used, " of ", &carried, " Mbit/s"].concat())
}

/// As links are sold, in bits whatever the reader's unit is: `1,000`, `50`, `1.5`.
fn megabits(rate: Bps) -> String {
    let megabits = rate.get() / 125_000.0;
    format::fixed(megabits, u32::from(megabits < 9.95 && megabits.fract() > 0.0))
}

/// To the broker and back, and what was lost on the way: `0.42 ms, 99 % in 1.80 ms, 0 % lost`.
fn round_trip(node: &NodeJson) -> Option<String> {
    let host = &node.host;
    let lost = format::percent(Some(host.broker_loss_percent?)) + " lost";
    Some(match (host.broker_rtt_p50_ms, host.broker_rtt_p99_ms) {
        (Some(p50), Some(p99)) => {
            [&format::milliseconds(p50), ", 99 % in ", &format::milliseconds(p99), ", ", &lost].concat()
        }
        _ => lost,
    })
}

fn place(node: &NodeJson) -> Option<String> {
    let name = match (&node.location, node.lat, node.lon) {
        (Some(name), _, _) => name.clone(),
        (None, Some(lat), Some(lon)) => degrees(lat, ["N", "S"]) + " " + &degrees(lon, ["E", "W"]),
        _ => return None,
    };
    let approximate = node.location_source == Some(LocationSource::TimeZone);
    Some(if approximate { name + " (by time zone)" } else { name })
}

fn degrees(degrees: f64, halves: [&str; 2]) -> String {
    format::fixed2(degrees.abs()) + "° " + halves[usize::from(degrees < 0.0)]
}

fn labels(node: &NodeJson) -> Option<String> {
    let labels: Vec<String> = node.labels.iter().map(|(key, value)| [key, "=", value].concat()).collect();
    (!labels.is_empty()).then(|| labels.join(", "))
}

fn seconds(ms: i64) -> String {
    format::fixed(ms as f64 / 1000.0, 1) + " s"
}

fn refused(node: &NodeJson) -> Option<String> {
    let reports = format::count(node.refused_reports?) + " reports";
    // A public page does not say why.
    Some(match &node.refused_reason {
        Some(reason) => reports + ", last: " + reason,
        None => reports,
    })
}

fn clock(node: &NodeJson) -> Option<String> {
    Some(match node.clock_skew_ms {
        -999..=999 => "in step".to_owned(),
        skew @ 1000.. => seconds(skew) + " ahead",
        skew => seconds(skew.saturating_neg()) + " behind",
    })
}

fn processors(node: &NodeJson) -> Option<String> {
    let host = &node.host;
    let used = format::percent(Some(host.cpu_percent?));
    let count = host.cpu_count.map(|count| " of ".to_owned() + &count.to_string());
    let speed = host.cpu_mhz.map(|mhz| " at ".to_owned() + &metric(MetricUnit::Megahertz, mhz.into()));
    Some(used + &count.unwrap_or_default() + &speed.unwrap_or_default())
}

fn load(node: &NodeJson) -> Option<String> {
    let loads = [node.host.load_1?, node.host.load_5?, node.host.load_15?];
    Some(loads.map(format::fixed2).join("  "))
}

fn memory(node: &NodeJson) -> Option<String> {
    used(node.memory_percent?, node.host.memory_total_bytes.map(|total| format::memory(total as f64)))
}

fn disk(node: &NodeJson) -> Option<String> {
    let used = used(node.disk_percent?, node.host.disk_total_bytes.map(|total| format::bytes(total as f64)))?;
    // The root needs no name.
    Some(match &node.disk_path {
        Some(path) => used + " at " + path,
        None => used,
    })
}

fn used(percent: f64, total: Option<String>) -> Option<String> {
    let total = total.map(|total| " of ".to_owned() + &total);
    Some(format::percent(Some(percent)) + &total.unwrap_or_default())
}

fn errors(node: &NodeJson) -> Option<String> {
    let (errors, drops) = (node.host.network_errors?, node.host.network_drops?);
    Some(format::count(errors) + ", " + &format::count(drops))
}
