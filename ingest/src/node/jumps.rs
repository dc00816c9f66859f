//! Runs whose clock jumped. For the history each part of a run between two jumps is a run of its own, with a
//! number and counters of its own. So within what the history takes for a run, later samples are of later
//! minutes, and what its counters grow by from minute to minute is what moved there, whatever clocks do.

use serde::{Deserialize, Serialize};

/// So many parts are known at most. Samples of others are not placed: counters have their bytes.
const MOST: usize = 16;

/// The parts that ended, the oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Jumps(Vec<Ended>);

/// A part of a run that ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended {
    boot: u64,
    /// The number of its last sample.
    last: u64,
    /// What the run had counted then.
    counted: [u64; 2],
    /// What was added to its minutes; absent when parts before it are not known.
    offset: Option<i32>,
    /// The minute, as in rows, of the first sample after it.
    next_since: u32,
}

/// The part of a run that a sample is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// What the history knows it by.
    pub(super) name: u64,
    /// What the run had counted when it began.
    pub(super) base: [u64; 2],
    /// The minute of its first sample; absent for a run's first part.
    pub(super) since: Option<u32>,
    /// What was added to its minutes; absent for the part that has not ended.
    pub(super) offset: Option<i32>,
}

impl Stretch {
    /// Of a run whose clock did not jump.
    pub(super) fn whole(boot: u64) -> Self {
        Self { name: boot, base: [0, 0], since: None, offset: None }
    }
}

impl Jumps {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The part of a run that a sample is of; none if it is no longer known.
    pub(super) fn part(&self, boot: u64, seq: u64) -> Option<Stretch> {
        let of_run = || self.0.iter().filter(|ended| ended.boot == boot);
        let before = of_run().rfind(|ended| ended.last < seq);
        let own = of_run().find(|ended| ended.last >= seq);
        if own.is_some_and(|ended| ended.offset.is_none()) {
            return None;
        }
        Some(Stretch {
            name: before.map_or(boot, |before| name(boot, before.last)),
            base: before.map_or([0, 0], |before| before.counted),
            since: before.map(|before| before.next_since),
            offset: own.and_then(|ended| ended.offset),
        })
    }

    /// Ends the present part of a run with its sample `last`.
    pub(super) fn end(&mut self, boot: u64, (last, counted): (u64, [u64; 2]), offset: i32, next_since: u32) {
        self.0.push(Ended { boot, last, counted, offset: Some(offset), next_since });
        if self.0.len() > MOST {
            let boot = self.0.remove(0).boot;
            if let Some(next) = self.0.iter_mut().find(|ended| ended.boot == boot) {
                next.offset = None;
            }
        }
    }

    /// Forgets a run that is no longer remembered.
    pub(super) fn forget(&mut self, boot: u64) {
        self.0.retain(|ended| ended.boot != boot);
    }
}

/// The number of the part after a sample: no other run has it, and it is not 0.
fn name(boot: u64, last: u64) -> u64 {
    // The last steps of SplitMix64, which mixes well.
    let mixed = (boot ^ last.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_the_part_in_which_its_number_lies() {
        let mut jumps = Jumps::default();
        assert_eq!(jumps.part(7, 5), Some(Stretch { name: 7, base: [0, 0], since: None, offset: None }));
        jumps.end(7, (10, [100, 1]), -60, 3_000);
        jumps.end(7, (25, [250, 2]), 0, 2_000);
        let parts = [1, 10, 11, 25, 26].map(|seq| jumps.part(7, seq).unwrap());
        let [first, second, third] = [parts[0], parts[2], parts[4]];
        assert_eq!((parts[1], parts[3]), (first, second));
        assert_eq!((first.name, first.base, first.since, first.offset), (7, [0, 0], None, Some(-60)));
        assert_eq!((second.base, second.since, second.offset), ([100, 1], Some(3_000), Some(0)));
        assert_eq!((third.base, third.since, third.offset), ([250, 2], Some(2_000), None));
        assert!(first.name != second.name && second.name != third.name && first.name != third.name);
        assert_eq!(jumps.part(8, 11).unwrap().name, 8);
        jumps.forget(7);
        assert!(jumps.is_empty());
    }

    #[test]
    fn of_too_many_parts_the_oldest_are_not_known() {
        let mut jumps = Jumps::default();
        for jump in 1..=20 {
            jumps.end(7, (jump * 10, [jump * 100; 2]), 0, 0);
        }
        assert_eq!(jumps.0.len(), MOST);
        assert_eq!(jumps.part(7, 1), None);
        assert_eq!(jumps.part(7, 50), None);
        assert_eq!(jumps.part(7, 51).unwrap().base, [500; 2]);
        assert_eq!(jumps.part(7, 201).unwrap().base, [2_000; 2]);
    }
}
