//! Ticks at round values.

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, in units of the drawing box.
    pub at: i64,
    /// What it stands for, in the axis's own unit; never negative, also below zero.
    pub value: f64,
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that reaches `value`. What is idle is drawn on a scale of 1.
pub fn nice_ceiling(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powi(value.log10().floor() as i32);
    let step = [1.0, 2.0, 2.5, 5.0].into_iter().find(|step| step * power >= value * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ceilings_are_round() {
        for (value, ceiling) in [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (2.2, 2.5), (26.0, 50.0), (0.07, 0.1)] {
            assert!((nice_ceiling(value) - ceiling).abs() < 1e-12, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_ceiling_is_high_enough_and_wastes_no_more_than_half(value in 1e-3..1e12) {
            let ceiling = nice_ceiling(value);
            prop_assert!(ceiling >= value * 0.999_999 && ceiling <= value * 2.000_001);
        }
    }
}
