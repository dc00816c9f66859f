//! Runs of an agent whose host's clock is wrong: how many minutes are added for the history.

use serde::{Deserialize, Serialize};
use tidemap_wire::bounds;

/// A host's clock that is ahead by more than this is not the clock of its rows.
const WRONG_MS: i64 = 30_000;
/// Nor is one that is behind by more than this. Less may be the delay of a backlog: 600 samples of an agent
/// that reports every five seconds.
const BEHIND_MS: i64 = 55 * MINUTE_MS;
/// How far the clock of its rows may run ahead later: as much as at first, and half a minute more.
const AHEAD_MS: i64 = 60_000;
/// A clock that is as near to the broker's is right, whatever was thought of it.
const RIGHT_MS: i64 = 5_000;
const MINUTE_MS: i64 = 60_000;

/// By run; those whose clocks are right have none. A run's is fixed when its first report comes, and again
/// only if its clock is put back, runs ahead or behind, or is right again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clocks(Vec<(u64, i32)>);

impl Clocks {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is added to the minutes of a run's host.
    pub(super) fn offset(&self, boot: u64) -> i32 {
        self.0.iter().find(|(run, _)| *run == boot).map_or(0, |(_, offset)| *offset)
    }

    pub(super) fn set(&mut self, boot: u64, offset: i32) {
        self.0.retain(|(run, _)| *run != boot);
        if offset != 0 {
            self.0.push((boot, offset));
        }
    }

    /// Forgets runs that are no longer remembered.
    pub(super) fn forget(&mut self, boot: u64) {
        self.set(boot, 0);
    }
}

/// What to add to the minutes of a host whose newest sample is of `at_ms` and was stored at `published_ms`.
pub(super) fn offset(at_ms: i64, published_ms: i64) -> i32 {
    let behind_ms = published_ms - at_ms;
    if !tells_time(published_ms) || (-WRONG_MS..=BEHIND_MS).contains(&behind_ms) {
        return 0;
    }
    let minutes = (behind_ms + MINUTE_MS / 2).div_euclid(MINUTE_MS);
    minutes.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// Whether the broker's clock was set when it stored something.
fn tells_time(published_ms: i64) -> bool {
    published_ms >= i64::from(bounds::FIRST_MINUTE) * MINUTE_MS
}

/// Whether a sample at `at_ms` that the broker stored at `published_ms` proves that the rows' clock runs
/// ahead: delay makes it lag only.
pub(super) fn is_ahead(at_ms: i64, published_ms: i64, offset: i32) -> bool {
    tells_time(published_ms) && at_ms + i64::from(offset) * MINUTE_MS - published_ms > AHEAD_MS
}

/// Whether a run's newest sample proves that the rows' clock runs behind: only a broker's clock that was
/// wrong made it so. Without an offset, the delay of a backlog may explain it.
pub(super) fn is_behind(at_ms: i64, published_ms: i64, offset: i32) -> bool {
    offset != 0 && published_ms - at_ms - i64::from(offset) * MINUTE_MS > BEHIND_MS
}

/// Whether a run's newest sample shows that its clock is right, although it has an offset: it was the
/// broker's that was wrong, or the host's has been set.
pub(super) fn is_right_again(at_ms: i64, published_ms: i64, offset: i32) -> bool {
    offset != 0 && at_ms.abs_diff(published_ms) <= RIGHT_MS.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_no_delay_explains_gets_whole_minutes() {
        let now_ms = 1_700_000_000_000;
        for (off_ms, minutes) in [
            (0, 0),
            (30_000, 0),
            (-3_300_000, 0),
            (30_001, -1),
            (-3_300_001, 55),
            (-3_600_000, 60),
            (95_000, -2),
        ] {
            assert_eq!(offset(now_ms + off_ms, now_ms), minutes, "{off_ms}");
            assert!(!is_ahead(now_ms + off_ms, now_ms, minutes));
        }
        assert_eq!(offset(0, now_ms), 28_333_333, "a clock that begins in 1970");
        assert!(is_ahead(now_ms + 60_001, now_ms, 0) && !is_ahead(now_ms - 1_000_000, now_ms, 0));
        assert!(is_behind(now_ms, now_ms, -56) && !is_behind(now_ms, now_ms, -55));
        assert!(!is_behind(now_ms - 7_200_000, now_ms, 0), "a backlog");
        assert_eq!(offset(now_ms, 5), 0, "a broker of 1970");
        assert!(is_right_again(now_ms, now_ms + 5_000, -30) && !is_right_again(now_ms, now_ms, 0));
        assert!(!is_right_again(now_ms + 31_000, now_ms, -1));
    }
}
