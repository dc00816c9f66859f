//! One node in full: what `GET /api/nodes/{name}` says, ready to be written.

mod facts;

use tidemap_format::Unit;
use tidemap_wire::Bps;

use crate::json::NodeAnswer;

pub use facts::{Fact, HOST, IDENTITY};

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
        let text = |label| {
            let fact = IDENTITY.iter().chain(&HOST).find(|fact| fact.label == label).unwrap();
            (fact.text)(&answer.node)
        };
        assert_eq!(text("Place").as_deref(), Some("Oslo (by time zone)"));
        assert_eq!(text("Labels").as_deref(), Some("rack=7, role=edge"));
        assert_eq!(text("Memory").as_deref(), Some("50 % of 16.0 GiB"));
        assert_eq!(text("Up for").as_deref(), Some("12 d 4 h"));
        assert_eq!(text("Temperature"), None);
    }
}
