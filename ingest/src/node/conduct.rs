//! What a node has reported that was refused, and how often it changes its hello.

use serde::{Deserialize, Serialize};
use tidemap_wire::RefusedReports;

use crate::partition::Refusal;

/// A hello that changes again within this time uses up some of [`HELLO_BURST_MS`].
const HELLO_PERIOD_MS: i64 = 10_000;
/// So many milliseconds of changes may come at once: seven. An agent's hello changes when an interface or an
/// address does, which it may do several times while a host starts.
const HELLO_BURST_MS: i64 = 60_000;

/// Empty as long as a node reports nothing that is refused, and its hello stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Conduct {
    /// Reports that were refused, or of which a part was refused.
    count: u64,
    /// Why the last one was.
    reason: String,
    /// Broker time until which the changes of its hello so far would take, at one in each period.
    hello_paid_ms: i64,
}

impl Conduct {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn refuse(&mut self, reason: Refusal) {
        self.count = self.count.saturating_add(1);
        if self.reason != reason.name() {
            reason.name().clone_into(&mut self.reason);
        }
    }

    /// What readers see of it; `None` when nothing was refused.
    pub(super) fn refused(&self) -> Option<RefusedReports> {
        (self.count > 0).then(|| RefusedReports { count: self.count, reason: self.reason.clone() })
    }

    /// Whether the hello may change at broker time `now_ms`; if so, the change is counted.
    pub(super) fn admits_hello(&mut self, now_ms: i64) -> bool {
        let paid_ms = self.hello_paid_ms.max(now_ms);
        let is_admitted = paid_ms - now_ms <= HELLO_BURST_MS;
        if is_admitted {
            self.hello_paid_ms = paid_ms + HELLO_PERIOD_MS;
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_changes_seven_times_at_once_and_then_six_times_a_minute() {
        let mut conduct = Conduct::default();
        let admitted = |conduct: &mut Conduct, times_ms: std::ops::Range<i64>| {
            times_ms.step_by(500).filter(|now_ms| conduct.admits_hello(*now_ms)).count()
        };
        assert_eq!(admitted(&mut conduct, 0..4_000), 7);
        assert_eq!(admitted(&mut conduct, 4_000..64_000), 6);
        assert_eq!(admitted(&mut conduct, 1_000_000..1_004_000), 7);
    }
}
