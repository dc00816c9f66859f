//! One node in full: the answer of `GET /api/nodes/{name}`, as texts.

mod facts;

use tidemap_format::Unit;
use tidemap_wire::Bps;

use crate::json::NodeAnswer;

pub use facts::{host, identity};

/// Download now and over each window, in the reader's unit.
pub fn download(answer: &NodeAnswer, unit: Unit) -> [String; 5] {
    let node = &answer.node;
    [
        node.network_rx_bytes_per_sec,
        node.network_rx_bytes_per_sec_avg_10s,
        node.network_rx_bytes_per_sec_avg_1m,
        node.network_rx_bytes_per_sec_avg_5m,
        node.network_rx_bytes_per_sec_avg_15m,
    ]
    .map(|rate| unit.bare(rate.map(Bps::get)))
}

/// Upload, likewise.
pub fn upload(answer: &NodeAnswer, unit: Unit) -> [String; 5] {
    let node = &answer.node;
    [
        node.network_tx_bytes_per_sec,
        node.network_tx_bytes_per_sec_avg_10s,
        node.network_tx_bytes_per_sec_avg_1m,
        node.network_tx_bytes_per_sec_avg_5m,
        node.network_tx_bytes_per_sec_avg_15m,
    ]
    .map(|rate| unit.bare(rate.map(Bps::get)))
}

#[cfg(test)]
mod tests {
    use tidemap_wire::{METRICS, MetricValue};

    use super::*;
    use crate::json;

    fn answer() -> NodeAnswer {
        json::node(include_str!("detail/answer.json")).unwrap()
    }

    #[test]
    fn rates_are_listed_from_now_to_the_longest_window() {
        let answer = answer();
        assert_eq!(download(&answer, Unit::MegaBytes), ["12.50", "11.00", "10.00", "–", "–"]);
        assert_eq!(upload(&answer, Unit::MegaBytes), ["0.00", "0.01", "–", "–", "–"]);
    }

    #[test]
    fn facts_that_are_not_known_are_not_written() {
        let answer = answer();
        let facts = [identity(&answer.node), host(&answer)].concat();
        let text = |label: &str| facts.iter().find(|fact| fact[0] == label).map(|fact| fact[1].as_str());
        assert_eq!(text("Place"), Some("Oslo (by time zone)"));
        assert_eq!(text("Labels"), Some("rack=7, role=edge"));
        assert_eq!(text("Memory"), Some("50 % of 16.0 GiB"));
        assert_eq!(text("Up for"), Some("12 d 4 h"));
        assert_eq!((text("Temperature"), text("Links"), text("Round trip")), (None, None, None));
    }

    #[test]
    fn use_of_the_links_is_written_with_what_they_carry() {
        let mut answer = answer();
        let links = |answer: &NodeAnswer| {
            let facts = host(answer);
            facts.iter().find(|fact| fact[0] == "Links").map(|fact| fact[1].clone()).unwrap()
        };
        answer.capacity = [Bps::new(62_500_000.0), Bps::new(187_500.0)];
        answer.node.network_rx_utilisation_percent = Some(80.4);
        assert_eq!(links(&answer), "↓ 80 %, ↑ – of 500/1.5 Mbit/s");
        answer.node.network_tx_utilisation_percent = Some(120.0);
        answer.capacity = [Bps::new(312_500_000.0), Bps::new(1.25e9)];
        assert_eq!(links(&answer), "↓ 80 %, ↑ 120 % of 2,500/10,000 Mbit/s");
    }

    #[test]
    fn every_metric_is_written_once_known() {
        let mut answer = answer();
        for metric in METRICS {
            assert!(answer.node.host.set(metric.id, MetricValue::Whole(1)), "{}", metric.name);
        }
        (answer.node.swap_percent, answer.node.disk_percent) = (Some(1.0), Some(1.0));
        let facts = host(&answer);
        let labels: Vec<&str> = facts.iter().map(|fact| fact[0].as_str()).collect();
        let (first, rest) = labels.split_at(5);
        let (alone, last) = rest.split_at(rest.len() - 3);
        assert_eq!(first, ["Processors", "Load", "Memory", "Swap", "Disk"]);
        assert_eq!(last, ["Round trip", "Errors, drops", "Up for"]);
        // Of the 22 that have no line of their own, 18 are written in these eight; the sums of the other four
        // are among them.
        assert_eq!(alone.len(), METRICS.len() - 22);
        for label in alone {
            assert!(METRICS.iter().any(|metric| metric.label == *label), "{label}");
        }
        let text = |label: &str| facts.iter().find(|fact| fact[0] == label).map(|fact| fact[1].as_str());
        assert_eq!(text("Round trip"), Some("1.00 ms, 99 % in 1.00 ms, 1 % lost"));
        assert_eq!((text("Fan"), text("Temperature")), (Some("1 rpm"), Some("1 °C")));
        assert_eq!(text("Disk"), Some("1 % of 1 B at /mnt/data"));
        assert_eq!(text("Container processors"), Some("1"));
        answer.node.host.container_cpu_limit = Some(0.5);
        let facts = host(&answer);
        assert!(facts.contains(&vec!["Container processors".to_owned(), "0.50".to_owned()]));
    }
}
