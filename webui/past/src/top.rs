//! Which nodes moved most.

use tidemap_parts::value::{Invalid, Text, Value};
use tidemap_wire::http::{TopJson, TopNodeJson};

/// A node's mean rates over a time.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanRates {
    /// The node's name.
    pub name: String,
    /// Download, bytes per second.
    pub rx_bps: f64,
    /// Upload.
    pub tx_bps: f64,
}

/// Reads the answer.
///
/// # Errors
///
/// When it is not such an answer.
pub fn read(text: &Text) -> Result<TopJson, Invalid> {
    let value = Value::parse(text)?;
    Ok(TopJson {
        from_ms: value.get("from_ms").signed()?,
        to_ms: value.get("to_ms").signed()?,
        complete_until_ms: value.get("complete_until_ms").signed()?,
        nodes: value.get("nodes").list(node)?,
    })
}

fn node(value: &Value) -> Result<TopNodeJson, Invalid> {
    Ok(TopNodeJson {
        node: value.get("node").text()?,
        display_name: value.get("display_name").or_null(Value::text)?,
        rx_bytes: value.get("rx_bytes").whole()?,
        tx_bytes: value.get("tx_bytes").whole()?,
        covered_ms: value.get("covered_ms").whole()?,
        // A server of an earlier version tells none.
        rx_max_bps: value.get("rx_max_bps").or_null(Value::whole).unwrap_or(None),
        tx_max_bps: value.get("tx_max_bps").or_null(Value::whole).unwrap_or(None),
    })
}

/// Every node's mean over the same time, so that means of groups are sums of those of their nodes: that in
/// which the node was heard that was heard longest. Ordered by the names' bytes.
pub fn mean_rates(top: &TopJson) -> Vec<MeanRates> {
    let longest_ms = top.nodes.iter().map(|node| node.covered_ms).max().unwrap_or_default();
    let rate = |bytes: u64| if longest_ms > 0 { bytes as f64 / longest_ms as f64 * 1000.0 } else { 0.0 };
    let rates = |node: &TopNodeJson| MeanRates {
        name: node.node.clone(),
        rx_bps: rate(node.rx_bytes),
        tx_bps: rate(node.tx_bytes),
    };
    let mut all: Vec<MeanRates> = top.nodes.iter().map(rates).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top() -> TopJson {
        let node = |name: &str, rx_bytes, tx_bytes, covered_ms| TopNodeJson {
            node: name.to_owned(),
            display_name: None,
            rx_bytes,
            tx_bytes,
            covered_ms,
            rx_max_bps: None,
            tx_max_bps: Some(7),
        };
        TopJson {
            from_ms: 0,
            to_ms: 3_600_000,
            complete_until_ms: 9,
            nodes: vec![node("b", 9_000, 0, 1_000_000), node("A<b>", 3_000, 1_000, 500_000)],
        }
    }

    #[test]
    fn an_answer_is_read_as_the_api_writes_it() {
        let mut meant = top();
        meant.nodes[0].display_name = Some("Bé".to_owned());
        assert_eq!(read(&serde_json::to_string(&meant).unwrap()), Ok(meant));
        assert!(read("{}").is_err());
    }

    #[test]
    fn all_means_are_over_the_same_time_and_in_the_order_of_names() {
        let found: Vec<_> =
            mean_rates(&top()).into_iter().map(|mean| (mean.name, mean.rx_bps, mean.tx_bps)).collect();
        assert_eq!(found, [("A<b>".to_owned(), 3.0, 1.0), ("b".to_owned(), 9.0, 0.0)]);
        assert!(mean_rates(&TopJson::default()).is_empty());
    }
}
