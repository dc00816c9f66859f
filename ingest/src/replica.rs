//! A partition's state together with how far of its log it contains: log events in, state out.
//!
//! A restored replica begins behind its checkpoints' oldest message, and newer checkpoints contain some
//! nodes' later messages already. So it applies each message only to the nodes that do not contain it, and
//! ends in the state that the whole log makes.

use async_nats::Subject;

use crate::{
    checkpoint::Recovery,
    log_reader::{LogEvent, LogPosition, Record},
    node::Node,
    partition::{Limits, Message, PartitionState, Refusal},
};
use tidemap_wire::NodeId;

/// A partition's state, and how far of its log it contains.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) state: PartitionState,
    position: LogPosition,
    /// What the restored nodes contain of the log beyond the position.
    recovery: Recovery,
    /// The newest message of the log when reading began; absent while the log is not being read.
    newest_at_open: Option<u64>,
    /// Messages in the log behind the position.
    lag: u64,
    /// Messages that the log dropped before they were read.
    lost: u64,
}

/// What a log event did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Reports that were applied.
    pub(crate) reports: u64,
    /// The first message of which something was refused, and why.
    pub(crate) refused: Option<(Subject, Refusal)>,
}

impl Replica {
    /// A replica with the nodes of checkpoints, which will read what comes behind `position`.
    pub(crate) fn restore(
        limits: Limits,
        nodes: Vec<(NodeId, Node)>,
        recovery: Recovery,
        position: LogPosition,
    ) -> Self {
        let mut state = PartitionState::new(limits);
        state.restore(nodes);
        Self { state, position, recovery, newest_at_open: None, lag: 0, lost: 0 }
    }

    /// Applies what the log's reader says.
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
        self.lag = message.pending;
        let published_ms = self.position.applied_ms();
        let record = Message { subject: &message.subject, payload: &message.payload, published_ms };
        let contains = |node: &str| self.recovery.knows(node, self.position.applied);
        let outcome = self.state.observe_unless(record, contains);
        applied.reports += outcome.reports;
        if let Some(refusal) = outcome.refused {
            applied.refused.get_or_insert_with(|| (message.subject.clone(), refusal));
        }
    }

    /// How far of the log the state contains.
    pub(crate) fn position(&self) -> &LogPosition {
        &self.position
    }

    /// Messages in the log behind the position.
    pub(crate) fn lag(&self) -> u64 {
        self.lag
    }

    /// Messages that the log dropped before they were read.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether the log is being read, and the state contains everything that it held when that began.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.newest_at_open.is_some_and(|newest| self.position.applied >= newest)
    }

    /// Whether the state contains at least what the checkpoints contain that it was restored from.
    pub(crate) fn contains_its_checkpoints(&self) -> bool {
        self.position.applied >= self.recovery.highest()
    }
}

#[cfg(test)]
mod tests;
