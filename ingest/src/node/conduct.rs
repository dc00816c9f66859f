//! What a node has reported that was refused, and how often it does what every reader receives at once.

use serde::{Deserialize, Serialize};
use tidemap_wire::{RefusedReports, bounds};

use crate::refusal::Refusal;

/// On average, a hello may change and an agent may restart once in this time. An agent on whose host
/// containers come and go sends another hello every 10 s.
const PERIOD_MS: i64 = 5_000;
/// So many periods may be used up in advance: thirteen changes may come at once. An interface that counts, or
/// an address, may change several times while a host starts, and the agent tells it each time.
const BURST_MS: i64 = 60_000;

/// Late samples for the history: an agent that reports so seldom that its samples can be late has 40 a
/// minute, and after an outage all that it keeps.
const LATE_PERIOD_MS: i64 = 1_000;
const LATE_BURST_MS: i64 = 2 * bounds::SAMPLES as i64 * LATE_PERIOD_MS;

/// Empty as long as a node reports nothing that is refused, its hello stays as it is, and its agent runs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Conduct {
    /// Reports that were refused, or of which a part was refused.
    count: u64,
    /// Why the last one was.
    reason: String,
    /// Not kept: a new owner of the partition counts from the beginning.
    #[serde(skip)]
    hellos: Allowance,
    #[serde(skip)]
    restarts: Allowance,
    #[serde(skip)]
    late: Allowance,
}

impl Conduct {
    /// Whether there is nothing for a checkpoint.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
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
        self.hellos.take(now_ms, PERIOD_MS, BURST_MS)
    }

    /// Whether a restart may be published at broker time `now_ms`; if so, it is counted.
    pub(super) fn admits_restart(&mut self, now_ms: i64) -> bool {
        self.restarts.take(now_ms, PERIOD_MS, BURST_MS)
    }

    /// Whether the history may have another late sample at broker time `now_ms`; if so, it is counted.
    pub(super) fn admits_late(&mut self, now_ms: i64) -> bool {
        self.late.take(now_ms, LATE_PERIOD_MS, LATE_BURST_MS)
    }
}

/// One in each period, some in advance: the generic cell rate algorithm.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// Broker time until which those so far would take, at one in each period.
    paid_ms: i64,
}

impl Allowance {
    fn take(&mut self, now_ms: i64, period_ms: i64, burst_ms: i64) -> bool {
        // A broker's clock that was put back by more than that would block changes until it is there again.
        let is_ahead = self.paid_ms > now_ms + burst_ms + period_ms;
        let paid_ms = if is_ahead { now_ms } else { self.paid_ms.max(now_ms) };
        let is_left = paid_ms - now_ms <= burst_ms;
        if is_left {
            self.paid_ms = paid_ms + period_ms;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_changes_thirteen_times_at_once_and_then_twelve_times_a_minute() {
        let mut conduct = Conduct::default();
        let mut admitted = |times_ms: std::ops::Range<i64>| {
            times_ms.step_by(200).filter(|now_ms| conduct.admits_hello(*now_ms)).count()
        };
        assert_eq!(admitted(0..4_000), 13);
        assert_eq!(admitted(4_000..64_000), 12);
        assert_eq!(admitted(1_000_000..1_004_000), 13);
        assert_eq!(admitted(0..4_000), 13, "the broker's clock was put back");
        assert!(conduct.admits_restart(1_004_000), "restarts have an allowance of their own");
    }

    #[test]
    fn a_host_whose_containers_come_and_go_all_day_is_never_refused() {
        let mut conduct = Conduct::default();
        // Every change of its inventory, every change of its addresses, and each with its delay.
        let inventory = (0..86_400_000).step_by(10_000);
        let addresses = (0..86_400_000).step_by(60_000);
        let mut changes: Vec<i64> = inventory.chain(addresses).collect();
        changes.sort_unstable();
        let refused = changes.iter().enumerate().filter(|(number, change_ms)| {
            let delay_ms = i64::try_from(number * 7_919 % 3_000).unwrap();
            !conduct.admits_hello(**change_ms + delay_ms)
        });
        assert_eq!(refused.count(), 0);
    }
}
