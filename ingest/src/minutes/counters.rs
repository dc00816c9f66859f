//! What the agent's runs have counted at the end of each open minute.

use tidemap_wire::{RunCounters, Sample, bounds};

use super::{CLOSED, MinuteRing, Source, label, slot};
use crate::window::{Sum, Windows, minute_of};

impl MinuteRing {
    /// Notes the counters of the current run, which another replaces, or which has another clock from now on;
    /// `counters` are the highest of it. Returns how many rows are given up.
    pub(crate) fn end_run(&mut self, windows: &Windows, current: Source, counters: [u64; 2]) -> u64 {
        if self.run_first == CLOSED {
            let newest = windows.newest_minute();
            return newest.map_or(0, |newest| self.tell_counters(newest, current, counters));
        }
        for minute in self.open_minutes(windows) {
            if self.run_first <= minute && self.samples[slot(minute)] > 0 {
                let counters = self.run_counters(windows, minute, current);
                self.aside_mut().count(minute, counters);
            }
        }
        self.run_first = CLOSED;
        self.edit_aside(|aside| aside.forget_gaps());
        0
    }

    /// Keeps, to be published, what a run had counted at the end of a minute of its host of which there is no
    /// open row. It belongs to that minute, however late it is heard of: so in the order of minutes, counters
    /// have no bytes before the minutes in which those moved. Returns how many rows are given up.
    pub(super) fn tell_counters(&mut self, minute: u32, source: Source, counters: [u64; 2]) -> u64 {
        let minute = label(minute, source.offset);
        let [rx_bytes, tx_bytes] = source.counted(counters);
        if minute < bounds::FIRST_MINUTE || (rx_bytes, tx_bytes) == (0, 0) {
            return 0;
        }
        let since = source.since.min(minute);
        self.aside_mut().add_counters(minute, RunCounters { boot: source.boot, since, rx_bytes, tx_bytes })
    }

    /// Counts a sample's counters. Those of the current run at the end of each minute are kept as what they
    /// differ from the counters at the end of the minute before and the minute's bytes: by nothing, unless a
    /// sample is missing or has no rate.
    ///
    /// The run's newest sample is of an earlier minute than one before it where the host's clock was put back
    /// a little. What it has counted is known at the end of the newest minute only: at the end of its own, it
    /// contains bytes of a later minute, which would count as moved at an unknown moment besides.
    pub(super) fn count(&mut self, windows: &Windows, (sample, sum): (&Sample, Sum), source: Source) {
        let minute = minute_of(sample.at_ms);
        let newest = windows.newest_minute().unwrap_or(minute);
        let counted_in = if source.is_newest { newest } else { minute };
        let counters = source.counted([sample.rx_bytes, sample.tx_bytes]);
        let bytes = [sum.rx_bytes, sum.tx_bytes];
        if source.is_current && self.run_first == CLOSED && counted_in == newest {
            (self.run_first, self.run_end) = (newest, counters);
            return;
        }
        let grown = if source.is_current && self.run_first <= counted_in {
            let known = self.run_counters(windows, counted_in, source);
            [counters[0].saturating_sub(known.rx_bytes), counters[1].saturating_sub(known.tx_bytes)]
        } else {
            let [rx_bytes, tx_bytes] = counters;
            let since = source.since.min(self.label(counted_in));
            let run = RunCounters { boot: source.boot, since, rx_bytes, tx_bytes };
            self.aside_mut().count(counted_in, run);
            [0, 0]
        };
        self.widen_gap(minute, bytes.map(u64::wrapping_neg));
        self.widen_gap(counted_in, grown);
        if counted_in == newest {
            self.run_end = [0, 1].map(|way| self.run_end[way].wrapping_add(grown[way]));
        } else {
            self.widen_gap(counted_in + 1, grown.map(u64::wrapping_neg));
        }
        self.edit_aside(|_| ());
    }

    /// The minutes after the current run's first have gaps.
    fn widen_gap(&mut self, minute: u32, by: [u64; 2]) {
        if self.run_first < minute && by != [0, 0] {
            self.aside_mut().widen_gap(minute, by);
        }
    }

    /// The current run's counters at the end of a minute from `run_first` on.
    pub(super) fn run_counters(&self, windows: &Windows, minute: u32, current: Source) -> RunCounters {
        let later = minute.saturating_add(1)..self.open_minutes(windows).end;
        let [rx_bytes, tx_bytes] = later.fold(self.run_end, |end, later| {
            let sum = self.sum(windows, later);
            let gap = self.aside.as_ref().map_or([0, 0], |aside| aside.gap(later));
            let moved = [sum.rx_bytes.wrapping_add(gap[0]), sum.tx_bytes.wrapping_add(gap[1])];
            [0, 1].map(|way| end[way].wrapping_sub(moved[way]))
        });
        let since = current.since.min(self.label(minute));
        RunCounters { boot: current.boot, since, rx_bytes, tx_bytes }
    }
}
