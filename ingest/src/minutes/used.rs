//! Which minutes of the history were open once: none is opened twice.

use tidemap_wire::bounds;

/// Minutes closer than this to one that was open count as open, too: the time in which a host was off passes
/// like any other, and errors of a time zone are shorter.
pub(super) const DAY: u32 = 24 * 60;
/// So many ranges at most. Beyond it, the two that are nearest to each other are taken as one.
const MOST: usize = 8;

/// Ranges of minutes that were open and are closed, in order: the first of each, and the one after its last.
/// Nearly every node has none. Another than the newest comes of clocks that were wrong by more than a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Used(Vec<(u32, u32)>);

impl Used {
    /// Of the ranges' ends.
    pub(super) fn from_ranges(ranges: Vec<(u32, u32)>) -> Self {
        let mut used = Self::default();
        ranges.into_iter().for_each(|(from, end)| used.add(from, end));
        used
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, minute: u32) -> bool {
        self.0.iter().any(|(from, end)| (*from..*end).contains(&minute))
    }

    /// Whether any minute from `from` until before `end` was open.
    pub(super) fn meets(&self, from: u32, end: u32) -> bool {
        self.0.iter().any(|(begin, past)| from < *past && *begin < end)
    }

    /// The end of the highest range.
    pub(super) fn end(&self) -> u32 {
        self.0.last().map_or(0, |(_, end)| *end)
    }

    /// Notes that minutes were open.
    pub(super) fn add(&mut self, from: u32, end: u32) {
        if from >= end {
            return;
        }
        let (mut from, mut end) = (from, end);
        self.0.retain(|(begin, past)| {
            let is_apart = *begin > end.saturating_add(DAY) || past.saturating_add(DAY) < from;
            if !is_apart {
                (from, end) = (from.min(*begin), end.max(*past));
            }
            is_apart
        });
        self.0.push((from, end));
        self.0.sort_unstable();
        if self.0.len() > MOST {
            let gap = |place: &usize| self.0[place + 1].0 - self.0[*place].1;
            if let Some(place) = (0..self.0.len() - 1).min_by_key(gap) {
                self.0[place].1 = self.0[place + 1].1;
                self.0.remove(place + 1);
            }
        }
    }

    /// Takes out the range that a minute follows within a day. Returns where it begins: a day before the
    /// minute when there is none.
    pub(super) fn take_before(&mut self, minute: u32) -> u32 {
        let precedes = |(_, end): &(u32, u32)| *end <= minute && end.saturating_add(DAY) >= minute;
        match self.0.iter().position(precedes) {
            Some(place) => self.0.remove(place).0,
            None => minute.saturating_sub(DAY).max(bounds::FIRST_MINUTE.min(minute)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_open_stays_so_and_ranges_are_few_and_apart(
            ranges in proptest::collection::vec((0_u32..90, 0_u32..3_000), 1..30),
        ) {
            let mut used = Used::default();
            let range = |(at, long): (u32, u32)| (at * 5_000, at * 5_000 + long);
            let ranges: Vec<_> = ranges.into_iter().map(range).collect();
            ranges.iter().for_each(|(from, end)| used.add(*from, *end));
            for (from, end) in ranges.into_iter().filter(|(from, end)| from < end) {
                prop_assert!(used.contains(from) && used.contains(end - 1) && used.meets(end - 1, end + 9));
            }
            prop_assert!(used.ranges().len() <= MOST);
            prop_assert!(used.ranges().windows(2).all(|two| two[0].1 + DAY < two[1].0));
            prop_assert_eq!(Used::from_ranges(used.ranges().to_vec()), used);
        }
    }

    #[test]
    fn a_range_goes_on_with_the_minute_that_follows_within_a_day() {
        let mut used = Used::from_ranges(vec![(30_000_000, 30_000_010), (30_100_000, 30_100_007)]);
        assert_eq!(used.take_before(30_000_010 + DAY), 30_000_000);
        assert_eq!(used.ranges(), [(30_100_000, 30_100_007)]);
        assert_eq!(used.take_before(30_000_000), 30_000_000 - DAY);
        assert_eq!((used.end(), used.contains(30_100_007)), (30_100_007, false));
    }
}
