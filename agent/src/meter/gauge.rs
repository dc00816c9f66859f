//! One interface's counters from reading to reading.

use super::Moved;

/// What an interface has counted since its driver began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

/// What one reading adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first reading: nothing to compare with.
    Baseline,
    /// These bytes moved since the reading just before.
    Moved(Moved),
    /// These bytes moved since a reading further back.
    Late(Moved),
    /// Bytes may have moved; nobody knows how many.
    Unknown,
    /// It has been silent for so long that the others go on without it.
    Gone,
}

/// One interface's counters from reading to reading.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    last: Option<Counters>,
    /// Time since `last` was read, before the present reading.
    silent_ms: u64,
    /// Readings in a row in which a counter fell to zero.
    zeros: u8,
}

/// An uplink that cannot be read for this long no longer holds up the rate of the others.
const GONE_AFTER_MS: u64 = 10_000;
/// A counter that falls to zero is a failed reading, until it has been zero this often in a row.
const ZEROS_OF_A_RESET: u8 = 3;
/// Some drivers update their counters only every second or two: bytes above the link's speed are carried over to the
/// next readings as long as they are no more than the link moves in this time.
const CARRIED_MS: u64 = 2_000;
/// Without a known speed a counter is taken to have wrapped only if that means no more than 1 Gbit/s.
const WRAP_LIMIT_BPS: u64 = 125_000_000;
/// Where 32-bit counters wrap.
const WRAP: u64 = 1 << 32;

/// What one counter did.
enum Change {
    /// It rose by so much; the second number is what it is taken to stand at now.
    Rose(u64, u64),
    /// It fell to zero.
    Zero,
    /// It fell, or rose by more than the link can move.
    Broken,
}

impl Gauge {
    /// Takes the counters as read `elapsed_ms` after the reading before.
    pub fn read(&mut self, elapsed_ms: u32, counters: Option<Counters>, limit_bps: Option<u64>) -> Step {
        let over_ms = self.silent_ms + u64::from(elapsed_ms);
        let Some(now) = counters else { return self.silent(over_ms) };
        let Some(last) = self.last else {
            self.restart(now);
            return Step::Baseline;
        };
        let changes = (
            change(last.rx_bytes, now.rx_bytes, over_ms, limit_bps),
            change(last.tx_bytes, now.tx_bytes, over_ms, limit_bps),
        );
        match changes {
            (Change::Rose(rx_bytes, rx_now), Change::Rose(tx_bytes, tx_now)) => {
                let late = self.silent_ms > 0;
                self.restart(Counters { rx_bytes: rx_now, tx_bytes: tx_now });
                let moved = Moved { rx_bytes, tx_bytes };
                if late { Step::Late(moved) } else { Step::Moved(moved) }
            }
            (Change::Broken, _) | (_, Change::Broken) => {
                self.restart(now);
                Step::Unknown
            }
            _ => {
                self.zeros += 1;
                if self.zeros < ZEROS_OF_A_RESET {
                    return self.silent(over_ms);
                }
                self.restart(now);
                Step::Unknown
            }
        }
    }

    fn silent(&mut self, over_ms: u64) -> Step {
        self.silent_ms = over_ms;
        if over_ms < GONE_AFTER_MS {
            return Step::Unknown;
        }
        self.last = None;
        Step::Gone
    }

    fn restart(&mut self, now: Counters) {
        *self = Self { last: Some(now), silent_ms: 0, zeros: 0 };
    }
}

fn change(last: u64, now: u64, over_ms: u64, limit_bps: Option<u64>) -> Change {
    let bytes_in =
        |bps: u64, ms: u64| u64::try_from(u128::from(bps) * u128::from(ms) / 1000).unwrap_or(u64::MAX);
    if now < last {
        let wrapped = (last < WRAP).then(|| WRAP - last + now);
        let most = bytes_in(limit_bps.unwrap_or(WRAP_LIMIT_BPS), over_ms);
        return match wrapped.filter(|bytes| *bytes <= most) {
            Some(bytes) => Change::Rose(bytes, now),
            None if now == 0 => Change::Zero,
            None => Change::Broken,
        };
    }
    let rose = now - last;
    let Some(limit_bps) = limit_bps else { return Change::Rose(rose, now) };
    let most = bytes_in(limit_bps, over_ms);
    if rose <= most {
        Change::Rose(rose, now)
    } else if rose - most <= bytes_in(limit_bps, CARRIED_MS) {
        Change::Rose(most, last + most)
    } else {
        Change::Broken
    }
}
