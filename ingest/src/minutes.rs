//! A node's last 15 minutes as rows for the history, and what of them was not acknowledged yet. Pure.
//!
//! A row is a function of the set of samples of its minute. Which minutes are open follows from the newest
//! sample alone, never from acknowledgements: so owners that read the same log again close the same minutes,
//! and a sample is either part of its row or a late sample, whoever tells it. No minute is opened twice. Sums
//! of bytes are those of the windows' quarters of a minute.

mod aside;
mod counters;
mod host_cell;
mod late_list;
mod packed;
mod packed_row;
mod peaks;
mod receipt;
mod used;

use serde::{Deserialize, Serialize};
use tidemap_wire::{HostMinute, LateSample, MinuteRow, Sample, bounds, history_query};

use crate::window::{Sum, Windows, minute_of};
use aside::Aside;
use host_cell::HostCell;
use packed::PackedRing;
use peaks::Peaks;
pub(crate) use receipt::Added;
pub use receipt::{Receipt, Untold};
use used::{DAY, Used};

/// How many minutes are open at most: as many whole ones as the windows hold.
const OPEN: u32 = 15;
const SLOTS: usize = OPEN as usize;
const _: () = assert!((OPEN as i64 - 1) * 60_000 >= history_query::RECENT_REACH_MS);
/// As [`MinuteRing::first`] while no minute is open.
const CLOSED: u32 = u32::MAX;

/// The open minutes, by the host's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "PackedRing", into = "PackedRing")]
pub(crate) struct MinuteRing {
    peaks: [Peaks; SLOTS],
    hosts: [HostCell; SLOTS],
    /// Samples of each minute.
    samples: [u16; SLOTS],
    /// The minutes whose rows were not acknowledged as they are, a bit for each slot.
    untold: u16,
    /// The first open minute.
    first: u32,
    /// While minutes are open, the first minute of the rows from which on all may have been open before.
    from: u32,
    /// What rows add to the host's minutes. Samples of runs with another clock become late samples.
    offset: i32,
    /// The minute from which on the current run's counters are known; [`CLOSED`] when they are not.
    run_first: u32,
    /// The current run's counters at the end of the newest minute.
    run_end: [u64; 2],
    /// Absent for nearly every node.
    aside: Option<Box<Aside>>,
}

// A size class of the allocator.
const _: () = assert!(size_of::<MinuteRing>() <= 384);

/// Which of an agent's runs a sample is of. A run whose clock jumps is two runs for the history, so that
/// within each, later samples are of later minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) boot: u64,
    /// What the run had counted when this part of it began.
    pub(crate) base: [u64; 2],
    /// The minute of its first sample, as in rows, or a later one where that cannot be right.
    pub(crate) since: u32,
    /// Minutes to add to its host's.
    pub(crate) offset: i32,
    /// Whether it is the node's current run, and of its present clock.
    pub(crate) is_current: bool,
    /// Whether the sample is the newest of the current run.
    pub(crate) is_newest: bool,
}

impl Source {
    /// What the run has counted, from counters of its agent.
    pub(crate) fn counted(&self, counters: [u64; 2]) -> [u64; 2] {
        [0, 1].map(|way| counters[way].saturating_sub(self.base[way]))
    }
}

impl MinuteRing {
    /// Whether nothing was ever counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.first == CLOSED && self.aside.is_none()
    }

    /// Minutes to add to its host's, while it has open ones.
    pub(crate) fn open_offset(&self) -> Option<i32> {
        (self.first != CLOSED).then_some(self.offset)
    }

    /// Closes the minutes that a sample at `at_ms` moves out of the windows. Called before it does so.
    /// Returns how many rows are given up.
    pub(crate) fn advance(&mut self, windows: &Windows, at_ms: i64, current: Source) -> u64 {
        let to = minute_of(at_ms);
        let newest = windows.newest_minute().unwrap_or(to);
        let first = to.saturating_sub(OPEN - 1);
        if self.first == CLOSED || to <= newest || first <= self.first {
            return 0;
        }
        let open = self.open_minutes(windows);
        let (begin, end) = (self.label(open.end), self.label(to).saturating_add(1));
        if self.aside.as_ref().is_some_and(|aside| aside.used.meets(begin, end)) {
            return self.close(windows, current);
        }
        let lost = self.leave(windows, open.start..open.end.min(first), current);
        if first > open.end.saturating_add(DAY) {
            let from = self.from;
            self.aside_mut().used.add(from, begin);
            self.from = Used::default().take_before(self.label(first));
        }
        self.first = first;
        if self.run_first != CLOSED {
            self.run_first = self.run_first.max(first);
        }
        let run_first = self.run_first;
        self.edit_aside(|aside| aside.forget_before(first, run_first));
        lost
    }

    /// Closes all minutes, because the clock that they are of ends, or has come to minutes that were open
    /// before. Returns how many rows are given up.
    pub(crate) fn close(&mut self, windows: &Windows, current: Source) -> u64 {
        if self.first == CLOSED {
            return 0;
        }
        let open = self.open_minutes(windows);
        let (from, end) = (self.from, self.label(open.end - 1).saturating_add(1));
        self.aside_mut().used.add(from, end);
        let lost = self.leave(windows, open, current);
        self.first = CLOSED;
        self.run_first = CLOSED;
        self.edit_aside(|aside| aside.forget_before(CLOSED, CLOSED));
        lost
    }

    /// Adds a sample, whose `sum` the windows contain already if they reach back to it. Also returns how many
    /// rows are given up.
    pub(crate) fn add(
        &mut self,
        windows: &Windows,
        is_in_windows: bool,
        sample: &Sample,
        sum: Sum,
        source: Source,
    ) -> (Added, u64) {
        let minute = minute_of(sample.at_ms);
        let newest = windows.newest_minute().unwrap_or(minute);
        if self.first == CLOSED && is_in_windows && source.is_current && minute == newest {
            self.open(windows, minute, sum, source.offset);
        }
        let is_open = self.first <= minute && minute <= newest && is_in_windows;
        if !is_open || self.offset != source.offset {
            self.exclude(is_open, sample, sum);
            let late = self.late(minute, newest, (source, sample.seq), sum);
            let late = late.map_or(Added::Unknown, Added::Late);
            // The current run's next row has its counters.
            let lost = if source.is_current {
                0
            } else {
                self.tell_counters(minute, source, [sample.rx_bytes, sample.tx_bytes])
            };
            return (late, lost);
        }
        let place = slot(minute);
        self.samples[place] = self.samples[place].saturating_add(1);
        self.untold |= 1 << place;
        if let (Some(rx), Some(tx), true) = (sample.rx_bps, sample.tx_bps, sum.covered_ms > 0) {
            self.peaks[place].add(rx, tx);
        }
        if let Some(host) = &sample.host {
            self.hosts[place].add(HostMinute::of_sample(host));
        }
        self.count(windows, (sample, sum), source);
        (Added::InRow, 0)
    }

    /// Leaves a sample out of its row, though the windows may contain it.
    pub(crate) fn exclude(&mut self, is_in_windows: bool, sample: &Sample, sum: Sum) {
        let minute = minute_of(sample.at_ms);
        if is_in_windows && self.first <= minute {
            self.aside_mut().exclude(minute, sum);
        }
    }

    /// Keeps a late sample until it is acknowledged. Returns how many are given up.
    pub(crate) fn add_late(&mut self, late: LateSample) -> u64 {
        self.aside_mut().add_late(late)
    }

    /// What was not acknowledged: rows of minutes before `until`, about the present one, and late samples.
    pub(crate) fn untold(&self, windows: &Windows, current: Source, until: u32) -> Untold {
        let mut untold = self.aside.as_ref().map(|aside| aside.untold()).unwrap_or_default();
        // What a broker's clock that was wrong has put into the future waits for its time.
        let latest = until.saturating_add(bounds::AHEAD_MINUTES);
        untold.rows.retain(|row| row.minute <= latest);
        untold.late.retain(|late| late.minute <= latest);
        if self.first != CLOSED && self.untold != 0 {
            let is_due = |minute: &u32| self.untold & 1 << slot(*minute) != 0 && self.label(*minute) < until;
            let due = self.open_minutes(windows).filter(is_due);
            untold.rows.extend(due.map(|minute| self.row(windows, minute, current)));
        }
        untold
    }

    #[cfg(test)]
    pub(crate) fn late_waiting(&self) -> u64 {
        self.aside.as_ref().map_or(0, |aside| aside.late.len() as u64)
    }

    /// The rows of all open minutes, and those of closed ones that were not acknowledged.
    pub(crate) fn newest(&self, windows: &Windows, current: Source) -> Vec<MinuteRow> {
        let mut rows = self.aside.as_ref().map(|aside| aside.untold().rows).unwrap_or_default();
        if self.first != CLOSED {
            let has_samples = |minute: &u32| self.samples[slot(*minute)] > 0;
            let open = self.open_minutes(windows).filter(has_samples);
            rows.extend(open.map(|minute| self.row(windows, minute, current)));
        }
        rows
    }

    /// Notes that the history has something. A row that has changed since comes again.
    pub(crate) fn acknowledge(&mut self, windows: &Windows, current: Source, receipts: &[Receipt]) {
        for receipt in receipts {
            let Receipt::Row { minute, .. } = *receipt else { continue };
            let clock = i64::from(minute) - i64::from(self.offset);
            let open = u32::try_from(clock).ok().filter(|clock| *clock >= self.first);
            if let Some(clock) = open.filter(|clock| clock - self.first < OPEN)
                && *receipt == Receipt::of_row(&self.row(windows, clock, current))
            {
                self.untold &= !(1 << slot(clock));
            }
        }
        self.edit_aside(|aside| aside.acknowledge(receipts));
    }

    /// Some are open.
    fn open_minutes(&self, windows: &Windows) -> std::ops::Range<u32> {
        let end = windows.newest_minute().map_or(0, |newest| newest.saturating_add(1));
        self.first..end.clamp(self.first + 1, self.first.saturating_add(OPEN))
    }

    /// Opens the minute of a sample, and those before it in which the windows have nothing.
    fn open(&mut self, windows: &Windows, minute: u32, sum: Sum, offset: i32) {
        let now = label(minute, offset);
        let mut used = self.aside.as_ref().map(|aside| aside.used.clone()).unwrap_or_default();
        if now < bounds::FIRST_MINUTE || used.contains(now) {
            return;
        }
        let is_fresh = |earlier: &u32| {
            !used.contains(label(*earlier, offset)) && windows.minute(*earlier) == Sum::default()
        };
        let earlier = (minute.saturating_sub(OPEN - 1)..minute).rev().take_while(is_fresh).last();
        (self.first, self.offset) = (earlier.unwrap_or(minute), offset);
        self.from = used.take_before(self.label(self.first));
        self.edit_aside(|aside| aside.used = used);
        let before = windows.minute(minute).minus(sum);
        if before != Sum::default() {
            self.aside_mut().exclude(minute, before);
        }
    }

    /// Empties the slots of minutes, and puts aside their rows that were not acknowledged.
    fn leave(&mut self, windows: &Windows, minutes: std::ops::Range<u32>, current: Source) -> u64 {
        let mut lost = 0;
        for minute in minutes {
            let place = slot(minute);
            if self.untold & 1 << place != 0 {
                let row = self.row(windows, minute, current);
                lost += self.aside_mut().add_row(&row);
            }
            self.untold &= !(1 << place);
            self.samples[place] = 0;
            self.peaks[place] = Peaks::NONE;
            self.hosts[place] = HostCell::default();
        }
        lost
    }

    fn row(&self, windows: &Windows, minute: u32, current: Source) -> MinuteRow {
        let sum = self.sum(windows, minute);
        let place = slot(minute);
        let mut row = MinuteRow {
            minute: self.label(minute),
            samples: u32::from(self.samples[place]),
            covered_ms: u32::try_from(sum.covered_ms).unwrap_or(u32::MAX),
            rx_bytes: sum.rx_bytes,
            tx_bytes: sum.tx_bytes,
            rates: self.peaks[place].extremes(),
            host: self.hosts[place].minute(),
            counters: self.aside.as_ref().map(|aside| aside.counters_of(minute)).unwrap_or_default(),
        };
        if self.run_first <= minute {
            let counters = vec![self.run_counters(windows, minute, current)];
            row.join(&MinuteRow { counters, ..row.clone() });
        }
        row.bound();
        row
    }

    /// What the samples of an open minute's row come to.
    fn sum(&self, windows: &Windows, minute: u32) -> Sum {
        let excluded = self.aside.as_ref().map_or_else(Sum::default, |aside| aside.excluded(minute));
        windows.minute(minute).minus(excluded)
    }

    /// The minute of an open minute's row.
    fn label(&self, minute: u32) -> u32 {
        label(minute, self.offset)
    }

    /// A sample that came too late for its row; `None` if nothing tells its minute.
    fn late(&self, minute: u32, newest: u32, (source, seq): (Source, u64), sum: Sum) -> Option<LateSample> {
        let mut late = LateSample {
            minute: self.late_label(minute, newest, source.offset)?,
            boot: source.boot,
            seq,
            covered_ms: u32::try_from(sum.covered_ms).unwrap_or(u32::MAX),
            rx_bytes: sum.rx_bytes,
            tx_bytes: sum.tx_bytes,
        };
        late.bound();
        Some(late)
    }

    /// A late sample is of no later minute than the newest row, because its clock may have been put back, and
    /// of the newest row's minute where its clock was at its own beginning.
    fn late_label(&self, minute: u32, newest: u32, offset: i32) -> Option<u32> {
        let used = || self.aside.as_ref().and_then(|aside| aside.used.end().checked_sub(1));
        let newest = if self.first == CLOSED { used() } else { Some(self.label(newest)) };
        let minute = label(minute, offset);
        let minute =
            if minute < bounds::FIRST_MINUTE { newest? } else { minute.min(newest.unwrap_or(minute)) };
        (minute >= bounds::FIRST_MINUTE).then_some(minute)
    }

    fn aside_mut(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Changes what is aside, if anything is, and drops it once it is empty.
    fn edit_aside(&mut self, edit: impl FnOnce(&mut Aside)) {
        if let Some(aside) = &mut self.aside {
            edit(aside);
            if aside.is_empty() {
                self.aside = None;
            }
        }
    }
}

impl Default for MinuteRing {
    fn default() -> Self {
        Self {
            peaks: [Peaks::NONE; SLOTS],
            hosts: [HostCell::default(); SLOTS],
            samples: [0; SLOTS],
            untold: 0,
            first: CLOSED,
            from: 0,
            offset: 0,
            run_first: CLOSED,
            run_end: [0; 2],
            aside: None,
        }
    }
}

/// The minute of the rows of a host's minute.
pub(crate) fn label(minute: u32, offset: i32) -> u32 {
    minute.saturating_add_signed(offset)
}

fn slot(minute: u32) -> usize {
    minute as usize % SLOTS
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
