//! The row of each node of a partition in the event stream.
//!
//! The partition's owner assigns rows, and not each api for itself. So all apis number nodes alike, and a
//! browser can continue at another api.

use std::collections::BTreeSet;

/// The rows in use: numbers from 0 on, with few gaps.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    vacant: BTreeSet<u32>,
    next: u32,
}

impl Rows {
    /// Takes the lowest vacant row.
    pub(crate) fn take(&mut self) -> u32 {
        self.vacant.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// Gives a row back.
    pub(crate) fn vacate(&mut self, row: u32) {
        self.vacant.insert(row);
    }

    /// Restores rows that were assigned before. A node whose row is already in use gets another. If most
    /// numbers are vacant, as after a change of the number of partitions, all rows are assigned again.
    pub(crate) fn restore<'a>(rows: impl ExactSizeIterator<Item = &'a mut u32>) -> Self {
        let mut rows: Vec<_> = rows.collect();
        let limit = u32::try_from(rows.len() * 2 + 64).unwrap_or(u32::MAX);
        let is_sparse = rows.iter().any(|row| **row >= limit);
        let mut taken = BTreeSet::new();
        let homeless: Vec<_> = rows.iter_mut().filter(|row| is_sparse || !taken.insert(***row)).collect();
        let next = taken.last().map_or(0, |last| last + 1);
        let mut all = Self { vacant: (0..next).filter(|row| !taken.contains(row)).collect(), next };
        homeless.into_iter().for_each(|row| **row = all.take());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_the_lowest_is_taken_first() {
        let mut rows = Rows::default();
        assert_eq!([rows.take(), rows.take(), rows.take()], [0, 1, 2]);
        rows.vacate(1);
        assert_eq!([rows.take(), rows.take()], [1, 3]);
    }

    #[test]
    fn restored_rows_are_kept_unless_shared_or_mostly_vacant() {
        let restored = |mut given: Vec<u32>| {
            let mut rows = Rows::restore(given.iter_mut());
            (given, rows.take())
        };
        assert_eq!(restored(vec![4, 0, 2]), (vec![4, 0, 2], 1));
        assert_eq!(restored(vec![1, 1, 0]), (vec![1, 2, 0], 3));
        assert_eq!(restored(vec![8_000, 16_000]), (vec![0, 1], 2));
        assert_eq!(restored(vec![]), (vec![], 0));
    }
}
