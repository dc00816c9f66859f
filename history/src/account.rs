//! Which bytes moved at a moment that is not known: what a run has counted and no minute contains.
//!
//! A node's minutes are gone through in order. What the runs' counters grew by, less what the minute
//! contains, moved in a hole before or in the minute. So sums and what is not placed together are what the
//! counters say, whatever was lost.

use tidemap_wire::{MinuteRow, RunCounters, bounds};

use crate::{
    columns::{Damaged, Reader, Writer},
    host_span::HostSpan,
    point::Point,
};

/// Of more runs than this the oldest is forgotten: those of two minutes. Runs follow one another, so an older
/// one is over.
const MAX_RUNS: usize = 2 * bounds::RUNS;
/// The run of late samples beyond those of so many runs in a minute. No agent has this number.
const OTHER_RUNS: u64 = 0;

/// A node's minute: its row, and late samples beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The row; of a minute with late samples only, an empty one.
    pub row: MinuteRow,
    /// Late samples, summed by run, in the order of the runs' numbers; at most [`bounds::RUNS`] and the sum
    /// of all others.
    pub late: Vec<LateSum>,
}

/// The late samples of one run in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LateSum {
    /// The run's number.
    pub boot: u64,
    /// Milliseconds covered.
    pub covered_ms: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
}

/// What is known of a node's runs before a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The bytes of a run that began before this minute and was never heard of are not known, so its first
    /// counters are where counting begins. Of a run whose first minute is here, all are known.
    origin: u32,
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    boot: u64,
    since: u32,
    /// The last minute with a row of this run.
    seen: u32,
    /// What it had counted there; absent when only late samples are known.
    counted: Option<Bytes>,
    /// Bytes that minutes contain and the counters do not yet.
    ahead: Bytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes {
    rx: u64,
    tx: u64,
}

impl Bytes {
    fn plus(self, other: Self) -> Self {
        Self { rx: self.rx.saturating_add(other.rx), tx: self.tx.saturating_add(other.tx) }
    }

    fn less(self, other: Self) -> Self {
        Self { rx: self.rx.saturating_sub(other.rx), tx: self.tx.saturating_sub(other.tx) }
    }

    fn min(self, other: Self) -> Self {
        Self { rx: self.rx.min(other.rx), tx: self.tx.min(other.tx) }
    }
}

impl Cell {
    /// Adds what another cell of the same minute contains; late samples must be others than those here.
    /// Returns whether there was any.
    pub(crate) fn join(&mut self, other: &Self) -> bool {
        self.row.minute = other.row.minute;
        let has_grown = self.row.join(&other.row);
        for late in &other.late {
            let is_known = self.late.iter().any(|known| known.boot == late.boot);
            let boot = if is_known || self.late.len() < bounds::RUNS { late.boot } else { OTHER_RUNS };
            let late = &LateSum { boot, ..*late };
            match self.late.binary_search_by_key(&late.boot, |known| known.boot) {
                Ok(place) => self.late[place].add(late),
                Err(place) => self.late.insert(place, *late),
            }
        }
        has_grown || !other.late.is_empty()
    }
}

impl LateSum {
    fn add(&mut self, other: &Self) {
        self.covered_ms = self.covered_ms.saturating_add(other.covered_ms);
        self.rx_bytes = self.rx_bytes.saturating_add(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.saturating_add(other.tx_bytes);
    }
}

impl Account {
    /// Nothing is known of runs that began before `origin`.
    pub(crate) fn new(origin: u32) -> Self {
        Self { origin, runs: Vec::new() }
    }

    /// What is known if either is true, the one or the other: of no byte that it is not counted yet.
    pub(crate) fn joined(mut self, other: &Self) -> Self {
        self.origin = self.origin.max(other.origin);
        for theirs in &other.runs {
            let run = self.run(theirs.boot, theirs.since);
            let most =
                |one: Bytes, other: Bytes| Bytes { rx: one.rx.max(other.rx), tx: one.tx.max(other.tx) };
            run.counted = match (run.counted, theirs.counted) {
                (Some(one), Some(other)) => Some(most(one, other)),
                (one, other) => one.or(other),
            };
            run.ahead = most(run.ahead, theirs.ahead);
            (run.since, run.seen) = (run.since.max(theirs.since), run.seen.max(theirs.seen));
        }
        self.forget();
        self
    }

    /// Goes on to the next minute; returns what moved in it: no more than a host can move.
    pub(crate) fn pass(&mut self, cell: &Cell) -> Point {
        let mut point = self.add_up(cell);
        self.forget();
        point.covered_ms = point.covered_ms.min(bounds::MINUTE_MS.into());
        point.rx_bytes = point.rx_bytes.min(bounds::MINUTE_BYTES);
        point.tx_bytes = point.tx_bytes.min(bounds::MINUTE_BYTES);
        point
    }

    fn add_up(&mut self, cell: &Cell) -> Point {
        let silent_since = self.runs.iter().map(|run| run.seen).max();
        let mut point = Point {
            covered_ms: cell.row.covered_ms.into(),
            rx_bytes: cell.row.rx_bytes,
            tx_bytes: cell.row.tx_bytes,
            rates: cell.row.rates,
            host: HostSpan::of_minute(cell.row.host),
            ..Point::default()
        };
        for late in &cell.late {
            point.covered_ms = point.covered_ms.saturating_add(late.covered_ms);
            point.rx_bytes = point.rx_bytes.saturating_add(late.rx_bytes);
            point.tx_bytes = point.tx_bytes.saturating_add(late.tx_bytes);
            let run = self.run(late.boot, cell.row.minute);
            run.ahead = run.ahead.plus(Bytes { rx: late.rx_bytes, tx: late.tx_bytes });
        }
        let (moved, mut ahead, is_known) = self.count(&cell.row);
        let Some(last) = cell.row.counters.last() else { return point };
        if is_known {
            ahead = ahead.plus(Bytes { rx: cell.row.rx_bytes, tx: cell.row.tx_bytes });
            let begin = cell.row.counters.iter().map(|run| run.since).min();
            let minutes = cell.row.minute.saturating_sub(silent_since.or(begin).unwrap_or(cell.row.minute));
            let most = bounds::MINUTE_BYTES.saturating_mul(u64::from(minutes) + 1);
            let unplaced = moved.less(ahead).min(Bytes { rx: most, tx: most });
            (point.unplaced_rx, point.unplaced_tx) = (unplaced.rx, unplaced.tx);
            ahead = ahead.less(moved);
        }
        self.run(last.boot, cell.row.minute).ahead = ahead;
        point
    }

    /// Notes a row's counters. Returns by how much they grew, what minutes contained of that already, and
    /// whether all of these runs were known.
    fn count(&mut self, row: &MinuteRow) -> (Bytes, Bytes, bool) {
        let (mut moved, mut ahead, mut is_known) = (Bytes::default(), Bytes::default(), true);
        let origin = self.origin;
        for RunCounters { boot, since, rx_bytes, tx_bytes } in row.counters.iter().copied() {
            let run = self.run(boot, row.minute);
            let counted = Bytes { rx: rx_bytes, tx: tx_bytes };
            let placed = std::mem::take(&mut run.ahead);
            match run.counted {
                None if since < origin.min(row.minute) => is_known = false,
                before => {
                    moved = moved.plus(counted.less(before.unwrap_or_default()));
                    ahead = ahead.plus(placed);
                }
            }
            let before = run.counted.unwrap_or_default();
            run.counted = Some(Bytes { rx: rx_bytes.max(before.rx), tx: tx_bytes.max(before.tx) });
            (run.since, run.seen) = (since, row.minute);
        }
        (moved, ahead, is_known)
    }

    fn run(&mut self, boot: u64, minute: u32) -> &mut Run {
        let place = match self.runs.binary_search_by_key(&boot, |run| run.boot) {
            Ok(place) => place,
            Err(place) => {
                // Most nodes have one run, and those of all nodes are in memory.
                self.runs.reserve_exact(1);
                self.runs.insert(place, Run { boot, since: minute, seen: minute, ..Run::default() });
                place
            }
        };
        &mut self.runs[place]
    }

    /// Forgets the run that was not seen for longest. If it comes back, counting begins again.
    fn forget(&mut self) {
        while self.runs.len() > MAX_RUNS {
            let oldest = (0..self.runs.len()).min_by_key(|place| (self.runs[*place].seen, *place));
            let Some(oldest) = oldest else { return };
            let run = self.runs.remove(oldest);
            self.origin = self.origin.max(run.since.saturating_add(1));
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.number(self.origin.into());
        out.number(self.runs.len() as u64);
        for run in &self.runs {
            out.number(run.boot);
            out.number(run.since.into());
            out.number(run.seen.into());
            out.byte(run.counted.is_some().into());
            let counted = run.counted.unwrap_or_default();
            [counted.rx, counted.tx, run.ahead.rx, run.ahead.tx]
                .into_iter()
                .for_each(|number| out.number(number));
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, Damaged> {
        let origin = input.small()?;
        let runs = (0..input.length()?).map(|_| {
            let (boot, since, seen) = (input.number()?, input.small()?, input.small()?);
            let is_counted = input.byte()? == 1;
            let counted = Bytes { rx: input.number()?, tx: input.number()? };
            let ahead = Bytes { rx: input.number()?, tx: input.number()? };
            Ok(Run { boot, since, seen, counted: is_counted.then_some(counted), ahead })
        });
        Ok(Self { origin, runs: runs.collect::<Result<_, Damaged>>()? })
    }
}

#[cfg(test)]
mod tests;
