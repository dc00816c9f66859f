//! An operator's request to forget a node: request and reply on `tidemap.v1.rpc.forget.<k>`.

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
