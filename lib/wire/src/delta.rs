//! The nodes that changed: `tidemap.v1.delta.<k>`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Averages, Bps, Hello, Host, InterfaceRate, NodeId, Probe};

/// The nodes of one partition that changed since the previous delta.
///
/// `(epoch, seq)` numbers it. A reader that holds `(e, s)` applies `(e, s + 1)`, drops anything older, and
/// asks for a [`crate::SnapshotChunk`] of that partition alone on anything newer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// The partition's number.
    pub partition: u16,
    /// The epoch of the owner's lease; a higher epoch outranks a lower one everywhere.
    pub epoch: u64,
    /// 1, 2, 3, … within one epoch.
    pub seq: u64,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
    /// The nodes that changed.
    pub nodes: Vec<NodeUpdate>,
    /// The nodes that are no longer known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<NodeId>,
}

impl Delta {
    /// A delta's encoding stays below this many bytes; larger changes are divided into several deltas.
    pub const MAX_BYTES: usize = 256 * 1024;
}

/// A node as ingest knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeUpdate {
    /// The node.
    pub node: NodeId,
    /// The node's row in its partition, which stays the same while its owner knows the node. Rows are small
    /// numbers, and no two nodes share one.
    #[serde(default)]
    pub row: u32,
    /// The `boot` of the agent's run that the newest sample belongs to.
    pub boot: u64,
    /// Whether it still reports.
    pub status: Status,
    /// When its status last changed: broker time, Unix milliseconds.
    pub since_ms: i64,
    /// When its newest report arrived: broker time, Unix milliseconds.
    pub seen_ms: i64,
    /// When its newest sample was read: the host's clock, Unix milliseconds.
    pub at_ms: i64,
    /// How far the host's clock is ahead of the broker's, network delay included, in milliseconds.
    pub skew_ms: i64,
    /// Milliseconds between its samples.
    pub interval_ms: u32,
    /// Bytes per second received, of the newest sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rx_bps: Option<Bps>,
    /// Bytes per second sent, of the newest sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_bps: Option<Bps>,
    /// Rolling averages of bytes per second received, as of the newest sample.
    #[serde(default)]
    pub rx_avg: Averages,
    /// Rolling averages of bytes per second sent, as of the newest sample.
    #[serde(default)]
    pub tx_avg: Averages,
    /// Bytes received, over all runs of the agent that ingest remembers.
    pub rx_bytes: u64,
    /// Bytes sent, over all runs of the agent that ingest remembers.
    pub tx_bytes: u64,
    /// Whether messages were lost that the averages of 15 minutes, or shorter ones, should contain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Reports that were refused; absent when there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedReports>,
    /// Identity. A snapshot always contains it when it is known, a delta only when it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello: Option<Box<Hello>>,
    /// Host metrics, under the same rule as `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Box<Host>>,
    /// Rates of interfaces, under the same rule as `hello`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<InterfaceRate>>,
    /// What the node's probes found in the last minute, under the same rule as `hello`; empty when it probes
    /// no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Vec<Probe>>,
}

/// What a node has reported that was refused, since it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefusedReports {
    /// Reports that were refused, or of which a part was refused.
    pub count: u64,
    /// Why the last one was.
    pub reason: String,
}

/// Whether a node still reports, judged by broker time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its newest report is younger than max(3 intervals, 5 s).
    Online,
    /// Older than that, but younger than the offline limit.
    Warning,
    /// Older than the offline limit.
    Offline,
    /// Nobody can say: the reader does not hear the worker that judges the node. Workers publish the other
    /// three only.
    Unknown,
}

impl Status {
    /// All of them, by their codes.
    pub const ALL: [Self; 4] = [Self::Online, Self::Warning, Self::Offline, Self::Unknown];

    /// The status in the event stream's columns: 0 online, 1 warning, 2 offline, 3 unknown.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The status with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The status as people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Online => "Online",
            Self::Warning => "Warning",
            Self::Offline => "Offline",
            Self::Unknown => "Unknown",
        }
    }

    /// The status as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Warning => "warning",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
