//! Which refusals are logged: each node and reason once a minute, and few in all.

use std::{collections::BTreeMap, time::Duration};

use tidemap_service::logging::Throttle;
use tidemap_wire::NodeId;
use tokio::time::Instant;

use crate::refusal::Refusal;

/// At most one refusal in this time is logged.
const PERIOD: Duration = Duration::from_secs(5);
/// The same node is not named again for the same reason within this time, so that it does not hide others.
const REPEAT: Duration = Duration::from_secs(60);

/// What was logged lately.
#[derive(Debug)]
pub(super) struct RefusalLog {
    throttle: Throttle,
    /// As many as `PERIOD` allows within `REPEAT`.
    named: BTreeMap<(Option<NodeId>, Refusal), Instant>,
}

impl Default for RefusalLog {
    fn default() -> Self {
        Self { throttle: Throttle::new(PERIOD), named: BTreeMap::new() }
    }
}

impl RefusalLog {
    /// Whether a refusal may be logged now. If so, it is noted.
    pub(super) fn admits(&mut self, node: Option<&NodeId>, reason: Refusal) -> bool {
        let now = Instant::now();
        self.named.retain(|_, at| now.duration_since(*at) < REPEAT);
        let key = (node.cloned(), reason);
        let is_admitted = !self.named.contains_key(&key) && self.throttle.is_due();
        if is_admitted {
            self.named.insert(key, now);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_refused_all_the_time_does_not_hide_another() {
        let [loud, quiet] = ["loud", "quiet"].map(|name| NodeId::from_name(name).unwrap());
        let mut log = RefusalLog::default();
        assert!(log.admits(Some(&loud), Refusal::Metric));
        assert!(!log.admits(Some(&quiet), Refusal::TooLong), "one in five seconds");
        tokio::time::advance(PERIOD).await;
        assert!(!log.admits(Some(&loud), Refusal::Metric));
        assert!(log.admits(Some(&quiet), Refusal::TooLong));
        tokio::time::advance(REPEAT).await;
        assert!(log.admits(Some(&loud), Refusal::Metric));
        assert_eq!(log.named.len(), 1);
    }
}
