//! A partition's state together with its position in the log: log events in, state out.
//!
//! A restored replica begins to read after the oldest part of its checkpoints, while newer parts already
//! contain later messages of some nodes. So it applies each message only to nodes that do not contain it, and
//! reaches the same state as a replica that has read the whole log.

use async_nats::Subject;

use crate::{
    checkpoint::Recovery,
    log_reader::{LogEvent, LogPosition, Record},
    node::Node,
    partition::{Limits, Message, PartitionState, RefusedReport},
};
use tidemap_wire::NodeId;

/// A partition's state, and its position in the log.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) state: PartitionState,
    position: LogPosition,
    /// Which messages after the position the restored nodes already contain.
    recovery: Recovery,
    /// The newest message of the log when reading began; absent while the log is not being read.
    newest_at_open: Option<u64>,
    /// Messages that the log dropped before they were read.
    lost: u64,
}

/// The result of a log event.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Reports that were applied.
    pub(crate) reports: u64,
    /// The subject of the first message with a refused report, and which one that is.
    pub(crate) refused: Option<(Subject, RefusedReport)>,
}

impl Replica {
    /// A replica with the nodes of checkpoints. It continues after `position`.
    pub(crate) fn restore(
        limits: Limits,
        nodes: Vec<(NodeId, Node)>,
        recovery: Recovery,
        position: LogPosition,
    ) -> Self {
        let mut state = PartitionState::new(limits);
        state.restore(nodes);
        Self { state, position, recovery, newest_at_open: None, lost: 0 }
    }

    /// Applies an event of the log's reader.
    pub(crate) fn apply(&mut self, event: LogEvent) -> Applied {
        let mut applied = Applied::default();
        match event {
            LogEvent::Opened { last, created_ns } => {
                self.newest_at_open = Some(last);
                self.position.created_ns = created_ns;
            }
            LogEvent::Interrupted { .. } => self.newest_at_open = None,
            LogEvent::Messages(messages) => {
                self.state.prefetch(messages.iter().map(|message| &*message.subject));
                for message in &messages {
                    self.observe(message, &mut applied);
                }
            }
            LogEvent::Lost { count } => {
                self.lost += count;
                self.state.lose();
            }
            LogEvent::Shortened { left } => {
                self.recovery.cut(left.applied);
                self.position = left;
            }
            LogEvent::Recreated => {
                self.position = LogPosition::default();
                self.recovery = Recovery::default();
            }
        }
        applied
    }

    fn observe(&mut self, message: &Record, applied: &mut Applied) {
        self.position.pass(message.sequence, message.published_ns);
        let published_ms = self.position.applied_ms();
        let record = Message { subject: &message.subject, payload: &message.payload, published_ms };
        let contains = |node: &str| self.recovery.knows(node, self.position.applied);
        let outcome = self.state.observe_unless(record, contains);
        applied.reports += outcome.reports;
        if let Some(refusal) = outcome.refused {
            applied.refused.get_or_insert_with(|| (message.subject.clone(), refusal));
        }
    }

    /// The newest message that the state contains, as a position.
    pub(crate) fn position(&self) -> &LogPosition {
        &self.position
    }

    /// Messages that the log dropped before they were read.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether the log is being read, and the state contains everything that it held when that began.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.newest_at_open.is_some_and(|newest| self.position.applied >= newest)
    }

    /// Whether the state contains at least everything that the checkpoints contained.
    pub(crate) fn contains_its_checkpoints(&self) -> bool {
        self.position.applied >= self.recovery.highest()
    }
}

#[cfg(test)]
mod tests;
