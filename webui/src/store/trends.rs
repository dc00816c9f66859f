//! Recent rates of every row, for the small line at its end.

use std::collections::VecDeque;
use std::rc::Rc;

/// How many points a trend holds; the page adds one a second.
pub const TREND_POINTS: usize = 60;

/// The newest sums of download and upload of all rows, one column a point in time, oldest first.
///
/// Columns are shared between clones: pausing a page of 100,000 nodes copies nothing here.
#[derive(Clone, Debug, Default)]
pub struct Trends {
    points: VecDeque<Rc<Vec<f32>>>,
}

impl Trends {
    /// The row's newest points, oldest first; a point is absent where the rate was not known, or nobody was
    /// looking yet.
    pub fn of(&self, row: usize) -> impl Iterator<Item = Option<f64>> + '_ {
        let before = std::iter::repeat_n(None, TREND_POINTS - self.points.len());
        let point = move |column: &Rc<Vec<f32>>| {
            column.get(row).filter(|sum| !sum.is_nan()).map(|sum| f64::from(*sum))
        };
        before.chain(self.points.iter().map(point))
    }

    /// Adds a point to every row.
    pub(super) fn record(&mut self, sums: impl Iterator<Item = f32>) {
        let mut column = if self.points.len() < TREND_POINTS {
            Rc::default()
        } else {
            // The oldest column's memory serves again unless a paused page still shares it.
            self.points.pop_front().unwrap_or_default()
        };
        let fresh = Rc::make_mut(&mut column);
        fresh.clear();
        fresh.extend(sums);
        self.points.push_back(column);
    }

    /// Puts points where none are: each is a position, of which the newest is the last of
    /// [`TREND_POINTS`], and a sum.
    fn fill(&mut self, row: usize, points: impl Iterator<Item = (usize, f32)>) {
        while self.points.len() < TREND_POINTS {
            self.points.push_front(Rc::default());
        }
        for (at, sum) in points {
            let Some(column) = self.points.get_mut(at) else { continue };
            let column = Rc::make_mut(column);
            if column.len() <= row {
                column.resize(row + 1, f32::NAN);
            }
            if column[row].is_nan() {
                column[row] = sum;
            }
        }
    }

    /// Drops the past of a row that another node takes.
    pub(super) fn forget(&mut self, row: usize) {
        for column in &mut self.points {
            if column.get(row).is_some_and(|sum| !sum.is_nan()) {
                Rc::make_mut(column)[row] = f32::NAN;
            }
        }
    }
}

impl super::Fleet {
    /// Fills the trend of the node with this name where it has no points: positions and sums.
    pub fn fill_trend(&mut self, name: &str, points: impl Iterator<Item = (usize, f32)>) {
        if let Some(row) = self.row_of(name) {
            self.trends.fill(row, points);
        }
    }
}
