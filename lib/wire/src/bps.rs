//! Rates: bytes per second, finite and not negative by construction.

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A rate in bytes per second: finite and never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Bps(f64);

impl Bps {
    /// No traffic, which is not the same as "not known" (that is an absent `Bps`).
    pub const ZERO: Bps = Bps(0.0);

    /// Bytes per second through one host or interface: no network of today is faster.
    pub const MAX_PLAUSIBLE: f64 = 1e14;

    /// Takes a rate in bytes per second; `None` when it is negative, infinite or not a number.
    pub fn new(bytes_per_second: f64) -> Option<Self> {
        (bytes_per_second.is_finite() && bytes_per_second >= 0.0).then_some(Self(bytes_per_second))
    }

    /// The mean rate of `bytes` moved in `elapsed_ms`; `None` when no time has passed.
    pub fn over(bytes: u64, elapsed_ms: u64) -> Option<Self> {
        (elapsed_ms > 0).then(|| Self(bytes as f64 * 1000.0 / elapsed_ms as f64))
    }

    /// Bytes per second.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The whole number of bytes that moved at this rate in `elapsed_ms`.
    ///
    /// Exact for a rate made by [`Bps::over`] with the same time, up to 2⁵⁰ bytes.
    pub fn bytes_in(self, elapsed_ms: u32) -> u64 {
        (self.0 * f64::from(elapsed_ms) / 1000.0).round() as u64
    }
}

impl<'de> Deserialize<'de> for Bps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Self::new(value).ok_or_else(|| D::Error::custom("a rate is finite and not negative"))
    }
}

impl std::iter::Sum for Bps {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        Self(rates.map(Self::get).sum())
    }
}

/// Rolling averages: bytes in the window ÷ seconds that samples cover in it; absent when none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Over 10 seconds.
    #[serde(rename = "10s", default, skip_serializing_if = "Option::is_none")]
    pub s10: Option<Bps>,
    /// Over 1 minute.
    #[serde(rename = "1m", default, skip_serializing_if = "Option::is_none")]
    pub m1: Option<Bps>,
    /// Over 5 minutes.
    #[serde(rename = "5m", default, skip_serializing_if = "Option::is_none")]
    pub m5: Option<Bps>,
    /// Over 15 minutes.
    #[serde(rename = "15m", default, skip_serializing_if = "Option::is_none")]
    pub m15: Option<Bps>,
}

impl Averages {
    /// Adds another node's averages to a sum; a window that the other does not know adds nothing.
    pub fn add(&mut self, other: &Averages) {
        let plus = |sum: &mut Option<Bps>, term: Option<Bps>| {
            if let Some(Bps(term)) = term {
                *sum = Some(Bps(sum.unwrap_or_default().0 + term));
            }
        };
        plus(&mut self.s10, other.s10);
        plus(&mut self.m1, other.m1);
        plus(&mut self.m5, other.m5);
        plus(&mut self.m15, other.m15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_is_finite_and_not_negative() {
        assert_eq!(Bps::new(f64::NAN), None);
        assert_eq!(Bps::new(f64::INFINITY), None);
        assert_eq!(Bps::new(-1.0), None);
        assert_eq!(Bps::over(7, 0), None);
        assert_eq!(Bps::over(7, 500).map(Bps::get), Some(14.0));
    }

    proptest! {
        #[test]
        fn bytes_are_recovered_exactly_from_their_rate(bytes in 0_u64..1 << 50, elapsed_ms in 1_u32..600_000) {
            let rate = Bps::over(bytes, u64::from(elapsed_ms)).unwrap();
            prop_assert_eq!(rate.bytes_in(elapsed_ms), bytes);
        }
    }
}
