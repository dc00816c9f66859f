//! Ticks at round values.

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in units of the drawing box.
    pub at: i64,
    /// Its value in the axis's unit; never negative, even below zero.
    pub value: f64,
}

/// The smallest round number that is at least `value`: 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten. For
/// zero the scale is 1.
pub fn nice_ceiling(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    // By steps, not by a logarithm: that would be the page's only one to base ten.
    let mut power = 1.0;
    while power * 10.0 < value {
        power *= 10.0;
    }
    while power >= value {
        power /= 10.0;
    }
    let step =
        [1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0].into_iter().find(|step| step * power >= value * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ceilings_are_round() {
        for (value, ceiling) in
            [(0.0, 1.0), (1.0, 1.0), (1.1, 1.5), (2.2, 3.0), (26.0, 30.0), (9.0, 10.0), (0.07, 0.08)]
        {
            assert!((nice_ceiling(value) - ceiling).abs() < 1e-12, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_ceiling_is_high_enough_and_wastes_no_more_than_a_third(value in 1e-3..1e12) {
            let ceiling = nice_ceiling(value);
            prop_assert!(ceiling >= value * 0.999_999 && ceiling <= value * 1.500_001);
        }
    }
}
