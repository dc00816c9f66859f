//! The 95th percentile of slots of five minutes, as providers bill it.
//!
//! A slot's value is the average of all its five minutes, never a peak. Slots are those of Unix time. A slot
//! of which no sample covers anything is left out: counted as 0 it would lower the bill, and counted as two
//! rows it would raise it.

#[cfg(test)]
mod tests;

use crate::{Bytes, Direction, Period};

/// How long a slot is.
pub const SLOT_MS: i64 = 300_000;
const SLOT_S: u64 = 300;

/// The place of the 95th percentile among so many values in ascending order, from 1: ⌈0.95 n⌉, so that the
/// highest ⌊n / 20⌋ are discarded.
pub fn rank(count: usize) -> usize {
    count - count / 20
}

/// The 95th percentile; `None` of no values. Changes their order.
pub fn of(values: &mut [u64]) -> Option<u64> {
    let place = rank(values.len()).checked_sub(1)?;
    Some(*values.select_nth_unstable(place).1)
}

/// The slots of a billing cycle: of one node, or the sums of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots(Vec<Option<Bytes>>);

/// Which slots a period has: those that begin in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotRange {
    /// Begin of the first, Unix milliseconds.
    pub from_ms: i64,
    /// How many there are.
    pub count: usize,
}

impl SlotRange {
    /// The slots of a period.
    pub fn of(period: Period) -> Self {
        let first = |ms: i64| ms.div_euclid(SLOT_MS) + i64::from(ms.rem_euclid(SLOT_MS) > 0);
        let (from, to) = (first(period.from_ms), first(period.to_ms));
        Self { from_ms: from * SLOT_MS, count: usize::try_from(to - from).unwrap_or(0) }
    }

    /// How many of them are over by `ms`.
    pub fn over_by(self, ms: i64) -> usize {
        usize::try_from((ms - self.from_ms).div_euclid(SLOT_MS)).unwrap_or(0).min(self.count)
    }

    /// The number of the one that begins then, from 0; `None` before the first.
    pub fn number(self, from_ms: i64) -> Option<usize> {
        usize::try_from((from_ms - self.from_ms).div_euclid(SLOT_MS)).ok()
    }
}

/// What the slots of one direction come to. Rates are bytes per second, rounded down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The lowest slot.
    pub min_bps: u64,
    /// The mean of the slots.
    pub mean_bps: u64,
    /// The highest slot.
    pub max_bps: u64,
    /// The 95th percentile.
    pub p95_bps: u64,
}

/// What is billed by the 95th percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Slots that the cycle has.
    pub slots: usize,
    /// Slots that are over.
    pub expected: usize,
    /// Slots of these that have a value.
    pub present: usize,
    /// What was received.
    pub rx: Rates,
    /// What was sent.
    pub tx: Rates,
    /// Received and sent, summed in each slot.
    pub both: Rates,
    /// The rate that is billed.
    pub billed_bps: u64,
    /// How it compares to what was agreed, if there is such a rate.
    pub commit: Option<CommitUse>,
}

/// How a bill compares to the agreed rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitUse {
    /// The agreed rate.
    pub commit_bps: u64,
    /// By how much the bill exceeds it.
    pub overage_bps: u64,
    /// Slots above the agreed rate.
    pub burst_slots: usize,
    /// As many may be above it, if all that are still to come have a value: the highest twentieth.
    pub burst_budget: usize,
}

impl Slots {
    /// As many slots, none of which has a value.
    pub fn empty(count: usize) -> Self {
        Self(vec![None; count])
    }

    /// Adds what a node moved in a slot. In one bill, nodes are summed slot by slot; percentiles of several
    /// nodes do not add up.
    pub fn add(&mut self, slot: usize, bytes: Bytes) {
        if let Some(slot) = self.0.get_mut(slot) {
            *slot = Some(slot.unwrap_or_default().plus(bytes));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bill, of which the first `expected` slots are over; `None` while no slot has a value. Of
    /// [`Direction::Larger`] and `Smaller`, the percentiles are compared, not the slots.
    pub fn bill(&self, expected: usize, direction: Direction, commit_bps: Option<u64>) -> Option<Bill> {
        let expected = expected.min(self.len());
        let present: Vec<Bytes> = self.0[..expected].iter().copied().flatten().collect();
        let mut room = Vec::with_capacity(present.len());
        let mut rates = |of: fn(&Bytes) -> u64| {
            room.clear();
            room.extend(present.iter().map(of));
            rates(&mut room)
        };
        let rx = rates(|slot| slot.rx)?;
        let tx = rates(|slot| slot.tx)?;
        let both = rates(|slot| slot.rx.saturating_add(slot.tx))?;
        let billed_bps = match direction {
            Direction::Both => both.p95_bps,
            of_each => of_each.of(Bytes { rx: rx.p95_bps, tx: tx.p95_bps }),
        };
        let commit = commit_bps.map(|commit_bps| CommitUse {
            commit_bps,
            overage_bps: billed_bps.saturating_sub(commit_bps),
            burst_slots: burst_slots(&present, direction, commit_bps),
            burst_budget: (present.len() + self.len() - expected) / 20,
        });
        let present = present.len();
        Some(Bill { slots: self.len(), expected, present, rx, tx, both, billed_bps, commit })
    }
}

fn rates(values: &mut [u64]) -> Option<Rates> {
    let p95 = of(values)?;
    let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
    let mean = u64::try_from(sum / values.len() as u128).unwrap_or(u64::MAX);
    let per_second = |bytes: u64| bytes / SLOT_S;
    Some(Rates {
        min_bps: per_second(values.iter().copied().min()?),
        mean_bps: per_second(mean),
        max_bps: per_second(values.iter().copied().max()?),
        p95_bps: per_second(p95),
    })
}

/// Slots strictly above a rate: exactly the agreed rate costs nothing.
fn burst_slots(slots: &[Bytes], direction: Direction, commit_bps: u64) -> usize {
    let most = commit_bps.saturating_mul(SLOT_S);
    let above = |of: fn(&Bytes) -> u64| slots.iter().filter(|slot| of(slot) > most).count();
    let of_each = || (above(|slot| slot.rx), above(|slot| slot.tx));
    match direction {
        Direction::Both => above(|slot| slot.rx.saturating_add(slot.tx)),
        Direction::In => of_each().0,
        Direction::Out => of_each().1,
        Direction::Larger => of_each().0.max(of_each().1),
        Direction::Smaller => of_each().0.min(of_each().1),
    }
}
