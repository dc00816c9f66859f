//! Deduplication: which sequence numbers of an agent's run were applied. Exact, and nearly free.

use serde::{Deserialize, Serialize};

/// How far below the highest number it reaches: more than an agent's ring of 600 samples, because after an
/// outage live samples come before the backlog.
const WIDTH: u64 = 1_024;

/// The newest 1,024 sequence numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Dedup {
    highest: u64,
    /// How many numbers below and including the highest are without a gap, at most `WIDTH`. For nearly every
    /// run this replaces the bits.
    unbroken: u64,
    /// A bit for each number, once there was a gap.
    bits: Option<Box<Bits>>,
}

type Bits = [u64; (WIDTH / 64) as usize];

/// How a sequence number relates to those seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// Higher than all before.
    Newest,
    /// Not seen before, but lower than another.
    Late,
    /// Seen before.
    Duplicate,
    /// Too old to tell.
    Forgotten,
}

impl Dedup {
    /// The highest number seen; 0 before the first.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a number was seen; one too old to tell counts as seen.
    pub(crate) fn contains(&self, seq: u64) -> bool {
        seq <= self.highest && self.back(seq) != Novelty::Late
    }

    /// Marks a number as seen, and returns how it relates to the numbers seen before.
    pub(crate) fn mark(&mut self, seq: u64) -> Novelty {
        let novelty = if seq > self.highest { Novelty::Newest } else { self.back(seq) };
        match novelty {
            Novelty::Newest => self.advance(seq),
            Novelty::Late => {
                let (word, bit) = place(seq);
                self.bits()[word] |= bit;
            }
            Novelty::Duplicate | Novelty::Forgotten => {}
        }
        novelty
    }

    /// The relation of a number that is not above the highest.
    fn back(&self, seq: u64) -> Novelty {
        let (word, bit) = place(seq);
        let back = self.highest - seq;
        if back >= WIDTH {
            Novelty::Forgotten
        } else if back < self.unbroken || self.bits.as_ref().is_some_and(|bits| bits[word] & bit != 0) {
            Novelty::Duplicate
        } else {
            Novelty::Late
        }
    }

    fn advance(&mut self, seq: u64) {
        let skipped = seq - self.highest - 1;
        if skipped > 0 && self.highest > 0 || self.bits.is_some() {
            let from = seq - skipped.min(WIDTH - 1);
            let bits = self.bits();
            for number in from..=seq {
                let (word, bit) = place(number);
                bits[word] &= !bit;
            }
            let (word, bit) = place(seq);
            bits[word] |= bit;
        }
        self.unbroken = if skipped == 0 { (self.unbroken + 1).min(WIDTH) } else { 1 };
        self.highest = seq;
        if self.unbroken == WIDTH {
            // The last gap is too old to matter.
            self.bits = None;
        }
    }

    /// The bits, created from `unbroken` when there were none.
    fn bits(&mut self) -> &mut Bits {
        let (highest, unbroken) = (self.highest, self.unbroken);
        self.bits.get_or_insert_with(|| {
            let mut bits = Box::<Bits>::default();
            for (word, bit) in (highest - unbroken + 1..=highest).map(place) {
                bits[word] |= bit;
            }
            bits
        })
    }
}

fn place(seq: u64) -> (usize, u64) {
    let place = seq % WIDTH;
    ((place / 64) as usize, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn every_number_is_new_once(numbers in proptest::collection::vec(1_u64..3_000, 1..300)) {
            let mut seen = Dedup::default();
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
