//! One node as JSON.

use tidemap_client::Node;
use tidemap_wire::{
    Hello, Location,
    http::{InterfaceJson, NodeDetailJson, NodeJson, ProbeJson},
};

/// The age of something, at least 0, because broker time is an estimate.
fn age_ms(now_ms: i64, then_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms)).unwrap_or(0)
}

/// The node as lists show it. `redacted` leaves out what its host keeps to itself.
pub(crate) fn summary(node: &Node, at_ms: i64, redacted: bool) -> NodeJson {
    let latest = node.latest();
    let age_ms = age_ms(at_ms, latest.seen_ms);
    let none = Hello::default();
    let hello = node.hello().map_or(&none, |hello| hello);
    let private = |text: &Option<String>| text.clone().filter(|_| !redacted);
    let place = hello.location.as_ref();
    let host = node.host().cloned().unwrap_or_default();
    let capacity = hello.capacity();
    NodeJson {
        name: node.name(),
        display_name: node.display_name(),
        hostname: private(&known(&hello.hostname)),
        internal_ip: private(&hello.internal_ip),
        external_ip: private(&hello.external_ip),
        lat: place.map(|Location { lat, .. }| *lat),
        lon: place.map(|Location { lon, .. }| *lon),
        location: place.and_then(|place| place.label.clone()),
        location_source: place.map(|place| place.source),
        provider: hello.provider.clone(),
        status: node.status(),
        status_for_s: self::age_ms(at_ms, node.status_since_ms()) / 1000,
        network_tx_bytes_per_sec: latest.tx_bps,
        network_rx_bytes_per_sec: latest.rx_bps,
        network_tx_bytes_per_sec_avg_10s: latest.tx_avg.s10,
        network_tx_bytes_per_sec_avg_1m: latest.tx_avg.m1,
        network_tx_bytes_per_sec_avg_5m: latest.tx_avg.m5,
        network_tx_bytes_per_sec_avg_15m: latest.tx_avg.m15,
        network_rx_bytes_per_sec_avg_10s: latest.rx_avg.s10,
        network_rx_bytes_per_sec_avg_1m: latest.rx_avg.m1,
        network_rx_bytes_per_sec_avg_5m: latest.rx_avg.m5,
        network_rx_bytes_per_sec_avg_15m: latest.rx_avg.m15,
        network_tx_utilisation_percent: capacity.zip(latest.tx_bps).map(|(link, rate)| link.tx_percent(rate)),
        network_rx_utilisation_percent: capacity.zip(latest.rx_bps).map(|(link, rate)| link.rx_percent(rate)),
        averages_partial: latest.partial,
        network_tx_bytes_total: latest.tx_bytes,
        network_rx_bytes_total: latest.rx_bytes,
        last_seen_timestamp: latest.seen_ms as f64 / 1000.0,
        last_seen: in_words(age_ms),
        age_ms,
        interval_ms: latest.interval_ms,
        clock_skew_ms: latest.skew_ms,
        labels: hello.labels.clone(),
        os: private(&hello.os),
        kernel: private(&hello.kernel),
        arch: hello.arch.clone(),
        agent_version: private(&known(&hello.agent_version)),
        memory_percent: host.memory_percent(),
        swap_percent: host.swap_percent(),
        disk_percent: host.disk_percent(),
        host,
        lost_samples: hello.lost_samples,
        disk_path: private(&hello.disk_path),
        refused_reports: latest.refused.as_ref().map(|refused| refused.count),
        refused_reason: latest.refused.as_ref().filter(|_| !redacted).map(|refused| refused.reason.clone()),
    }
}

/// The node with its interfaces, without its history.
pub(crate) fn detail(node: &Node, at_ms: i64, redacted: bool) -> NodeDetailJson {
    let inventory = node.hello().map(|hello| hello.interfaces.as_slice()).unwrap_or_default();
    let mut interfaces: Vec<InterfaceJson> =
        inventory.iter().map(|interface| InterfaceJson::new(interface, node.interfaces())).collect();
    if redacted {
        for (number, interface) in interfaces.iter_mut().enumerate() {
            interface.name = format!("interface {}", number + 1);
            interface.addresses.clear();
            // It may name other interfaces.
            interface.reason.clear();
        }
    }
    let mut probes: Vec<ProbeJson> = node.probes().iter().map(ProbeJson::from).collect();
    if redacted {
        for (number, probe) in probes.iter_mut().enumerate() {
            probe.target = format!("probe {}", number + 1);
            // It may name the host.
            probe.failure = None;
        }
    }
    let capacity = node.hello().and_then(|hello| hello.capacity());
    NodeDetailJson {
        probes,
        network_tx_capacity_bytes_per_sec: capacity.map(|capacity| capacity.tx_bps),
        network_rx_capacity_bytes_per_sec: capacity.map(|capacity| capacity.rx_bps),
        node: summary(node, at_ms, redacted),
        interfaces,
        unlisted_interfaces: node.hello().map_or(0, |hello| hello.unlisted_interfaces),
        last_60s: None,
        last_15m: None,
    }
}

fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn in_words(age_ms: u64) -> String {
    match age_ms / 1000 {
        seconds @ 0..60 => format!("{seconds}s ago"),
        seconds @ 60..3600 => format!("{}m ago", seconds / 60),
        seconds => format!("{}h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_in_the_largest_whole_unit() {
        for (age_ms, words) in [
            (0, "0s ago"),
            (59_999, "59s ago"),
            (60_000, "1m ago"),
            (3_599_999, "59m ago"),
            (3_600_000, "1h ago"),
            (172_800_000, "48h ago"),
        ] {
            assert_eq!(in_words(age_ms), words);
        }
    }
}
