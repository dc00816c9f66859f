//! Keeping a number between two others.

/// A number that can be kept between two others.
///
/// `f64::clamp` names its limits when they are the wrong way round, and so brings all that writes floats into the page:
/// 9 KB, compressed.
pub trait Between {
    /// The number itself, or the limit that it passes.
    #[must_use]
    fn between(self, low: Self, high: Self) -> Self;
}

impl Between for f64 {
    fn between(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
}

impl Between for f32 {
    fn between(self, low: Self, high: Self) -> Self {
        self.max(low).min(high)
    }
}

#[cfg(test)]
mod tests {
    use super::Between;

    #[test]
    fn a_number_stops_at_its_limits() {
        assert_eq!([-1.0, 0.25, 7.0].map(|value: f64| value.between(0.0, 1.0)), [0.0, 0.25, 1.0]);
        assert_eq!(7.0_f32.between(0.0, 1.0), 1.0);
    }
}
