//! Steps drawn together where there are more than there are pixels: no peak becomes lower.

use super::{Past, Side};

/// What is drawn in one column, bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The mean.
    pub mean: f64,
    /// The highest.
    pub most: f64,
    /// The lowest.
    pub least: f64,
}

/// Both directions in columns of equal width, each of some steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Download, then upload; a column is absent where nothing is known.
    pub sides: [Vec<Option<Column>>; 2],
    /// How many steps are in a column; the last one may have fewer.
    pub steps: usize,
}

impl Curve {
    /// The whole past in at most so many columns.
    pub fn new(past: &Past, most_columns: usize) -> Self {
        let steps = past.steps().div_ceil(most_columns.max(1)).max(1);
        let columns = |side: &Side| {
            let starts = (0..past.steps()).step_by(steps);
            starts.map(|start| column(side, start..(start + steps).min(past.steps()))).collect()
        };
        Self { sides: [columns(&past.sides[0]), columns(&past.sides[1])], steps }
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.sides[0].len()
    }

    /// The time of the columns from `first` to `last`, Unix milliseconds.
    pub fn time(&self, past: &Past, first: usize, last: usize) -> (i64, i64) {
        let end = ((last + 1) * self.steps).min(past.steps());
        (past.begin_ms(first * self.steps), past.begin_ms(end))
    }
}

fn column(side: &Side, steps: std::ops::Range<usize>) -> Option<Column> {
    let (mut moved, mut known_ms) = (0.0, 0.0);
    let (mut most, mut least) = (0.0_f64, f64::INFINITY);
    for step in steps {
        let Some(mean) = side.mean[step] else { continue };
        moved += mean * side.known_ms[step];
        known_ms += side.known_ms[step];
        most = most.max(side.most[step].unwrap_or(mean));
        least = least.min(side.least[step].unwrap_or(mean));
    }
    (known_ms > 0.0).then(|| Column { mean: moved / known_ms, most, least })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::past::tests::past_of;

    #[test]
    fn a_burst_keeps_its_height_and_a_gap_stays_one() {
        let mut steps = vec![Some((1.0, 1.0, 1.0)); 1460];
        steps[700] = Some((1.5, 900.0, 0.5));
        steps[10..20].fill(None);
        let past = past_of(&steps);
        let curve = Curve::new(&past, 400);
        assert_eq!((curve.steps, curve.columns()), (4, 365));
        assert_eq!(curve.sides[0][175], Some(Column { mean: 1.125, most: 900.0, least: 0.5 }));
        assert_eq!(curve.sides[0][3], None);
        assert_eq!(curve.sides[0][2].map(|column| column.mean), Some(1.0), "of the steps that are known");
        assert_eq!(curve.time(&past, 364, 364), (past.begin_ms(1456), past.to_ms));
    }

    proptest! {
        #[test]
        fn the_highest_column_is_the_peak(rates in proptest::collection::vec(proptest::option::of(0.0..1e9), 1..300), columns in 1_usize..50) {
            let steps: Vec<_> = rates.iter().map(|rate| rate.map(|rate| (rate / 2.0, rate, 0.0))).collect();
            let past = past_of(&steps);
            let curve = Curve::new(&past, columns);
            prop_assert!(curve.columns() <= columns);
            let highest = curve.sides[0].iter().flatten().map(|column| column.most).fold(0.0, f64::max);
            prop_assert_eq!(highest, past.sides[0].peak().map_or(0.0, |peak| peak.rate));
        }
    }
}
