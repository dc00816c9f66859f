//! The bodies of answers: built from the view at most once a tick, then shared as bytes.

mod connections;
mod encoded;
mod groupings;
mod groups;
mod node;
mod nodes;
mod recent;
mod stats;

use std::fmt;

use crate::memory_budget::OverBudget;

pub(crate) use self::{
    connections::{connections, connections_of},
    encoded::Encoded,
    groupings::{Grouping, Groupings},
    groups::grouped,
    node::{detail, summary},
    nodes::Nodes,
    recent::Recent,
    stats::{Counters, Health, PartitionHealth, Stats, fleet_stats},
};

/// The state that an answer shows: answers of equal versions have equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// When this process started, Unix milliseconds.
    pub(crate) epoch: u64,
    /// The number of the tick; the same in every process with the same clock.
    pub(crate) tick: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.tick)
    }
}

/// Why an answer could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBuilt {
    /// The task that built it ended: the process is stopping, or the task panicked.
    #[error("the answer could not be built")]
    Lost,
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}
