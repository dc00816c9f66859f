//! One interface's counters from reading to reading.
//!
//! Counters fail, fall, jump and stand still, and the speed that a driver states is often not its device's.
//! A reading that cannot follow from the one before is *doubtful*: it is right if the next one goes on from
//! it, and wrong if the next one goes on from the reading before it.

use serde::{Deserialize, Serialize};

use super::{
    Moved,
    counters::{Counters, Nominal},
    limits::{Limits, bytes_in, difference, rise},
    refresh::{LONGEST_MS, Refresh},
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
    /// Readings in a row that were doubtful.
    doubts: u8,
    /// Readings in a row of which a counter stepped back a little.
    steps_back: u8,
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
    /// Of what was received, and of what was sent: some drivers update them at different times.
    refreshes: [Refresh; 2],
    spreads: [Spread; 2],
}

/// Where an interface's counters stand, as the next run of the agent needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The last good reading.
    counters: Counters,
    /// Time since then, before the reading at which it stands so.
    silent_ms: u64,
    /// Bytes that the counters contain and the sums do not yet.
    held: Moved,
    former: Option<Counters>,
    shown_bps: u64,
    is_wide: bool,
}

impl Standing {
    /// Bytes that the counters contain and the sums do not yet.
    pub(super) fn held(&self) -> Moved {
        self.held
    }

    /// Whether these counters may be those from before an apparent reset, which was none then: the bytes
    /// between were counted long ago.
    pub(super) fn may_return(&self, now: Counters) -> bool {
        self.former.is_some_and(|former| reaches(now, former) && !reaches(self.counters, former))
    }
}

#[derive(Clone, Copy, Debug)]
struct Doubtful {
    counters: Counters,
    /// Time since the last good reading.
    over_ms: u64,
    /// In each direction, the time between the last two changes, if both were seen: they may be updated
    /// seldom.
    gaps_ms: [Option<u64>; 2],
}

/// An uplink without a reading for this long no longer makes the rate unknown.
const GONE_AFTER_MS: u64 = 10_000;
/// A counter that falls to zero is taken for a failed reading, until it was zero this often in a row.
const ZEROS_OF_A_RESET: u8 = 3;
/// A counter that is a little below where it was, for so many readings in a row, has fallen.
const STEPS_OF_A_FALL: u8 = 3;
/// From this rate on, a return to the counters from before a reset is one.
const MODEST_BPS: u64 = 125_000_000;

impl CounterTracker {
    /// Goes on from where another run of the agent stood `ago_ms` ago. A pace from before a pause says
    /// nothing: a fall is a wrap only if it means few bytes.
    pub(super) fn resume(standing: &Standing, ago_ms: u64) -> Self {
        Self {
            last: Some(standing.counters),
            // Whatever moved moved before the reading just before.
            silent_ms: standing.silent_ms.saturating_add(ago_ms).max(1),
            former: standing.former,
            shown_bps: standing.shown_bps,
            is_wide: standing.is_wide,
            ..Self::default()
        }
    }

    /// Where it stands; `None` before the first reading.
    pub(super) fn standing(&self) -> Option<Standing> {
        Some(Standing {
            counters: self.last?,
            silent_ms: self.silent_ms,
            held: Moved { rx_bytes: self.spreads[0].held(), tx_bytes: self.spreads[1].held() },
            former: self.former,
            shown_bps: self.shown_bps,
            is_wide: self.is_wide,
        })
    }

    /// Takes the counters, read `elapsed_ms` after the reading before.
    pub(crate) fn read(&mut self, elapsed_ms: u32, counters: Option<Counters>, nominal: Nominal) -> Step {
        let Some(now) = counters else { return self.silence(elapsed_ms) };
        let elapsed_ms = u64::from(elapsed_ms);
        let over_ms = self.silent_ms + elapsed_ms;
        self.refreshes[0].read(elapsed_ms, now.rx_bytes);
        self.refreshes[1].read(elapsed_ms, now.tx_bytes);
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
            self.steps_back = if stands == now { 0 } else { self.steps_back + 1 };
            self.go_on_from(if self.steps_back < STEPS_OF_A_FALL { stands } else { now });
            return self.moved(moved, elapsed_ms, is_late);
        }
        let resolved =
            self.doubtful.take().and_then(|doubtful| self.resolve(last, doubtful, now, elapsed_ms, &limits));
        resolved.unwrap_or_else(|| self.doubt(last, now, over_ms, &limits))
    }

    /// Whether these counters, read `elapsed_ms` after the reading before, rose by more than the device can
    /// move as far as is known.
    pub(crate) fn exceeds(&self, elapsed_ms: u32, counters: Option<Counters>, nominal: Nominal) -> bool {
        let over_ms = self.silent_ms + u64::from(elapsed_ms);
        let limits = self.limits(nominal);
        let rose =
            self.last.zip(counters).and_then(|(last, now)| difference(last, now, [over_ms; 2], &limits));
        rose.is_some_and(|moved| !limits.allows(moved, limits.periods_ms.map(|ms| ms.max(over_ms))))
    }

    /// Notes that time has passed without a reading.
    pub(crate) fn silence(&mut self, elapsed_ms: u32) -> Step {
        self.silent_ms += u64::from(elapsed_ms);
        for refresh in &mut self.refreshes {
            refresh.wait(elapsed_ms.into());
        }
        self.doubtful = None;
        let held = self.take_spread();
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
        self.refreshes.iter().filter_map(Refresh::period_ms).max()
    }

    fn limits(&self, nominal: Nominal) -> Limits {
        Limits {
            // What it does now and then it can do a little faster.
            speed_bps: nominal.speed_bps.map(|speed_bps| speed_bps.max(self.shown_bps / 4 * 5)),
            pace_bps: self.pace_bps,
            may_wrap: nominal.may_wrap && !self.is_wide,
            periods_ms: self.refreshes.each_ref().map(|refresh| refresh.period_ms().unwrap_or(0)),
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
        let over_ms = doubtful.gaps_ms.map(|gap_ms| gap_ms.unwrap_or(0).max(doubtful.over_ms));
        if let Some(jump) = difference(last, doubtful.counters, over_ms, limits).filter(|_| !is_back) {
            let again = goes_on.or_else(|| {
                let over_ms = [elapsed_ms; 2];
                difference(doubtful.counters, now, over_ms, limits).map(|moved| (moved, now))
            });
            // What it counted before the first change that was seen may be of any time.
            let longest_ms =
                doubtful.gaps_ms.map(|gap_ms| gap_ms.unwrap_or(LONGEST_MS).max(doubtful.over_ms));
            let is_seldom = limits.allows(jump, over_ms);
            let is_sustained =
                again.is_some_and(|(again, _)| limits.resembles(jump, doubtful.over_ms, again, elapsed_ms));
            let is_believed = is_sustained || (goes_on.is_some() && limits.believes(jump, longest_ms));
            if let Some((again, stands)) = again.filter(|_| is_believed || (is_seldom && goes_on.is_some())) {
                if is_seldom {
                    self.refreshes.iter_mut().for_each(Refresh::prove);
                } else if is_sustained || doubtful.gaps_ms.iter().flatten().count() == 2 {
                    self.show(jump, over_ms[0].min(over_ms[1]));
                }
                if goes_on.is_none() {
                    self.show(again, elapsed_ms);
                }
                self.go_on_from(stands);
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
        self.doubts = self.doubts.saturating_add(1);
        let is_lasting = over_ms >= GONE_AFTER_MS && self.doubts > 1 && !zero;
        if is_lasting || self.zeros == ZEROS_OF_A_RESET {
            self.go_on_from(now);
            let Some(moved) = difference(last, now, [over_ms; 2], limits) else {
                self.former = Some(last);
                return Step::Unknown;
            };
            // It has risen for all this time.
            let is_back = self.former.is_some_and(|former| reaches(now, former));
            if !is_back && limits.believes(moved, [over_ms; 2]) {
                self.show(moved, over_ms);
                return self.moved(moved, over_ms, true);
            }
        } else {
            self.silent_ms = over_ms;
            let gaps_ms = self.refreshes.each_ref().map(Refresh::gap_ms);
            self.doubtful = Some(Doubtful { counters: now, over_ms, gaps_ms }).filter(|_| !zero);
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
        (self.silent_ms, self.zeros, self.doubts, self.doubtful) = (0, 0, 0, None);
    }

    fn moved(&mut self, moved: Moved, elapsed_ms: u64, is_late: bool) -> Step {
        if is_late {
            let mut all = self.take_spread();
            all.add(moved);
            return Step::Late(all);
        }
        if moved != Moved::default() {
            let gap_ms = self.refreshes.iter().filter_map(Refresh::period_ms).max().unwrap_or(0);
            self.pace_bps = moved.most_bps(elapsed_ms.max(gap_ms));
        }
        let periods_ms = self.refreshes.each_ref().map(Refresh::period_ms);
        let [rx, tx] = &mut self.spreads;
        Step::Moved(Moved {
            rx_bytes: rx.pass(moved.rx_bytes, elapsed_ms, periods_ms[0]),
            tx_bytes: tx.pass(moved.tx_bytes, elapsed_ms, periods_ms[1]),
        })
    }

    fn take_spread(&mut self) -> Moved {
        let [rx, tx] = &mut self.spreads;
        Moved { rx_bytes: rx.take(), tx_bytes: tx.take() }
    }

    fn show(&mut self, moved: Moved, over_ms: u64) {
        self.shown_bps = self.shown_bps.max(moved.most_bps(over_ms));
    }
}

fn reaches(now: Counters, former: Counters) -> bool {
    now.rx_bytes >= former.rx_bytes && now.tx_bytes >= former.tx_bytes
}
