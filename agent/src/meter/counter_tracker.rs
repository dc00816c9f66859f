//! One interface's counters from reading to reading.
//!
//! Counters fail, fall, jump and stand still, and the speed that a driver states is often not its device's.
//! A reading that cannot follow from the one before is *doubtful*: it is right if the next one goes on from
//! it, and wrong if the next one goes on from the reading before it.

use super::{
    Moved,
    counters::{Counters, Nominal},
    limits::{Limits, bytes_in, rise},
    refresh::Refresh,
    spread::Spread,
};

/// The result of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first reading: nothing to compare with.
    Baseline,
    /// These bytes moved since the reading just before.
    Moved(Moved),
    /// These bytes moved since a reading further back.
    Late(Moved),
    /// Bytes may have moved, but how many is not known.
    Unknown,
    /// It has been silent for so long that it no longer makes the rate unknown.
    Gone,
}

/// One interface's counters from reading to reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct CounterTracker {
    last: Option<Counters>,
    /// Time since `last` was read, before the present reading.
    silent_ms: u64,
    /// Readings in a row in which a counter fell to zero.
    zeros: u8,
    /// The previous reading, if it was doubtful.
    doubtful: Option<Doubtful>,
    /// The counters before an apparent reset. If it was no reset, later readings return to them.
    former: Option<Counters>,
    /// The most bytes per second that it has shown to move, if its driver states less.
    shown_bps: u64,
    /// Bytes per second at the last reading.
    pace_bps: u64,
    /// Whether a counter was ever above 32 bits.
    is_wide: bool,
    refresh: Refresh,
    spread: Spread,
}

#[derive(Clone, Copy, Debug)]
struct Doubtful {
    counters: Counters,
    /// Time since the last good reading.
    over_ms: u64,
    /// Time since the counters changed, as they may be updated seldom.
    since_change_ms: u64,
}

/// An uplink without a reading for this long no longer makes the rate unknown.
const GONE_AFTER_MS: u64 = 10_000;
/// A counter that falls to zero is taken for a failed reading, until it was zero this often in a row.
const ZEROS_OF_A_RESET: u8 = 3;
/// From this rate on, a return to the counters from before a reset is one.
const MODEST_BPS: u64 = 125_000_000;

impl CounterTracker {
    /// Takes the counters, read `elapsed_ms` after the reading before.
    pub(crate) fn read(&mut self, elapsed_ms: u32, counters: Option<Counters>, nominal: Nominal) -> Step {
        let Some(now) = counters else { return self.silence(elapsed_ms) };
        let elapsed_ms = u64::from(elapsed_ms);
        let over_ms = self.silent_ms + elapsed_ms;
        self.refresh.read(elapsed_ms, now);
        let Some(last) = self.last else {
            self.go_on_from(now);
            return Step::Baseline;
        };
        let limits = self.limits(nominal);
        if let Some((moved, stands)) = rise(last, now, over_ms, &limits) {
            if nominal.speed_bps.is_none() && self.is_back(last, now, over_ms) {
                self.go_on_from(now);
                self.former = None;
                return Step::Unknown;
            }
            let is_late = self.silent_ms > 0;
            self.go_on_from(stands);
            return self.moved(moved, elapsed_ms, is_late);
        }
        let resolved =
            self.doubtful.take().and_then(|doubtful| self.resolve(last, doubtful, now, elapsed_ms, &limits));
        resolved.unwrap_or_else(|| self.doubt(last, now, over_ms, &limits))
    }

    /// Whether these counters, read `elapsed_ms` after the reading before, rose by more than the device can
    /// move as far as is known.
    pub(crate) fn exceeds(&self, elapsed_ms: u32, counters: Option<Counters>, nominal: Nominal) -> bool {
        let over_ms = (self.silent_ms + u64::from(elapsed_ms)).max(self.refresh.period_ms().unwrap_or(0));
        let rose = self.last.zip(counters).and_then(|(last, now)| difference(last, now));
        rose.is_some_and(|moved| !self.limits(nominal).allows(moved, over_ms))
    }

    /// Notes that time has passed without a reading.
    pub(crate) fn silence(&mut self, elapsed_ms: u32) -> Step {
        self.silent_ms += u64::from(elapsed_ms);
        self.refresh.wait(elapsed_ms.into());
        self.doubtful = None;
        let held = self.spread.take();
        if held != Moved::default() {
            return Step::Late(held);
        }
        if self.silent_ms < GONE_AFTER_MS {
            return Step::Unknown;
        }
        self.last = None;
        Step::Gone
    }

    /// How often its counters are updated, if that is less often than they are read.
    pub(crate) fn period_ms(&self) -> Option<u64> {
        self.refresh.period_ms()
    }

    fn limits(&self, nominal: Nominal) -> Limits {
        Limits {
            // What it does now and then it can do a little faster.
            speed_bps: nominal.speed_bps.map(|speed_bps| speed_bps.max(self.shown_bps / 4 * 5)),
            pace_bps: self.pace_bps,
            may_wrap: nominal.may_wrap && !self.is_wide,
            period_ms: self.refresh.period_ms().unwrap_or(0),
        }
    }

    /// Whether the reading before was right, or a reset; `None` when it was neither.
    fn resolve(
        &mut self,
        last: Counters,
        doubtful: Doubtful,
        now: Counters,
        elapsed_ms: u64,
        limits: &Limits,
    ) -> Option<Step> {
        let goes_on = rise(doubtful.counters, now, elapsed_ms, limits);
        let is_back = self.former.is_some_and(|former| reaches(doubtful.counters, former));
        if let Some(jump) = difference(last, doubtful.counters).filter(|_| !is_back) {
            let again = difference(doubtful.counters, now);
            let is_seldom = limits.allows(jump, doubtful.since_change_ms);
            let is_sustained =
                again.is_some_and(|again| limits.resembles(jump, doubtful.over_ms, again, elapsed_ms));
            let is_believed = is_sustained
                || (goes_on.is_some()
                    && limits.believes(jump, doubtful.over_ms.max(doubtful.since_change_ms)));
            if let Some(again) = again.filter(|_| is_believed || (is_seldom && goes_on.is_some())) {
                if is_seldom {
                    self.refresh.prove();
                } else {
                    self.show(jump, doubtful.over_ms);
                }
                if goes_on.is_none() {
                    self.show(again, elapsed_ms);
                }
                self.go_on_from(now);
                let mut both = jump;
                both.add(again);
                return Some(self.moved(both, elapsed_ms, true));
            }
        }
        let (moved, stands) = goes_on?;
        self.go_on_from(stands);
        self.former = Some(last);
        Some(self.moved(moved, elapsed_ms, false))
    }

    fn doubt(&mut self, last: Counters, now: Counters, over_ms: u64, limits: &Limits) -> Step {
        let to_zero = |last: u64, now: u64| now == 0 && last > 0;
        let zero = to_zero(last.rx_bytes, now.rx_bytes) || to_zero(last.tx_bytes, now.tx_bytes);
        self.zeros = if zero { self.zeros + 1 } else { 0 };
        if over_ms >= GONE_AFTER_MS || self.zeros == ZEROS_OF_A_RESET {
            self.go_on_from(now);
            let Some(moved) = difference(last, now) else {
                self.former = Some(last);
                return Step::Unknown;
            };
            // It has risen for all this time.
            if limits.believes(moved, over_ms) {
                self.show(moved, over_ms);
                return self.moved(moved, over_ms, true);
            }
        } else {
            self.silent_ms = over_ms;
            let since_change_ms = self.refresh.gap_ms();
            self.doubtful = Some(Doubtful { counters: now, over_ms, since_change_ms }).filter(|_| !zero);
        }
        Step::Unknown
    }

    /// Whether the counters are back where they were before an apparent reset.
    fn is_back(&self, last: Counters, now: Counters, over_ms: u64) -> bool {
        let leap = |last: u64, now: u64| now.saturating_sub(last) > bytes_in(MODEST_BPS, over_ms);
        let leapt = leap(last.rx_bytes, now.rx_bytes) || leap(last.tx_bytes, now.tx_bytes);
        self.former.is_some_and(|former| leapt && reaches(now, former))
    }

    /// Takes a reading for right.
    fn go_on_from(&mut self, now: Counters) {
        self.last = Some(now);
        self.is_wide |= now.rx_bytes.max(now.tx_bytes) > u64::from(u32::MAX);
        (self.silent_ms, self.zeros, self.doubtful) = (0, 0, None);
    }

    fn moved(&mut self, moved: Moved, elapsed_ms: u64, is_late: bool) -> Step {
        if is_late {
            let mut all = self.spread.take();
            all.add(moved);
            return Step::Late(all);
        }
        self.pace_bps = moved.most_bps(elapsed_ms);
        Step::Moved(self.spread.pass(moved, elapsed_ms, self.refresh.period_ms()))
    }

    fn show(&mut self, moved: Moved, over_ms: u64) {
        self.shown_bps = self.shown_bps.max(moved.most_bps(over_ms));
    }
}

/// What moved between two readings, if no counter fell.
fn difference(last: Counters, now: Counters) -> Option<Moved> {
    Some(Moved {
        rx_bytes: now.rx_bytes.checked_sub(last.rx_bytes)?,
        tx_bytes: now.tx_bytes.checked_sub(last.tx_bytes)?,
    })
}

fn reaches(now: Counters, former: Counters) -> bool {
    now.rx_bytes >= former.rx_bytes && now.tx_bytes >= former.tx_bytes
}
