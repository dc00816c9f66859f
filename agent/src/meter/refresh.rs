//! How often a driver updates its counters, found from when they change.
//!
//! Many drivers and virtual functions do it every two to five seconds, and are read each second.

use super::counters::Counters;

/// A longer pause is one of the traffic.
const LONGEST_MS: u64 = 10_000;
/// So many changes at the same distance, each after a reading without one, are no chance.
const REGULAR: u8 = 5;
/// What a change counts that brings more bytes than the device moves in one reading's time.
const PROVEN: u8 = 2;

/// When an interface's counters change.
#[derive(Clone, Debug, Default)]
pub(super) struct Refresh {
    last: Option<Counters>,
    /// Time since they changed.
    since_ms: u64,
    /// Whether the last reading was the same as the one before.
    stood_still: bool,
    /// Time between the last two changes.
    gap_ms: u64,
    /// The usual gap, and how many changes had it.
    usual_ms: u64,
    regular: u8,
}

impl Refresh {
    /// Takes a reading.
    pub(super) fn read(&mut self, elapsed_ms: u64, now: Counters) {
        self.since_ms += elapsed_ms;
        if self.last == Some(now) {
            self.stood_still = true;
            return;
        }
        let is_first = self.last.replace(now).is_none();
        let stood_still = std::mem::take(&mut self.stood_still);
        self.gap_ms = std::mem::take(&mut self.since_ms).min(LONGEST_MS);
        if is_first || !stood_still {
            self.regular = 0;
        } else if self.regular == 0 || self.gap_ms + elapsed_ms < self.usual_ms {
            (self.usual_ms, self.regular) = (self.gap_ms, 1);
        } else if self.gap_ms <= self.usual_ms + elapsed_ms {
            self.usual_ms = (self.usual_ms * 3 + self.gap_ms) / 4;
            self.regular = self.regular.saturating_add(1);
        }
        // A longer gap is a pause of the traffic, and says nothing.
    }

    /// Notes that time has passed without a reading.
    pub(super) fn wait(&mut self, elapsed_ms: u64) {
        self.since_ms += elapsed_ms;
    }

    /// Notes that the bytes of the last change cannot have moved since the reading before it.
    pub(super) fn prove(&mut self) {
        if self.regular > 0 {
            self.regular = self.regular.saturating_add(PROVEN);
        }
    }

    /// The time in which the bytes of the last change moved, at most.
    pub(super) fn gap_ms(&self) -> u64 {
        self.gap_ms
    }

    /// How often the counters are updated, if that is less often than they are read.
    pub(super) fn period_ms(&self) -> Option<u64> {
        (self.regular >= REGULAR).then_some(self.usual_ms)
    }
}
