//! The times of samples. They come from the monotonic clock; the wall clock is only its anchor.

use tidemap_wire::timing;

/// If the wall clock advances by this much more than the monotonic clock, time has passed that was not
/// measured: the host slept, or its clock was set. Smaller differences come from ordinary time
/// synchronisation.
const GAP_MS: i64 = 2_000;
/// A wall clock that was set back is followed when it has been behind for this long, so that one that is set
/// to and fro, as by two services that disagree, is not.
const SETTLE_MS: u64 = 10_000;
/// If the times are ahead by up to this much, they wait for the wall clock. The last minutes then stay known:
/// workers drop them where times step back.
const WAIT_MS: i64 = timing::CLOCK_WAIT.as_millis() as i64;
/// Differences up to this one are the clocks' granularity.
const TOLERANCE_MS: i64 = 50;
/// Smaller differences are made up for by this part of the time that passes.
const SLEW: u64 = 10;

/// When a sample was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Unix milliseconds; falls only when the wall clock was set back by more than [`WAIT_MS`].
    pub(crate) at_ms: i64,
    /// Monotonic milliseconds since the tick before.
    pub(crate) elapsed_ms: u32,
    /// Whether time passed that the monotonic clock has not measured, so that a rate would be wrong, or the
    /// times step back.
    pub(crate) gap: bool,
}

/// The times of samples of one run.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// The wall clock minus the monotonic clock, as of the last anchoring.
    offset_ms: i64,
    last_ms: u64,
    /// The last tick, on the monotonic clock, at which the wall clock was not behind, while it is.
    behind_since_ms: Option<u64>,
}

impl Timeline {
    /// Anchors both clocks at this moment.
    pub(crate) fn new(monotonic_ms: u64, wall_ms: i64) -> Self {
        Self { offset_ms: wall_ms - whole(monotonic_ms), last_ms: monotonic_ms, behind_since_ms: None }
    }

    /// The time of a sample that is read now. Elapsed times are differences of whole milliseconds since the
    /// start, so that their sum does not drift.
    pub(crate) fn tick(&mut self, monotonic_ms: u64, wall_ms: i64) -> Tick {
        let before_ms = self.last_ms;
        self.last_ms = self.last_ms.max(monotonic_ms);
        let elapsed_ms = self.last_ms - before_ms;
        let ahead_ms = wall_ms - (self.offset_ms + whole(self.last_ms));
        // Who waits for the clock waits until it is there.
        let limit_ms = if self.behind_since_ms.is_some() { TOLERANCE_MS } else { GAP_MS };
        let is_behind = ahead_ms < -limit_ms;
        let since_ms = self.behind_since_ms.filter(|_| is_behind).unwrap_or(before_ms);
        self.behind_since_ms = is_behind.then_some(since_ms);
        let is_set_back = is_behind && self.last_ms - since_ms >= SETTLE_MS;
        let gap = ahead_ms > GAP_MS || (is_set_back && ahead_ms < -WAIT_MS);
        self.offset_ms += match ahead_ms {
            _ if gap => ahead_ms,
            // Time stands still until the wall clock is there.
            _ if is_set_back => ahead_ms.max(-whole(elapsed_ms)),
            _ if is_behind || ahead_ms.abs() <= TOLERANCE_MS => 0,
            _ => ahead_ms.clamp(-whole(elapsed_ms / SLEW), whole(elapsed_ms / SLEW)),
        };
        Tick {
            at_ms: self.offset_ms + whole(self.last_ms),
            elapsed_ms: u32::try_from(elapsed_ms).unwrap_or(u32::MAX),
            gap,
        }
    }
}

fn whole(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
