//! What few nodes have besides open minutes: rows and late samples that nobody has acknowledged, counters of
//! runs that ended, bytes that are missing.

use std::collections::BTreeSet;

use tidemap_wire::{LateSample, MinuteRow, RunCounters, bounds};

use super::{
    late_list::LateList,
    packed_row::{pack_row, unpack_row},
    receipt::{Receipt, Untold},
    used::Used,
};
use crate::window::Sum;

/// Rows that were not acknowledged before their minute was closed: as long as the history takes nothing.
/// Beyond it, the oldest is given up, and its bytes are known by the runs' counters only.
const MOST_ROWS: usize = 64;
/// Late samples: all that an agent keeps, and as much again for an outage soon after. They wait for a minute
/// or two. Beyond it, the oldest is given up, and its bytes are known by the run's counters only.
const MOST_LATE: usize = 2 * bounds::SAMPLES;

/// Whether each is empty decides whether it is kept at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Aside {
    /// Closed rows, packed, oldest first.
    pub(super) rows: Vec<Box<[u8]>>,
    pub(super) late: LateList,
    /// By open minute: what the windows hold besides its row.
    pub(super) excluded: Vec<(u32, Sum)>,
    /// By open minute: how much more the current run counted in it than its row's bytes, wrapping.
    pub(super) gaps: Vec<(u32, [u64; 2])>,
    /// By open minute: counters of other runs, at most [`bounds::RUNS`] of a minute.
    pub(super) counters: Vec<(u32, RunCounters)>,
    /// Minutes of rows that were open and are not, of clocks that ended.
    pub(super) used: Used,
}

impl Aside {
    pub(super) fn is_empty(&self) -> bool {
        let Self { rows, late, excluded, gaps, counters, used } = self;
        let is_empty = rows.is_empty() && late.is_empty() && excluded.is_empty() && gaps.is_empty();
        is_empty && counters.is_empty() && used.is_empty()
    }

    /// Keeps what a run had counted in a minute whose row is closed: as a row without samples, which joins
    /// that row. Of one run only the newest waits, because it says all that earlier ones do. Returns how many
    /// rows are given up.
    pub(super) fn add_counters(&mut self, minute: u32, counters: RunCounters) -> u64 {
        let mut counters = counters;
        let mut latest = minute;
        self.rows.retain(|row| {
            let Some(MinuteRow { minute, samples: 0, counters: waiting, .. }) = unpack_row(row) else {
                return true;
            };
            let [waiting] = waiting.as_slice() else { return true };
            if waiting.boot == counters.boot {
                latest = latest.max(minute);
                counters.since = counters.since.min(waiting.since);
                counters.rx_bytes = counters.rx_bytes.max(waiting.rx_bytes);
                counters.tx_bytes = counters.tx_bytes.max(waiting.tx_bytes);
            }
            waiting.boot != counters.boot
        });
        self.add_row(&MinuteRow { minute: latest, counters: vec![counters], ..MinuteRow::default() })
    }

    /// Returns how many are given up.
    pub(super) fn add_row(&mut self, row: &MinuteRow) -> u64 {
        self.rows.push(pack_row(row));
        give_up(&mut self.rows, MOST_ROWS)
    }

    /// Returns how many are given up.
    pub(super) fn add_late(&mut self, sample: LateSample) -> u64 {
        self.late.push(sample);
        let beyond = self.late.len().saturating_sub(MOST_LATE);
        if beyond > 0 {
            self.late = self.late.iter().skip(beyond).collect();
        }
        beyond as u64
    }

    pub(super) fn untold(&self) -> Untold {
        let rows = self.rows.iter().filter_map(|row| unpack_row(row)).collect();
        Untold { rows, late: self.late.iter().collect() }
    }

    pub(super) fn acknowledge(&mut self, receipts: &[Receipt]) {
        if !self.rows.is_empty() {
            let is_new = |row: &MinuteRow| !receipts.contains(&Receipt::of_row(row));
            self.rows.retain(|row| unpack_row(row).is_some_and(|row| is_new(&row)));
        }
        let late = receipts.iter().filter_map(|receipt| match *receipt {
            Receipt::Late { boot, seq } => Some((boot, seq)),
            Receipt::Row { .. } => None,
        });
        let late: BTreeSet<(u64, u64)> = late.collect();
        if !late.is_empty() {
            self.late.retain(|one| !late.contains(&(one.boot, one.seq)));
        }
    }

    pub(super) fn exclude(&mut self, minute: u32, sum: Sum) {
        let excluded = entry(&mut self.excluded, minute);
        *excluded = excluded.plus(sum);
    }

    pub(super) fn excluded(&self, minute: u32) -> Sum {
        of(&self.excluded, minute)
    }

    pub(super) fn widen_gap(&mut self, minute: u32, by: [u64; 2]) {
        let gap = entry(&mut self.gaps, minute);
        *gap = [gap[0].wrapping_add(by[0]), gap[1].wrapping_add(by[1])];
        self.gaps.retain(|(_, gap)| *gap != [0, 0]);
    }

    pub(super) fn gap(&self, minute: u32) -> [u64; 2] {
        of(&self.gaps, minute)
    }

    pub(super) fn count(&mut self, minute: u32, counters: RunCounters) {
        let known = self.counters.iter_mut().find(|(at, run)| (*at, run.boot) == (minute, counters.boot));
        if let Some((_, run)) = known {
            run.since = run.since.min(counters.since);
            run.rx_bytes = run.rx_bytes.max(counters.rx_bytes);
            run.tx_bytes = run.tx_bytes.max(counters.tx_bytes);
            return;
        }
        self.counters.push((minute, counters));
        // As rows are joined: of too many runs, those with the lowest numbers stay.
        let of_minute = || self.counters.iter().enumerate().filter(|(_, (at, _))| *at == minute);
        if of_minute().count() > bounds::RUNS
            && let Some((highest, _)) = of_minute().max_by_key(|(_, (_, run))| run.boot)
        {
            self.counters.swap_remove(highest);
        }
    }

    /// In the order of the runs' numbers.
    pub(super) fn counters_of(&self, minute: u32) -> Vec<RunCounters> {
        let of_minute = self.counters.iter().filter(|(at, _)| *at == minute);
        let mut counters: Vec<RunCounters> = of_minute.map(|(_, counters)| *counters).collect();
        counters.sort_unstable_by_key(|counters| counters.boot);
        counters
    }

    /// Forgets what it has about minutes that are no longer open.
    pub(super) fn forget_before(&mut self, first: u32, run_first: u32) {
        self.excluded.retain(|(minute, _)| *minute >= first);
        self.counters.retain(|(minute, _)| *minute >= first);
        self.gaps.retain(|(minute, _)| *minute > run_first);
    }

    pub(super) fn forget_gaps(&mut self) {
        self.gaps.clear();
    }
}

/// Returns how many were given up to hold `most`.
fn give_up<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let beyond = list.len().saturating_sub(most);
    list.drain(..beyond);
    beyond as u64
}

fn of<T: Copy + Default>(list: &[(u32, T)], minute: u32) -> T {
    list.iter().find(|(at, _)| *at == minute).map_or_else(T::default, |(_, value)| *value)
}

fn entry<T: Default>(list: &mut Vec<(u32, T)>, minute: u32) -> &mut T {
    let place = list.iter().position(|(at, _)| *at == minute).unwrap_or_else(|| {
        list.push((minute, T::default()));
        list.len() - 1
    });
    &mut list[place].1
}
