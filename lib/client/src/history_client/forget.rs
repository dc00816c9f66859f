//! Having every station forget a node.

use std::{collections::BTreeMap, time::Duration};

use tidemap_wire::{
    HistoryForgetOutcome, HistoryForgetReply, HistoryForgetRequest, NodeId, decode, encode, subject,
};
use tokio::time::{Instant, timeout_at};

use super::{HistoryClient, HistoryRequestError};

/// Stations say at once that they have begun, so who has said nothing by then does not run.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(2);
/// A station has to read and write the boards of all days.
const DONE_TIMEOUT: Duration = Duration::from_secs(120);

impl HistoryClient {
    /// Has every station that runs forget a node. Returns, for each, whether it knew the node.
    ///
    /// # Errors
    ///
    /// When no station runs, or one of them has not done it; the others may have.
    pub async fn forget(&self, node: NodeId) -> Result<Vec<bool>, HistoryRequestError> {
        let mut inbox = self.0.inbox().await?;
        inbox.send(subject::HISTORY_FORGET.to_owned(), encode(&HistoryForgetRequest { node })).await?;
        let mut outcomes: BTreeMap<u64, HistoryForgetOutcome> = BTreeMap::new();
        let begun = Instant::now();
        let is_waited_for = |outcomes: &BTreeMap<_, _>| {
            outcomes.values().any(|outcome| *outcome == HistoryForgetOutcome::Begun)
        };
        loop {
            let until = if is_waited_for(&outcomes) { DONE_TIMEOUT } else { BEGIN_TIMEOUT };
            let Ok(reply) = timeout_at(begun + until, inbox.next()).await else { break };
            let reply: HistoryForgetReply = decode(&reply?.payload)?;
            let outcome = outcomes.entry(reply.station).or_insert(reply.outcome);
            // Replies of one station arrive in their order.
            *outcome = reply.outcome;
        }
        if outcomes.is_empty() || is_waited_for(&outcomes) {
            return Err(HistoryRequestError::TimedOut);
        }
        let known = outcomes.into_values().map(|outcome| match outcome {
            HistoryForgetOutcome::Forgotten => Ok(true),
            HistoryForgetOutcome::NotKnown => Ok(false),
            HistoryForgetOutcome::Begun | HistoryForgetOutcome::Failed => {
                Err(HistoryRequestError::NotForgotten)
            }
        });
        known.collect()
    }
}
