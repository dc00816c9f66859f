//! How often a driver updates a counter, found from when it changes.
//!
//! Many drivers and virtual functions do it every two to five seconds, and are read each second.

/// A longer pause is one of the traffic.
pub(super) const LONGEST_MS: u64 = 10_000;
/// So many changes at the same distance, each after a reading without one, are no chance.
const FOUND: u8 = 8;
/// What is not regular lowers the count from here, so a period that is found stays for a while.
const MOST: u8 = 12;
/// What a change counts that brings more bytes than the device moves in one reading's time.
const PROVEN: u8 = 2;
/// What changes in two readings in a row count.
const NOT_SELDOM: u8 = 3;

/// When a counter changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Refresh {
    last: Option<u64>,
    /// Time since it changed; `None` before the first change that was seen.
    since_ms: Option<u64>,
    /// Whether the last reading was the same as the one before.
    stood_still: bool,
    /// Time between the last two changes, if both were seen.
    gap_ms: Option<u64>,
    /// The usual gap, and how many changes had it.
    usual_ms: u64,
    regular: u8,
    is_found: bool,
}

impl Refresh {
    /// Takes a reading.
    pub(super) fn read(&mut self, elapsed_ms: u64, now: u64) {
        self.wait(elapsed_ms);
        if self.last == Some(now) {
            self.stood_still = true;
            return;
        }
        let is_first = self.last.replace(now).is_none();
        let stood_still = std::mem::take(&mut self.stood_still);
        if is_first {
            return;
        }
        self.gap_ms = self.since_ms.replace(0);
        let Some(gap_ms) = self.gap_ms else { return };
        if !stood_still {
            self.contradict(NOT_SELDOM, gap_ms);
        } else if gap_ms >= LONGEST_MS {
            self.contradict(1, self.usual_ms);
        } else if gap_ms.abs_diff(self.usual_ms) <= elapsed_ms && self.regular > 0 {
            self.usual_ms = (self.usual_ms * 3 + gap_ms) / 4;
            self.count(1);
        } else {
            self.contradict(1, gap_ms);
            if self.regular == 0 {
                self.count(1);
            }
        }
    }

    /// Notes that time has passed without a reading.
    pub(super) fn wait(&mut self, elapsed_ms: u64) {
        self.since_ms = self.since_ms.map(|since_ms| since_ms + elapsed_ms);
    }

    /// Notes that the bytes of the last change cannot have moved since the reading before it.
    pub(super) fn prove(&mut self) {
        if self.regular > 0 {
            self.count(PROVEN);
        }
    }

    /// The time in which the bytes of the last change moved, at most; `None` if the change before was not
    /// seen.
    pub(super) fn gap_ms(&self) -> Option<u64> {
        self.gap_ms.map(|gap_ms| gap_ms.min(LONGEST_MS))
    }

    /// How often the counter is updated, if that is less often than it is read.
    pub(super) fn period_ms(&self) -> Option<u64> {
        self.is_found.then_some(self.usual_ms)
    }

    fn count(&mut self, changes: u8) {
        self.regular = (self.regular + changes).min(MOST);
        self.is_found |= self.regular >= FOUND;
    }

    /// A change that is not regular. Before a period is found, each begins the search again.
    fn contradict(&mut self, changes: u8, gap_ms: u64) {
        self.regular = if self.is_found { self.regular.saturating_sub(changes) } else { 0 };
        if self.regular == 0 {
            (self.is_found, self.usual_ms) = (false, gap_ms);
        }
    }
}
