//! The subjects of the broker: one function for each, and the way back where a receiver needs it.

use crate::{EventKind, NodeId, Partition, Slot};

/// All samples of all nodes.
pub const ALL_SAMPLES: &str = "tidemap.v1.sample.>";
/// All deltas of all partitions.
pub const ALL_DELTAS: &str = "tidemap.v1.delta.*";
/// All totals of all partitions.
pub const ALL_STATS: &str = "tidemap.v1.stats.*";
/// All events of all nodes.
pub const ALL_EVENTS: &str = "tidemap.v1.event.*.*";

/// Where a node's reports go: `tidemap.v1.sample.<slot>.<node>`.
pub fn sample(node: &NodeId) -> String {
    format!("tidemap.v1.sample.{}.{node}", Slot::of(node))
}

/// All samples of one slot, as a stream captures them: `tidemap.v1.sample.<slot>.*`.
pub fn samples_of(slot: Slot) -> String {
    format!("tidemap.v1.sample.{slot}.*")
}

/// Whether a subject is the one of this node's samples.
pub fn is_sample_of(subject: &str, node: &NodeId) -> bool {
    let Some((slot, token)) =
        subject.strip_prefix("tidemap.v1.sample.").and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    token == node.as_str() && is_written(slot, Slot::of(node))
}

/// Whether a token is this slot.
fn is_written(text: &str, slot: Slot) -> bool {
    // Compared as a number, but written one way only: no leading zeros, no plus sign.
    text.parse() == Ok(slot) && !text.starts_with('+') && (text == "0" || !text.starts_with('0'))
}

/// The node that a sample's subject names; `None` when it is no sample's subject or names the wrong slot.
pub fn node_of_sample(subject: &str) -> Option<NodeId> {
    let (slot, token) = subject.strip_prefix("tidemap.v1.sample.")?.split_once('.')?;
    let node = NodeId::from_token(token).ok()?;
    is_written(slot, Slot::of(&node)).then_some(node)
}

/// Where a partition's changes go: `tidemap.v1.delta.<k>`.
pub fn delta(partition: Partition) -> String {
    format!("tidemap.v1.delta.{partition}")
}

/// Where a partition's totals go: `tidemap.v1.stats.<k>`.
pub fn stats(partition: Partition) -> String {
    format!("tidemap.v1.stats.{partition}")
}

/// Where a node's events go: `tidemap.v1.event.<kind>.<node>`.
pub fn event(kind: EventKind, node: &NodeId) -> String {
    format!("tidemap.v1.event.{kind}.{node}")
}

/// Where a partition's owner answers a [`crate::SnapshotRequest`]: `tidemap.v1.rpc.snapshot.<k>`.
pub fn snapshot(partition: Partition) -> String {
    format!("tidemap.v1.rpc.snapshot.{partition}")
}

/// Where a partition's owner answers a [`crate::ForgetRequest`]: `tidemap.v1.rpc.forget.<k>`.
pub fn forget(partition: Partition) -> String {
    format!("tidemap.v1.rpc.forget.{partition}")
}

/// What a partition's stream listens to when it shall take no more: nobody speaks there.
pub fn closed(partition: Partition) -> String {
    format!("{CLOSED}{partition}")
}

/// Whether a stream that listens to this subject is closed.
pub fn is_closed(subject: &str) -> bool {
    subject.starts_with(CLOSED)
}

const CLOSED: &str = "tidemap.v1.closed.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_subject_leads_back_to_its_node() {
        let node = NodeId::from_name("web-01.example.com").unwrap();
        let subject = sample(&node);
        assert_eq!(subject, "tidemap.v1.sample.92.web-01=2Eexample=2Ecom");
        assert_eq!(node_of_sample(&subject), Some(node));
    }

    #[test]
    fn a_subject_with_a_wrong_slot_or_shape_names_no_node() {
        for bad in [
            "tidemap.v1.sample.136.web-01",
            "tidemap.v1.sample.0135.web-01",
            "tidemap.v1.sample.+135.web-01",
            "tidemap.v1.sample.web-01",
            "tidemap.v1.sample.135.web-01.x",
            "tidemap.v1.sample.135.",
            "tidemap.v1.sample.999.a",
            "tidemap.v2.sample.135.web-01",
            "",
        ] {
            assert_eq!(node_of_sample(bad), None, "{bad}");
        }
    }
}
