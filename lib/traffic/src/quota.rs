//! Quotas: how much of an amount a cycle has used.

#[cfg(test)]
mod tests;

use crate::Period;

const HOUR_MS: i64 = 3_600_000;
/// In percent, unless others are given.
const THRESHOLDS: [u16; 3] = [80, 90, 100];
const MAX_THRESHOLD: u16 = 1_000;
const MAX_THRESHOLDS: usize = 20;

/// An amount that a cycle may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes.
    pub bytes: u64,
    thresholds: Vec<u16>,
}

/// Thresholds that make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be up to {MAX_THRESHOLDS} percentages from 1 to {MAX_THRESHOLD}")]
pub struct WrongThresholds;

/// How a cycle stands towards its quota.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Bytes that count, with the correction; not below 0.
    pub used_bytes: u64,
    /// Bytes that are left.
    pub left_bytes: u64,
    /// How much is used, in percent; above 100 when it is exceeded.
    pub percent: f64,
    /// The highest threshold that is reached, in percent.
    pub threshold: Option<u16>,
    /// Bytes at the end of the cycle if it goes on as it has: absent at its very begin, when that would say
    /// nothing, and when it is over.
    pub forecast_bytes: Option<u64>,
    /// When the quota will be used up if it goes on as it has, Unix milliseconds; absent if that is not
    /// within the cycle, or has been.
    pub exceeded_at_ms: Option<i64>,
}

impl Quota {
    /// A quota of so many bytes, with thresholds in percent; 80, 90 and 100 unless given.
    ///
    /// # Errors
    ///
    /// When there are too many thresholds, or one is 0 or beyond what anybody would be warned of.
    pub fn new(bytes: u64, thresholds: Option<Vec<u16>>) -> Result<Self, WrongThresholds> {
        let mut thresholds = thresholds.unwrap_or_else(|| THRESHOLDS.to_vec());
        if thresholds.len() > MAX_THRESHOLDS
            || thresholds.iter().any(|percent| !(1..=MAX_THRESHOLD).contains(percent))
        {
            return Err(WrongThresholds);
        }
        thresholds.sort_unstable();
        thresholds.dedup();
        Ok(Self { bytes, thresholds })
    }

    /// In percent, ascending.
    pub fn thresholds(&self) -> &[u16] {
        &self.thresholds
    }

    /// How a cycle stands that has moved `measured` bytes up to `until_ms`. The correction is what the
    /// provider counted beyond that, or less.
    pub fn standing(&self, measured: u64, correction: i64, period: Period, until_ms: i64) -> Standing {
        let used_bytes = corrected(u128::from(measured), correction);
        let is_reached = |percent: &u16| {
            u128::from(used_bytes) * 100 >= u128::from(self.bytes) * u128::from(*percent) && used_bytes > 0
        };
        let pace = Pace::of(measured, period, until_ms);
        Standing {
            used_bytes,
            left_bytes: self.bytes.saturating_sub(used_bytes),
            percent: percent(used_bytes, self.bytes),
            threshold: self.thresholds.iter().copied().rfind(is_reached),
            forecast_bytes: pace.map(|pace| corrected(pace.at_end(), correction)),
            exceeded_at_ms: pace
                .filter(|_| used_bytes < self.bytes)
                .and_then(|pace| pace.reaches(i128::from(self.bytes) - i128::from(correction))),
        }
    }
}

/// What a cycle will have moved at its end if it goes on as it has: absent at its very begin, and when it is
/// over.
pub fn forecast(measured: u64, period: Period, until_ms: i64) -> Option<u64> {
    Some(u64::try_from(Pace::of(measured, period, until_ms)?.at_end()).unwrap_or(u64::MAX))
}

fn corrected(measured: u128, correction: i64) -> u64 {
    let measured = i128::try_from(measured).unwrap_or(i128::MAX);
    let used = measured.saturating_add(i128::from(correction)).max(0);
    u64::try_from(used).unwrap_or(u64::MAX)
}

fn percent(used: u64, of: u64) -> f64 {
    if of == 0 { if used == 0 { 0.0 } else { 100.0 } } else { used as f64 * 100.0 / of as f64 }
}

/// How quickly a cycle uses its amount.
#[derive(Clone, Copy, Debug)]
struct Pace {
    measured: u64,
    elapsed_ms: i64,
    period: Period,
}

impl Pace {
    /// Known when a hundredth of the cycle or an hour has passed, and until its end.
    fn of(measured: u64, period: Period, until_ms: i64) -> Option<Self> {
        let elapsed_ms = until_ms - period.from_ms;
        let is_known = elapsed_ms >= HOUR_MS.min(period.length_ms() / 100) && elapsed_ms > 0;
        (is_known && until_ms < period.to_ms).then_some(Self { measured, elapsed_ms, period })
    }

    fn at_end(self) -> u128 {
        let length = u128::from(self.period.length_ms().unsigned_abs());
        u128::from(self.measured) * length / u128::from(self.elapsed_ms.unsigned_abs())
    }

    /// When so many bytes will have been moved, if within the cycle.
    fn reaches(self, bytes: i128) -> Option<i64> {
        if self.measured == 0 || bytes <= 0 {
            return None;
        }
        let after_ms = bytes.checked_mul(i128::from(self.elapsed_ms))? / i128::from(self.measured);
        let at_ms = self.period.from_ms.checked_add(i64::try_from(after_ms).ok()?)?;
        self.period.contains(at_ms).then_some(at_ms)
    }
}
