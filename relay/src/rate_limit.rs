//! Bounds the reports of one node. Pure.
//!
//! Without a relay the log keeps 10,000 reports of a node for 10 minutes and refuses more. In packs, reports
//! are published under the relay's name, so the relay must limit each node to the same rate. Otherwise one
//! agent could use up the capacity of its slot.

use std::collections::HashMap;

use tidemap_service::streams::MAX_REPORTS_OF_A_NODE;
use tidemap_wire::timing;

/// Reports are counted for this long.
const PERIOD_MS: u64 = 60_000;
/// Reports of one node that are accepted in that time.
const REPORTS_A_PERIOD: u32 = 1_000;

/// The same pace as that of the log.
const _: () = assert!(
    REPORTS_A_PERIOD as u64 * (timing::millis(timing::LOG_RETENTION) / PERIOD_MS)
        == MAX_REPORTS_OF_A_NODE as u64
);

/// Reports of each node in the present period.
#[derive(Debug, Default)]
pub(crate) struct RateLimit {
    sent: HashMap<String, u32>,
    /// When the period ends. Nodes without reports are forgotten then.
    until_ms: u64,
}

impl RateLimit {
    /// Counts a report of a node, and returns whether it may pass.
    pub(crate) fn allows(&mut self, node: &str, now_ms: u64) -> bool {
        if now_ms >= self.until_ms {
            self.sent.clear();
            self.until_ms = now_ms + PERIOD_MS;
        }
        let sent = match self.sent.get_mut(node) {
            Some(sent) => sent,
            None => self.sent.entry(node.to_owned()).or_default(),
        };
        *sent += 1;
        *sent <= REPORTS_A_PERIOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_off_and_others_pass() {
        let mut limit = RateLimit::default();
        let passed = (0..5_000).filter(|_| limit.allows("a", 7)).count();
        assert_eq!(passed, 1_000);
        assert!(limit.allows("b", 7));
        assert!(limit.allows("a", 7 + PERIOD_MS));
        assert_eq!(limit.sent.len(), 1);
    }
}
