//! Facts about a node, each a label and a text.

use tidemap_format::{self as format, Unit};
use tidemap_wire::LocationSource;
use tidemap_wire::http::NodeJson;

/// One line of a list of facts.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// What it is about.
    pub label: &'static str,
    /// What is known; absent when nothing is.
    pub text: fn(&NodeJson) -> Option<String>,
}

/// Who and where the node is.
pub const IDENTITY: [Fact; 16] = [
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
    Fact {
        label: "Averages",
        text: |node| node.averages_partial.then(|| "partial: reports were lost".to_owned()),
    },
    Fact { label: "Received in all", text: |node| Some(format::bytes(node.network_rx_bytes_total as f64)) },
    Fact { label: "Sent in all", text: |node| Some(format::bytes(node.network_tx_bytes_total as f64)) },
];

/// What its host is doing.
pub const HOST: [Fact; 12] = [
    Fact { label: "Processors", text: processors },
    Fact { label: "Load", text: load },
    Fact { label: "Memory", text: memory },
    Fact { label: "Swap", text: |node| node.swap_percent.map(|swap| format::percent(Some(swap))) },
    Fact { label: "Disk", text: disk },
    Fact {
        label: "Disk read",
        text: |node| Some(Unit::Auto.full(Some(node.disk_read_bytes_per_sec?.get()))),
    },
    Fact {
        label: "Disk written",
        text: |node| Some(Unit::Auto.full(Some(node.disk_write_bytes_per_sec?.get()))),
    },
    Fact { label: "Temperature", text: |node| Some(format::fixed(node.temperature_c?, 0) + " °C") },
    Fact { label: "Fan", text: |node| Some(format::count(node.fan_rpm?.into()) + " rpm") },
    Fact { label: "Processes", text: |node| Some(format::count(node.processes?.into())) },
    Fact { label: "Errors, drops", text: errors },
    Fact { label: "Up for", text: |node| node.uptime_s.map(format::duration) },
];

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

fn clock(node: &NodeJson) -> Option<String> {
    Some(match node.clock_skew_ms {
        -999..=999 => "in step".to_owned(),
        skew @ 1000.. => seconds(skew) + " ahead",
        skew => seconds(skew.saturating_neg()) + " behind",
    })
}

fn processors(node: &NodeJson) -> Option<String> {
    let used = format::percent(Some(node.cpu_percent?));
    let count = node.cpu_count.map(|count| " of ".to_owned() + &count.to_string());
    let speed =
        node.cpu_mhz.map(|mhz| " at ".to_owned() + &format::fixed(f64::from(mhz) / 1000.0, 1) + " GHz");
    Some(used + &count.unwrap_or_default() + &speed.unwrap_or_default())
}

fn load(node: &NodeJson) -> Option<String> {
    let loads = [node.load_1?, node.load_5?, node.load_15?];
    Some(loads.map(format::fixed2).join("  "))
}

fn memory(node: &NodeJson) -> Option<String> {
    used(node.memory_percent?, node.memory_total_bytes.map(|total| format::memory(total as f64)))
}

fn disk(node: &NodeJson) -> Option<String> {
    used(node.disk_percent?, node.disk_total_bytes.map(|total| format::bytes(total as f64)))
}

fn used(percent: f64, total: Option<String>) -> Option<String> {
    let total = total.map(|total| " of ".to_owned() + &total);
    Some(format::percent(Some(percent)) + &total.unwrap_or_default())
}

fn errors(node: &NodeJson) -> Option<String> {
    let (errors, drops) = (node.network_errors?, node.network_drops?);
    Some(format::count(errors) + ", " + &format::count(drops))
}
