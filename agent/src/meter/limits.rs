//! What a device can have moved between two readings.

use super::{Moved, counters::Counters};

/// Without a known speed: no interface moves more than 800 Gbit/s.
const ANY_BPS: u64 = 100_000_000_000;
/// A single rise up to this rate, or up to a few times the stated speed, is believed of any device: emulated
/// ones state 100 Mbit/s and move ten gigabits.
const BELIEVED_BPS: u64 = 1_250_000_000;
/// Three times 10 Gbit/s is still less than the 2³² bytes by which a faulty counter jumps in a second.
const BELIEVED_TIMES: u64 = 3;
/// Without a known speed: a fall is taken for a wrap only if it means at most 1 Gbit/s.
const MODEST_BPS: u64 = 125_000_000;
/// Where 32-bit counters wrap.
const WRAP: u64 = 1 << 32;
/// A fall is taken for a wrap only if it means this few bytes, or a pace of at most twice the one before. A
/// reset happens anywhere, a wrap only at the end.
const BYTES_OF_A_WRAP: u64 = WRAP / 32;
/// A fall by less than this part of the counter is a step back: sums over processors are not read at once.
const STEP_BACK: u64 = 1024;
/// And by at most this many bytes.
const MOST_BACK: u64 = 16 << 20;

/// What a device can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most bytes per second that it moves, if known.
    pub(super) speed_bps: Option<u64>,
    /// Bytes per second at the reading before.
    pub(super) pace_bps: u64,
    /// Whether its counters may wrap at 2³².
    pub(super) may_wrap: bool,
    /// How old its counters may be, of what was received and of what was sent.
    pub(super) periods_ms: [u64; 2],
}

impl Limits {
    /// Whether these bytes can have moved in these times, received and sent.
    pub(super) fn allows(&self, moved: Moved, over_ms: [u64; 2]) -> bool {
        is_within(self.speed_bps.unwrap_or(ANY_BPS), moved, over_ms)
    }

    /// Whether a single rise can be right, although it is more than the device states.
    pub(super) fn believes(&self, moved: Moved, over_ms: [u64; 2]) -> bool {
        let bps =
            self.speed_bps.unwrap_or(ANY_BPS).saturating_mul(BELIEVED_TIMES).clamp(BELIEVED_BPS, ANY_BPS);
        is_within(bps, moved, over_ms)
    }

    /// Whether two rises in a row show that the device is faster than it states.
    pub(super) fn resembles(&self, one: Moved, one_ms: u64, other: Moved, other_ms: u64) -> bool {
        let (one_bps, other_bps) = (one.most_bps(one_ms), other.most_bps(other_ms));
        let (slow, fast) = (one_bps.min(other_bps), one_bps.max(other_bps));
        slow > self.speed_bps.unwrap_or(ANY_BPS) && fast <= ANY_BPS && fast / 4 <= slow
    }
}

/// The bytes that moved between two readings, and the counters to continue from; `None` when the second
/// reading cannot follow from the first.
pub(super) fn rise(
    last: Counters,
    now: Counters,
    over_ms: u64,
    limits: &Limits,
) -> Option<(Moved, Counters)> {
    let [rx_ms, tx_ms] = limits.periods_ms.map(|period_ms| period_ms.max(over_ms));
    let (rx_bytes, rx_stands) = counter_rise(last.rx_bytes, now.rx_bytes, rx_ms, limits)?;
    let (tx_bytes, tx_stands) = counter_rise(last.tx_bytes, now.tx_bytes, tx_ms, limits)?;
    Some((Moved { rx_bytes, tx_bytes }, Counters { rx_bytes: rx_stands, tx_bytes: tx_stands }))
}

fn counter_rise(last: u64, now: u64, over_ms: u64, limits: &Limits) -> Option<(u64, u64)> {
    if now >= last {
        let most = bytes_in(limits.speed_bps.unwrap_or(ANY_BPS), over_ms);
        return (now - last <= most).then_some((now - last, now));
    }
    // A zero is much more often a failed reading than the end of a wrap.
    if now == 0 {
        return None;
    }
    if last - now <= (last / STEP_BACK).min(MOST_BACK) {
        return Some((0, last));
    }
    wrapped(last, now, over_ms, limits).map(|rose| (rose, now))
}

/// The bytes by which a counter rose over its end, if it can have.
fn wrapped(last: u64, now: u64, over_ms: u64, limits: &Limits) -> Option<u64> {
    let rose = (limits.may_wrap && last < WRAP).then(|| (WRAP - last).checked_add(now))??;
    let usual = BYTES_OF_A_WRAP.max(bytes_in(limits.pace_bps.saturating_mul(2), over_ms));
    let most = usual.min(bytes_in(limits.speed_bps.unwrap_or(MODEST_BPS), over_ms));
    (rose <= most).then_some(rose)
}

/// What moved between two readings, if no counter fell but by a wrap that fits these times; it may be more
/// than the device can move.
pub(super) fn difference(
    last: Counters,
    now: Counters,
    [rx_ms, tx_ms]: [u64; 2],
    limits: &Limits,
) -> Option<Moved> {
    let between = |last: u64, now: u64, over_ms: u64| {
        let wraps = || wrapped(last, now, over_ms, limits).filter(|_| now > 0);
        now.checked_sub(last).or_else(wraps)
    };
    Some(Moved {
        rx_bytes: between(last.rx_bytes, now.rx_bytes, rx_ms)?,
        tx_bytes: between(last.tx_bytes, now.tx_bytes, tx_ms)?,
    })
}

fn is_within(bps: u64, moved: Moved, over_ms: [u64; 2]) -> bool {
    moved.rx_bytes <= bytes_in(bps, over_ms[0]) && moved.tx_bytes <= bytes_in(bps, over_ms[1])
}

pub(super) fn bytes_in(bps: u64, ms: u64) -> u64 {
    u64::try_from(u128::from(bps) * u128::from(ms) / 1000).unwrap_or(u64::MAX)
}
