//! The subjects on the broker: a function that builds each, and one that parses it where a receiver needs it.

use crate::{AlertChange, EventKind, NodeId, NodeIdError, Partition, PartitionCount, Slot};

/// Everything that Tidemap publishes.
pub const ALL: &str = "tidemap.v1.>";
/// All samples of all nodes.
pub const ALL_SAMPLES: &str = "tidemap.v1.sample.>";
/// The queue group in which relays share the reports of one server.
pub const RELAYS: &str = "relays";
/// All packs of all relays.
pub const ALL_PACKS: &str = "tidemap.v1.pack.>";
/// All deltas of all partitions.
pub const ALL_DELTAS: &str = "tidemap.v1.delta.*";
/// All totals of all partitions.
pub const ALL_STATS: &str = "tidemap.v1.stats.*";
/// All events of all nodes.
pub const ALL_EVENTS: &str = "tidemap.v1.event.*.*";

/// All minutes of all nodes.
pub const ALL_MINUTES: &str = "tidemap.v1.history.minutes.>";

/// All notices of all alert rules.
pub const ALL_ALERTS: &str = "tidemap.v1.alert.>";

/// What other programs may read, as their permissions name it: all deltas, totals, events, minutes and
/// notices of alerts.
pub const READABLE: [&str; 5] =
    ["tidemap.v1.delta.>", "tidemap.v1.stats.>", "tidemap.v1.event.>", ALL_MINUTES, ALL_ALERTS];

/// Where a node's reports go: `tidemap.v1.sample.<slot>.<node>`.
pub fn sample(node: &NodeId) -> String {
    format!("{SAMPLE}{}.{node}", Slot::of(node))
}

/// The subject of a node's reports with placeholders for its slot and its name, which the broker fills in for
/// each user: `tidemap.v1.sample.<slot>.<node>`.
pub fn sample_template(slot: &str, node: &str) -> String {
    format!("{SAMPLE}{slot}.{node}")
}

/// All samples of one slot, as a stream captures them: `tidemap.v1.sample.<slot>.*`.
pub fn samples_of(slot: Slot) -> String {
    format!("{SAMPLE}{slot}.*")
}

/// The slot and the node's token in a sample's subject. Does not check whether the token is a node's name or
/// belongs to the slot.
pub fn parts_of_sample(subject: &str) -> Option<(Slot, &str)> {
    slot_and_token(subject.strip_prefix(SAMPLE)?)
}

/// The node that a sample's subject names; `None` when it is no sample's subject or names the wrong slot.
pub fn node_of_sample(subject: &str) -> Option<NodeId> {
    let (slot, token) = parts_of_sample(subject)?;
    NodeId::from_token(token).ok().filter(|node| Slot::of(node) == slot)
}

/// Where a relay's packs of a slot go: `tidemap.v1.pack.<slot>.<relay>`. A relay's name follows the rules of
/// a node's.
pub fn pack(slot: Slot, relay: &NodeId) -> String {
    format!("{PACK}{slot}.{relay}")
}

/// All packs of one slot, as a stream captures them: `tidemap.v1.pack.<slot>.*`.
pub fn packs_of(slot: Slot) -> String {
    format!("{PACK}{slot}.*")
}

/// All packs of one relay, as its permissions name them: `tidemap.v1.pack.*.<relay>`.
pub fn packs_by(relay: &NodeId) -> String {
    format!("{PACK}*.{relay}")
}

/// The prefix of the subjects on which a relay receives the acknowledgements of its packs. No node's inbox
/// has this prefix.
pub fn relay_inbox(relay: &NodeId) -> String {
    format!("_RELAY.{relay}")
}

/// The slot that a pack's subject names; `None` when it is no pack's subject.
pub fn slot_of_pack(subject: &str) -> Option<Slot> {
    slot_and_token(subject.strip_prefix(PACK)?).map(|(slot, _)| slot)
}

/// Whether this is the subject of packs, of one relay or of several.
pub fn is_pack(subject: &str) -> bool {
    subject.starts_with(PACK)
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

/// Where a rule's notices go: `tidemap.v1.alert.<change>.<rule>`. The rule's name follows the rules of a
/// node's.
///
/// # Errors
///
/// When no token can be made of the rule's name.
pub fn alert(change: AlertChange, rule: &str) -> Result<String, NodeIdError> {
    Ok(format!("tidemap.v1.alert.{change}.{}", NodeId::from_name(rule)?))
}

/// Where a partition's owner answers a [`crate::SnapshotRequest`]: `tidemap.v1.rpc.snapshot.<k>`.
pub fn snapshot(partition: Partition) -> String {
    format!("tidemap.v1.rpc.snapshot.{partition}")
}

/// Where a partition's owner answers a [`crate::ForgetRequest`]: `tidemap.v1.rpc.forget.<k>`.
pub fn forget(partition: Partition) -> String {
    format!("tidemap.v1.rpc.forget.{partition}")
}

/// Where an ingest worker answers with its status: `tidemap.v1.rpc.worker.<id>`.
pub fn worker_status(worker: &str) -> String {
    format!("tidemap.v1.rpc.worker.{worker}")
}

/// Where the history stations answer a [`crate::history_query::HistoryRequest`].
pub const HISTORY: &str = "tidemap.v1.rpc.history";
/// Where every one of them answers a [`crate::HistoryForgetRequest`].
pub const HISTORY_FORGET: &str = "tidemap.v1.rpc.history.forget";
/// Where each of them publishes its [`crate::history_query::StationStanding`].
pub const HISTORY_PEERS: &str = "tidemap.v1.rpc.history.peers";
/// Where an enroller answers a [`crate::JoinRequest`].
pub const ENROLL: &str = "tidemap.v1.rpc.enroll";
/// The queue group in which enrollers share the requests.
pub const ENROLLERS: &str = "enrollers";
/// The queue group in which history stations share the requests.
pub const HISTORY_STATIONS: &str = "history";

/// Where an owner tells the minutes of a part of a slot's nodes:
/// `tidemap.v1.history.minutes.<slot>.<of>.<index>`, where `index` is which of `of` parts it is.
pub fn minutes(slot: Slot, of: u16, index: u16) -> String {
    format!("{MINUTES}{slot}.{of}.{index}")
}

/// Where an owner tells what groups of its partition's nodes moved by the second:
/// `tidemap.v1.history.minutes.groups.<P>.<k>`.
pub fn group_seconds(partitions: PartitionCount, partition: Partition) -> String {
    format!("{MINUTES}groups.{partitions}.{partition}")
}

/// The subject of a stream that is closed to reports: nobody publishes there.
pub fn closed(partition: Partition) -> String {
    format!("{CLOSED}{partition}")
}

/// Whether a stream with this subject is closed to reports.
pub fn is_closed(subject: &str) -> bool {
    subject.starts_with(CLOSED)
}

const SAMPLE: &str = "tidemap.v1.sample.";
const PACK: &str = "tidemap.v1.pack.";
const MINUTES: &str = "tidemap.v1.history.minutes.";
const CLOSED: &str = "tidemap.v1.closed.";

fn slot_and_token(tail: &str) -> Option<(Slot, &str)> {
    // By bytes: this runs for every message, and searching three digits as text is not faster.
    let point = tail.bytes().position(|byte| byte == b'.')?;
    let (written, token) = (&tail[..point], &tail[point + 1..]);
    let slot: Slot = written.parse().ok()?;
    // Only the canonical form is accepted: no leading zeros, no plus sign.
    let is_canonical = !written.starts_with('+') && (written == "0" || !written.starts_with('0'));
    is_canonical.then_some((slot, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_subject_names_its_node() {
        let node = NodeId::from_name("web-01.example.com").unwrap();
        let subject = sample(&node);
        assert_eq!(subject, "tidemap.v1.sample.92.web-01=2Eexample=2Ecom");
        assert_eq!(node_of_sample(&subject), Some(node));
    }

    #[test]
    fn a_rules_name_is_one_token_of_its_subject() {
        let subject = alert(AlertChange::Fired, "Uplink > 80 %").unwrap();
        assert_eq!(subject, "tidemap.v1.alert.fired.uplink=20=3E=2080=20=25");
        assert!(alert(AlertChange::Resolved, "").is_err());
    }

    #[test]
    fn subjects_of_packs_and_samples_are_not_confused() {
        let node = NodeId::from_name("edge-1").unwrap();
        let packed = pack(Slot::of(&node), &node);
        assert_eq!(packed, format!("tidemap.v1.pack.{}.edge-1", Slot::of(&node)));
        assert_eq!(slot_of_pack(&packed), Some(Slot::of(&node)));
        assert_eq!((parts_of_sample(&packed), slot_of_pack(&sample(&node))), (None, None));
        for bad in
            ["tidemap.v1.pack.256.a", "tidemap.v1.pack.07.a", "tidemap.v1.pack.7", "tidemap.v1.pack.a.7"]
        {
            assert_eq!(slot_of_pack(bad), None, "{bad}");
        }
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
