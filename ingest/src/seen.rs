//! Which sequence numbers of a run were applied: the exact and free way to drop duplicates.

use serde::{Deserialize, Serialize};

/// How far below the highest number the memory reaches: more than an agent's ring of 600 samples, because after an
/// outage live samples come before the backlog.
const WIDTH: u64 = 1_024;

/// The newest 1,024 sequence numbers, a bit each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    highest: u64,
    bits: [u64; (WIDTH / 64) as usize],
}

/// What a sequence number is to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Higher than all before.
    Newest,
    /// Not seen before, but lower than another.
    Late,
    /// Seen before.
    Duplicate,
    /// Too old to tell.
    Forgotten,
}

impl Seen {
    /// Whether a number was seen; one too old to tell counts as seen.
    pub fn contains(&self, seq: u64) -> bool {
        let (word, bit) = Self::place(seq);
        seq <= self.highest && (self.highest - seq >= WIDTH || self.bits[word] & bit != 0)
    }

    /// Marks a number as seen, and says what it was before.
    pub fn mark(&mut self, seq: u64) -> Novelty {
        if seq > self.highest {
            self.advance(seq);
            return Novelty::Newest;
        }
        if self.highest - seq >= WIDTH {
            return Novelty::Forgotten;
        }
        let (word, bit) = Self::place(seq);
        let novelty = if self.bits[word] & bit == 0 { Novelty::Late } else { Novelty::Duplicate };
        self.bits[word] |= bit;
        novelty
    }

    /// The highest number seen; 0 before the first.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    fn advance(&mut self, seq: u64) {
        let skipped = (seq - self.highest).min(WIDTH);
        for number in seq - skipped + 1..=seq {
            let (word, bit) = Self::place(number);
            self.bits[word] &= !bit;
        }
        let (word, bit) = Self::place(seq);
        self.bits[word] |= bit;
        self.highest = seq;
    }

    fn place(seq: u64) -> (usize, u64) {
        let place = seq % WIDTH;
        ((place / 64) as usize, 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn every_number_is_new_once(numbers in proptest::collection::vec(1_u64..3_000, 1..300)) {
            let mut seen = Seen::default();
            let mut model = BTreeSet::new();
            for number in numbers {
                let highest = model.last().copied().unwrap_or(0);
                let expected = if number > highest {
                    Novelty::Newest
                } else if highest - number >= WIDTH {
                    Novelty::Forgotten
                } else if model.contains(&number) {
                    Novelty::Duplicate
                } else {
                    Novelty::Late
                };
                prop_assert_eq!(seen.contains(number), matches!(expected, Novelty::Duplicate | Novelty::Forgotten));
                prop_assert_eq!(seen.mark(number), expected);
                model.insert(number);
            }
        }
    }
}
