//! One node in full: what `GET /api/nodes/{name}` says, ready to be written.

mod facts;

use serde::Deserialize;
use tidemap_wire::Series;
use tidemap_wire::http::{InterfaceJson, NodeJson};

use crate::format::Unit;
use crate::json::{self, Invalid};

pub use facts::{Fact, HOST, IDENTITY};

/// A node in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The node.
    pub node: NodeJson,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceJson>,
    /// The last minute by the second; unknown when ingest could not be asked.
    pub last_60s: Option<Series>,
    /// The last 15 minutes by quarters of a minute, likewise.
    pub last_15m: Option<Series>,
}

/// The window of an average, and its name.
pub const WINDOWS: [&str; 5] = ["Now", "10 s", "1 min", "5 min", "15 min"];

/// What the answer holds beside the node's own fields.
#[derive(Deserialize)]
struct Rest {
    interfaces: Vec<InterfaceJson>,
    last_60s: Option<Series>,
    last_15m: Option<Series>,
}

impl Detail {
    /// Reads the answer. It is read twice, each time for a part of its fields: one reading of flattened fields would
    /// cost a tenth of the whole page's size.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let node = json::read(text)?;
        let Rest { interfaces, last_60s, last_15m } = json::read(text)?;
        Ok(Self { node, interfaces, last_60s, last_15m })
    }

    /// Download now and over each window, in the reader's unit.
    pub fn download(&self, unit: Unit) -> [String; 5] {
        let node = &self.node;
        [
            node.network_rx_bytes_per_sec,
            node.network_rx_bytes_per_sec_avg_10s,
            node.network_rx_bytes_per_sec_avg_1m,
            node.network_rx_bytes_per_sec_avg_5m,
            node.network_rx_bytes_per_sec_avg_15m,
        ]
        .map(|rate| unit.bare(rate.map(|rate| rate.get())))
    }

    /// Upload, likewise.
    pub fn upload(&self, unit: Unit) -> [String; 5] {
        let node = &self.node;
        [
            node.network_tx_bytes_per_sec,
            node.network_tx_bytes_per_sec_avg_10s,
            node.network_tx_bytes_per_sec_avg_1m,
            node.network_tx_bytes_per_sec_avg_5m,
            node.network_tx_bytes_per_sec_avg_15m,
        ]
        .map(|rate| unit.bare(rate.map(|rate| rate.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemap_wire::http::NodeDetailJson;

    const ANSWER: &str = include_str!("detail/answer.json");

    #[test]
    fn an_answer_reads_as_the_api_means_it() {
        let detail = Detail::parse(ANSWER).unwrap();
        let meant: NodeDetailJson = serde_json::from_str(ANSWER).unwrap();
        assert_eq!(detail.node, meant.node);
        assert_eq!((detail.interfaces, detail.last_60s), (meant.interfaces, meant.last_60s));
        assert_eq!(detail.last_15m, None);
    }

    #[test]
    fn rates_are_listed_from_now_to_the_longest_window() {
        let detail = Detail::parse(ANSWER).unwrap();
        assert_eq!(detail.download(Unit::MegaBytes), ["12.50", "11.00", "10.00", "–", "–"]);
        assert_eq!(detail.upload(Unit::MegaBytes), ["0.00", "0.01", "–", "–", "–"]);
    }

    #[test]
    fn facts_that_are_not_known_are_not_written() {
        let detail = Detail::parse(ANSWER).unwrap();
        let text = |label| {
            let fact = IDENTITY.iter().chain(&HOST).find(|fact| fact.label == label).unwrap();
            (fact.text)(&detail.node)
        };
        assert_eq!(text("Place").as_deref(), Some("Oslo (by time zone)"));
        assert_eq!(text("Labels").as_deref(), Some("rack=7, role=edge"));
        assert_eq!(text("Memory").as_deref(), Some("50 % of 16.0 GiB"));
        assert_eq!(text("Up for").as_deref(), Some("12 d 4 h"));
        assert_eq!(text("Temperature"), None);
    }
}
