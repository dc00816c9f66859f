//! Compares expected and actual values.

use std::{collections::BTreeMap, fmt};

use tidemap_wire::{Bps, http::NodeJson};

use super::Expected;

/// A node whose values differ from the expected ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The node.
    pub node: String,
    /// What differs, with both values.
    pub differences: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.node, self.differences.join(", "))
    }
}

/// The nodes whose averages or totals differ from the expected ones in any bit. Nodes without expected values
/// are ignored.
pub fn compare(expected: &BTreeMap<String, Expected>, seen: &[NodeJson]) -> Vec<Mismatch> {
    let seen: BTreeMap<&str, &NodeJson> = seen.iter().map(|node| (node.name.as_str(), node)).collect();
    let mismatch = |(node, expected): (&String, &Expected)| {
        let differences = match seen.get(node.as_str()) {
            Some(seen) => differences(expected, seen),
            None => vec!["it is missing".to_owned()],
        };
        (!differences.is_empty()).then(|| Mismatch { node: node.clone(), differences })
    };
    expected.iter().filter_map(mismatch).collect()
}

fn differences(expected: &Expected, seen: &NodeJson) -> Vec<String> {
    let rx = [
        seen.network_rx_bytes_per_sec_avg_10s,
        seen.network_rx_bytes_per_sec_avg_1m,
        seen.network_rx_bytes_per_sec_avg_5m,
        seen.network_rx_bytes_per_sec_avg_15m,
    ];
    let tx = [
        seen.network_tx_bytes_per_sec_avg_10s,
        seen.network_tx_bytes_per_sec_avg_1m,
        seen.network_tx_bytes_per_sec_avg_5m,
        seen.network_tx_bytes_per_sec_avg_15m,
    ];
    let mut differences = Vec::new();
    for (direction, expected, seen) in [("rx", expected.rx_avg, rx), ("tx", expected.tx_avg, tx)] {
        for ((window, expected), seen) in ["10s", "1m", "5m", "15m"].into_iter().zip(expected).zip(seen) {
            let seen = seen.map(Bps::get);
            if expected.map(f64::to_bits) != seen.map(f64::to_bits) {
                differences.push(format!("{direction} {window} is {seen:?}, not {expected:?}"));
            }
        }
    }
    for (direction, expected, seen) in [
        ("rx", expected.rx_total, seen.network_rx_bytes_total),
        ("tx", expected.tx_total, seen.network_tx_bytes_total),
    ] {
        if expected != seen {
            differences.push(format!("{direction} total is {seen}, not {expected}"));
        }
    }
    differences
}
