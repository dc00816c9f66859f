//! Logs problems with the delivery of samples, at a bounded rate.

use std::time::Duration;

use tidemap_service::{acks::AckError, logging::Throttle};
use tidemap_wire::NodeId;
use tokio::time::Instant;

/// Refusals are normal while everything starts; only those that last this long are logged.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// A problem of one kind is logged once in this time.
const PERIOD: Duration = Duration::from_secs(30);

/// Logs problems with delivery.
pub(super) struct DeliveryLog {
    node: NodeId,
    /// Since when the broker has stored nothing.
    refused_since: Option<Instant>,
    refusals: Throttle,
    silences: Throttle,
    losses: Throttle,
    lost_logged: u64,
}

impl DeliveryLog {
    pub(super) fn new(node: NodeId) -> Self {
        let [refusals, silences, losses] = [Throttle::new(PERIOD); 3];
        Self { node, refused_since: None, refusals, silences, losses, lost_logged: 0 }
    }

    /// Notes that the broker has stored samples.
    pub(super) fn stored(&mut self) {
        self.refused_since = None;
    }

    /// Notes that the broker has refused samples.
    pub(super) fn refused(&mut self, reason: &AckError) {
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= REFUSED_FOR && self.refusals.is_due() {
            tracing::error!(node = %self.node, %reason, "the broker does not store samples; keeping them");
        }
    }

    /// Notes that the broker has not answered in time.
    pub(super) fn unanswered(&mut self) {
        if self.silences.is_due() {
            tracing::error!(
                node = %self.node,
                "the broker does not acknowledge samples: is its disk full, or may these credentials not publish as \
                 this node?"
            );
        }
    }

    /// Notes how many samples have been lost so far.
    pub(super) fn lost(&mut self, lost: u64) {
        if lost > self.lost_logged && self.losses.is_due() {
            tracing::warn!(lost_samples = lost, "the broker has been away for too long: samples are lost");
            self.lost_logged = lost;
        }
    }
}
