//! One interface's counters from reading to reading.

use super::Moved;

/// An interface's counters since its driver started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Bytes received.
    pub(crate) rx_bytes: u64,
    /// Bytes sent.
    pub(crate) tx_bytes: u64,
}

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
    /// The previous reading, if it could not follow from `last`: it was either a failed reading or a reset.
    doubtful: Option<Counters>,
    /// The counters before an apparent reset. If it was no reset, later readings return to them.
    former: Option<Counters>,
}

/// An uplink without a reading for this long no longer makes the rate unknown.
const GONE_AFTER_MS: u64 = 10_000;
/// A counter that falls to zero is taken for a failed reading, until it was zero this often in a row.
const ZEROS_OF_A_RESET: u8 = 3;
/// Some drivers update their counters only every second or two. Bytes above the link's speed are carried over
/// to the next readings, up to what the link moves in this time.
const CARRIED_MS: u64 = 2_000;
/// Without a known speed: a fall is taken for a wrap only if it means at most 1 Gbit/s, and only if no other
/// explanation is possible.
const MODEST_BPS: u64 = 125_000_000;
/// Without a known speed: no interface moves more than 800 Gbit/s.
const ANY_LIMIT_BPS: u64 = 100_000_000_000;
/// Where 32-bit counters wrap.
const WRAP: u64 = 1 << 32;

impl CounterTracker {
    /// Takes the counters, read `elapsed_ms` after the reading before.
    pub(crate) fn read(
        &mut self,
        elapsed_ms: u32,
        counters: Option<Counters>,
        limit_bps: Option<u64>,
    ) -> Step {
        let over_ms = self.silent_ms + u64::from(elapsed_ms);
        let Some(now) = counters else { return self.silence(elapsed_ms) };
        let Some(last) = self.last else {
            self.restart(now);
            return Step::Baseline;
        };
        if let Some((moved, stands)) = rise(last, now, over_ms, limit_bps) {
            if limit_bps.is_none() && self.is_back(last, now, over_ms) {
                self.restart(now);
                return Step::Unknown;
            }
            let late = self.silent_ms > 0;
            let former = self.former;
            self.restart(stands);
            self.former = former;
            return if late { Step::Late(moved) } else { Step::Moved(moved) };
        }
        // A reading that cannot follow from the last good one may follow from the doubtful one between them;
        // then that one was a reset.
        let doubtful = self.doubtful.take();
        if let Some((moved, stands)) =
            doubtful.and_then(|doubtful| rise(doubtful, now, elapsed_ms.into(), limit_bps))
        {
            self.restart(stands);
            self.former = Some(last);
            return Step::Moved(moved);
        }
        self.doubt(last, now, over_ms)
    }

    /// Notes that time has passed without a reading.
    pub(crate) fn silence(&mut self, elapsed_ms: u32) -> Step {
        self.silent_ms += u64::from(elapsed_ms);
        self.doubtful = None;
        if self.silent_ms < GONE_AFTER_MS {
            return Step::Unknown;
        }
        self.last = None;
        Step::Gone
    }

    /// Whether the counters are back where they were before an apparent reset.
    fn is_back(&self, last: Counters, now: Counters, over_ms: u64) -> bool {
        let leap = |last: u64, now: u64| now.saturating_sub(last) > bytes_in(MODEST_BPS, over_ms);
        let leapt = leap(last.rx_bytes, now.rx_bytes) || leap(last.tx_bytes, now.tx_bytes);
        self.former
            .is_some_and(|former| leapt && now.rx_bytes >= former.rx_bytes && now.tx_bytes >= former.tx_bytes)
    }

    fn doubt(&mut self, last: Counters, now: Counters, over_ms: u64) -> Step {
        let to_zero = |last: u64, now: u64| now == 0 && last > 0;
        let zero = to_zero(last.rx_bytes, now.rx_bytes) || to_zero(last.tx_bytes, now.tx_bytes);
        self.zeros = if zero { self.zeros + 1 } else { 0 };
        if over_ms >= GONE_AFTER_MS || self.zeros == ZEROS_OF_A_RESET {
            self.restart(now);
            self.former = Some(last);
        } else {
            self.silent_ms = over_ms;
            self.doubtful = Some(now).filter(|_| !zero);
        }
        Step::Unknown
    }

    fn restart(&mut self, now: Counters) {
        *self = Self { last: Some(now), ..Self::default() };
    }
}

/// The bytes that moved between two readings, and the counters to continue from; `None` when the second
/// reading cannot follow from the first.
fn rise(last: Counters, now: Counters, over_ms: u64, limit_bps: Option<u64>) -> Option<(Moved, Counters)> {
    let (rx_bytes, rx_stands) = counter_rise(last.rx_bytes, now.rx_bytes, over_ms, limit_bps)?;
    let (tx_bytes, tx_stands) = counter_rise(last.tx_bytes, now.tx_bytes, over_ms, limit_bps)?;
    Some((Moved { rx_bytes, tx_bytes }, Counters { rx_bytes: rx_stands, tx_bytes: tx_stands }))
}

fn counter_rise(last: u64, now: u64, over_ms: u64, limit_bps: Option<u64>) -> Option<(u64, u64)> {
    if now < last {
        // A zero is much more often a failed reading than the end of a wrap.
        if now == 0 {
            return None;
        }
        let wrapped = (last < WRAP).then(|| WRAP - last + now)?;
        return (wrapped <= bytes_in(limit_bps.unwrap_or(MODEST_BPS), over_ms)).then_some((wrapped, now));
    }
    let rose = now - last;
    let most = bytes_in(limit_bps.unwrap_or(ANY_LIMIT_BPS), over_ms);
    if rose <= most {
        return Some((rose, now));
    }
    (rose - most <= bytes_in(limit_bps?, CARRIED_MS)).then_some((most, last + most))
}

fn bytes_in(bps: u64, ms: u64) -> u64 {
    u64::try_from(u128::from(bps) * u128::from(ms) / 1000).unwrap_or(u64::MAX)
}
