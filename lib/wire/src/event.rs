//! What happened to a node: `tidemap.v1.event.<kind>.<node>`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The node that it happened to.
    pub node: NodeId,
    /// Broker time, Unix milliseconds.
    pub at_ms: i64,
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// It reports again.
    Online,
    /// It has missed a few reports.
    Warning,
    /// It has not reported for the offline limit.
    Offline,
    /// It was not known before.
    Joined,
    /// It is no longer known.
    Forgotten,
    /// Its agent has started again.
    Restarted,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Online => "online",
            Self::Warning => "warning",
            Self::Offline => "offline",
            Self::Joined => "joined",
            Self::Forgotten => "forgotten",
            Self::Restarted => "restarted",
        })
    }
}
