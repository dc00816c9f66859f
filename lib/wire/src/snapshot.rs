//! A partition as its owner knows it: request on `tidemap.v1.rpc.snapshot.<k>`, several replies.

use serde::{Deserialize, Serialize};

use crate::{Bps, Minutes, NodeId, NodeUpdate};

/// Asks a partition's owner for its nodes, or for one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotRequest {
    /// Asks for this node only, with its history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

/// One part of the answer. All parts have the same `(epoch, seq)`: the state just after that delta.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotChunk {
    /// The partition's number.
    pub partition: u16,
    /// The epoch of the owner's lease.
    pub epoch: u64,
    /// The delta that the state includes; 0 before the first.
    pub seq: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// This part's number, from 0.
    pub chunk: u32,
    /// How many parts there are; at least 1.
    pub chunks: u32,
    /// The nodes of this part.
    pub nodes: Vec<NodeUpdate>,
    /// The history of the requested node, if the request named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// A node's recent past, on the host's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The last minute, by the second.
    pub last_60s: Series,
    /// The last 15 minutes, by quarters of a minute.
    pub last_15m: Series,
    /// Rows of its newest minutes, also of the one that has not ended. The history has some of them, or gets
    /// them within a few minutes.
    #[serde(default, skip_serializing_if = "Minutes::is_empty")]
    pub minutes: Minutes,
}

/// Mean rates in steps of equal length, oldest first. A step that no sample covers is absent, not 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Length of a step in milliseconds.
    pub step_ms: u32,
    /// End of the newest step: the host's clock, Unix milliseconds.
    pub end_ms: i64,
    /// Bytes per second received.
    pub rx_bps: Vec<Option<Bps>>,
    /// Bytes per second sent.
    pub tx_bps: Vec<Option<Bps>>,
}
