//! How many reports one node may send. Pure.
//!
//! Without a relay the log keeps 10,000 reports of a node for 10 minutes and refuses those above them. In packs they stand
//! under the relay's name, so the relay holds each node to the same pace, or one agent could use up its slot for all.

use std::collections::HashMap;

/// For so long reports are counted.
const PERIOD_MS: u64 = 60_000;
/// So many of one node pass in that time: what is 10,000 in 10 minutes, as `tidemap_service::streams` bounds them.
const REPORTS_A_PERIOD: u32 = 1_000;

/// Who has sent how many reports.
#[derive(Debug, Default)]
pub struct Allowance {
    sent: HashMap<String, u32>,
    /// When counting begins anew, and who is not heard any more is forgotten.
    until_ms: u64,
}

impl Allowance {
    /// Whether a node may send another report now; if so, it has.
    pub fn spend(&mut self, node: &str, now_ms: u64) -> bool {
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
        let mut allowance = Allowance::default();
        let passed = (0..5_000).filter(|_| allowance.spend("a", 7)).count();
        assert_eq!(passed, 1_000);
        assert!(allowance.spend("b", 7));
        assert!(allowance.spend("a", 7 + PERIOD_MS));
        assert_eq!(allowance.sent.len(), 1);
    }
}
