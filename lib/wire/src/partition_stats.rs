//! A partition's totals and its owner's health: `tidemap.v1.stats.<k>`, once a second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Averages, Bps};

/// Totals of one partition. Sums are over its online nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionStats {
    /// The partition's number.
    pub partition: u16,
    /// The epoch of the owner's lease.
    pub epoch: u64,
    /// The number of the newest delta of this epoch: a reader whose number is lower has missed one.
    pub seq: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// The worker that owns the partition.
    pub owner: String,
    /// Nodes online.
    pub online: u64,
    /// Nodes that have missed a few reports.
    pub warning: u64,
    /// Nodes that have not reported for the offline limit.
    pub offline: u64,
    /// Bytes per second received.
    pub rx_bps: Bps,
    /// Bytes per second sent.
    pub tx_bps: Bps,
    /// Rolling averages of bytes per second received.
    pub rx_avg: Averages,
    /// Rolling averages of bytes per second sent.
    pub tx_avg: Averages,
    /// The newest message of the partition's stream that the state contains.
    pub applied: u64,
    /// Messages of the stream that are not applied yet.
    pub lag: u64,
    /// How long ago the broker stored the newest message that is applied, while others are not: milliseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub lag_ms: u64,
    /// Samples applied since the worker took the partition.
    pub samples: u64,
    /// Samples that the state contains, over all owners that the partition has had.
    pub total_samples: u64,
    /// Samples dropped because they had been applied before.
    pub duplicates: u64,
    /// Samples too old for any window.
    pub late: u64,
    /// Messages refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// Readers take an absent number as 0, and earlier workers leave this one out.
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}
