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
}
