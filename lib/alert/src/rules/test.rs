//! When a condition holds, and when it no longer does.

/// A comparison with a threshold, and when it counts as over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Test {
    pub(crate) comparison: Comparison,
    pub(crate) threshold: f64,
    /// An alert that fires is over once the value has come back to here.
    pub(crate) clear: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is beyond the threshold.
    Holds,
    /// It is not, but an alert that fires goes on.
    Band,
    /// It is far enough from it.
    Over,
    /// Nobody can say: time stands still.
    Frozen,
    /// Nothing has changed.
    Kept,
}

impl Comparison {
    /// Whether larger values are worse.
    pub(crate) fn is_upward(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }

    pub(crate) fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

impl Test {
    /// With a band of a twentieth of the threshold.
    pub(crate) fn new(comparison: Comparison, threshold: f64) -> Self {
        let band = threshold.abs() * 0.05;
        let clear = if comparison.is_upward() { threshold - band } else { threshold + band };
        Self { comparison, threshold, clear }
    }

    /// Without a band.
    pub(crate) fn exact(comparison: Comparison, threshold: f64) -> Self {
        Self { comparison, threshold, clear: threshold }
    }

    pub(crate) fn judge(&self, value: f64) -> Verdict {
        let is_back = if self.comparison.is_upward() { value <= self.clear } else { value >= self.clear };
        match self.comparison.holds(value, self.threshold) {
            true => Verdict::Holds,
            false if is_back => Verdict::Over,
            false => Verdict::Band,
        }
    }

    /// The one that is farther beyond the threshold.
    pub(crate) fn worse(&self, one: f64, other: f64) -> f64 {
        if self.comparison.is_upward() { one.max(other) } else { one.min(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_within_the_band_is_neither() {
        let above = Test::new(Comparison::Above, 100.0);
        assert_eq!(
            [95.0, 95.1, 100.0, 100.1].map(|value| above.judge(value)),
            [Verdict::Over, Verdict::Band, Verdict::Band, Verdict::Holds]
        );
        let below = Test::new(Comparison::Below, 100.0);
        assert_eq!(
            [105.0, 104.9, 100.0, 99.9].map(|value| below.judge(value)),
            [Verdict::Over, Verdict::Band, Verdict::Band, Verdict::Holds]
        );
        let none = Test::new(Comparison::AtMost, 0.0);
        assert_eq!([0.0, 0.1].map(|value| none.judge(value)), [Verdict::Holds, Verdict::Over]);
        let cold = Test::new(Comparison::Below, -10.0);
        assert_eq!([-10.1, -9.6, -9.5].map(|value| cold.judge(value)), [Verdict::Holds, Verdict::Band, Verdict::Over]);
    }
}
