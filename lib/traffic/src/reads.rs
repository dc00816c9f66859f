//! Which rows of the history sums of periods are made of.
//!
//! The history keeps minutes for weeks, quarters of an hour for a year, and hours and days for ever; each of
//! them at multiples of its length since the Unix epoch. A period is read in the longest spans that fit, with
//! shorter ones at its ends. An end within a span of which nothing shorter is kept is moved to the nearest
//! end of a span; the next period begins there, so nothing is counted twice or left out.

#[cfg(test)]
mod tests;

use crate::{Bytes, Period};

const MINUTE_MS: i64 = 60_000;
const QUARTER_MS: i64 = 15 * MINUTE_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Lengths of the spans that are kept.
const SPANS_MS: [i64; 4] = [MINUTE_MS, QUARTER_MS, HOUR_MS, DAY_MS];
/// Whole days are read of longer periods only: those of most zones begin within a day of Unix time, so
/// several short ranges would be read instead of one.
const LONG_MS: i64 = 100 * DAY_MS;

/// From when on short spans are kept, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Minutes.
    pub minutes_ms: i64,
    /// Quarters of an hour.
    pub quarters_ms: i64,
}

/// A range of time to read in equal steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Begin, Unix milliseconds; a multiple of the step.
    pub from_ms: i64,
    /// End, likewise.
    pub to_ms: i64,
    /// Length of a step.
    pub step_ms: i64,
}

/// What moved in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What was counted as the period.
    pub counted: Period,
    /// Bytes that moved in the time that samples cover.
    pub bytes: Bytes,
    /// Bytes that moved at a moment that is not known.
    pub unplaced: Bytes,
    /// Milliseconds that samples cover.
    pub covered_ms: u64,
}

/// Sums of successive periods while they are made.
#[derive(Clone, Debug)]
pub struct Sums(Vec<Sum>);

impl Sums {
    /// Nothing has been added to the periods, of which each begins where the one before ends.
    pub fn new(periods: &[Period], reach: Reach) -> Self {
        let nothing = |period: &Period| Sum {
            counted: Period {
                from_ms: counted(period.from_ms, reach).max(0),
                to_ms: counted(period.to_ms, reach),
            },
            bytes: Bytes::default(),
            unplaced: Bytes::default(),
            covered_ms: 0,
        };
        Self(periods.iter().map(nothing).collect())
    }

    /// What must be read: whole steps, none of which belongs to two periods, none after `now_ms`, and no
    /// more than `most` in one range.
    pub fn reads(&self, now_ms: i64, most: i64) -> Vec<Read> {
        let end_ms = ceiling(now_ms, HOUR_MS);
        let mut reads: Vec<Read> = Vec::new();
        for Sum { counted, .. } in &self.0 {
            let spans = if counted.length_ms() < LONG_MS { 3 } else { 4 };
            cut(counted.from_ms, counted.to_ms.min(end_ms), &SPANS_MS[..spans], &mut |read| match reads
                .last_mut()
            {
                Some(last) if (last.to_ms, last.step_ms) == (read.from_ms, read.step_ms) => {
                    last.to_ms = read.to_ms;
                }
                _ => reads.push(read),
            });
        }
        reads.into_iter().flat_map(|read| read.parts(most)).collect()
    }

    /// Adds a step that begins at `from_ms`.
    pub fn add(&mut self, from_ms: i64, bytes: Bytes, unplaced: Bytes, covered_ms: u64) {
        let place = self.0.partition_point(|sum| sum.counted.to_ms <= from_ms);
        if let Some(sum) = self.0.get_mut(place).filter(|sum| sum.counted.contains(from_ms)) {
            sum.bytes = sum.bytes.plus(bytes);
            sum.unplaced = sum.unplaced.plus(unplaced);
            sum.covered_ms = sum.covered_ms.saturating_add(covered_ms);
        }
    }

    /// The sums, one for each period.
    pub fn done(self) -> Vec<Sum> {
        self.0
    }
}

impl Sum {
    /// All bytes.
    pub fn total(&self) -> Bytes {
        self.bytes.plus(self.unplaced)
    }

    /// Whether anything is known of the period.
    pub fn is_known(&self) -> bool {
        self.covered_ms > 0 || self.unplaced != Bytes::default()
    }
}

impl Read {
    /// How many steps it has.
    pub fn steps(self) -> i64 {
        (self.to_ms - self.from_ms) / self.step_ms
    }

    /// The same in ranges of so many steps at most.
    pub fn parts(self, most: i64) -> impl Iterator<Item = Self> {
        let length_ms = self.step_ms * most;
        let begins = (0..).map(move |part| self.from_ms + part * length_ms);
        begins.take_while(move |from_ms| *from_ms < self.to_ms).map(move |from_ms| Self {
            from_ms,
            to_ms: self.to_ms.min(from_ms + length_ms),
            ..self
        })
    }
}

/// Where an end of a period is counted.
fn counted(ms: i64, reach: Reach) -> i64 {
    let is_kept = |span_ms: i64, from_ms: i64| floor(ms, span_ms) >= from_ms;
    let ms = if is_kept(QUARTER_MS, reach.minutes_ms) { ms } else { nearest(ms, QUARTER_MS) };
    if is_kept(HOUR_MS, reach.quarters_ms) { ms } else { nearest(ms, HOUR_MS) }
}

/// Cuts a range into the longest spans that fit, in order.
fn cut(from_ms: i64, to_ms: i64, spans: &[i64], put: &mut impl FnMut(Read)) {
    let &[step_ms, ref longer @ ..] = spans else { return };
    let mut edge = |from_ms: i64, to_ms: i64| {
        if from_ms < to_ms {
            put(Read { from_ms, to_ms, step_ms });
        }
    };
    let Some(longer_ms) = longer.first() else { return edge(from_ms, to_ms) };
    let inner = (ceiling(from_ms, *longer_ms), floor(to_ms, *longer_ms));
    if inner.0 >= inner.1 {
        return edge(from_ms, to_ms);
    }
    edge(from_ms, inner.0);
    cut(inner.0, inner.1, longer, put);
    if inner.1 < to_ms {
        put(Read { from_ms: inner.1, to_ms, step_ms });
    }
}

fn floor(ms: i64, span_ms: i64) -> i64 {
    ms - ms.rem_euclid(span_ms)
}

fn ceiling(ms: i64, span_ms: i64) -> i64 {
    floor(ms + span_ms - 1, span_ms)
}

fn nearest(ms: i64, span_ms: i64) -> i64 {
    floor(ms + span_ms / 2, span_ms)
}
