//! An operator's request to forget a node: request and reply on `tidemap.v1.rpc.forget.<k>`, and its history:
//! request on `tidemap.v1.rpc.history.forget`, two replies of each station.

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// Asks a partition's owner to forget a node. One that still reports joins again with its next report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForgetRequest {
    /// The node.
    pub node: NodeId,
}

/// The owner's answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForgetReply {
    /// Whether the node was known.
    pub known: bool,
    /// Sequence number of the newest message of the partition's log that the owner has applied: the node may
    /// come back with a later one. `None` from an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}

/// Asks every history station to remove a node. What it moved stays in the sums of groups; one that still
/// reports begins again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryForgetRequest {
    /// The node.
    pub node: NodeId,
}

/// A station's answer: one when it begins, one when it has done it, which may take seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryForgetReply {
    /// A number that this run of the station has chosen.
    pub station: u64,
    /// How far it is.
    pub outcome: HistoryForgetOutcome,
}

/// How far a station is with forgetting a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryForgetOutcome {
    /// It has begun.
    Begun,
    /// The node is removed.
    Forgotten,
    /// It has never heard of the node.
    NotKnown,
    /// The request cannot be read, or the file cannot be written at the moment.
    Failed,
}
