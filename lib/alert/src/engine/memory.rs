//! What is kept of a signal's last values, where a value is of a window that nobody else keeps.

use std::collections::VecDeque;

use super::facts::PastRates;

/// A window is kept in so many parts.
const PARTS: i64 = 64;

/// What is kept for one signal of one target.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    Extreme(Extreme),
    Counter(Rise),
    Past(Past),
}

/// A value, and whether the window has not been watched for its whole length yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) value: Option<f64>,
    pub(super) is_partial: bool,
}

/// The highest or lowest value of a window that moves.
#[derive(Clone, Debug)]
pub(super) struct Extreme {
    window_ms: i64,
    is_max: bool,
    first_ms: Option<i64>,
    /// Begin of a part and a value of it, each worse than the next; at most one for each part.
    values: VecDeque<(i64, f64)>,
}

/// By how much a counter rises within a window.
#[derive(Clone, Debug)]
pub(super) struct Rise {
    window_ms: i64,
    first_ms: Option<i64>,
    /// The agent's run and the counter's last value.
    last: Option<(u64, f64)>,
    /// By how much it has risen in all.
    sum: f64,
    /// Begin of a part and the sum before it; at most one for each part, and one before the window.
    sums: VecDeque<(i64, f64)>,
}

/// What the history said last.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) asked_ms: Option<i64>,
    pub(super) answer: Option<(i64, PastRates)>,
}

impl Reading {
    pub(super) fn of(value: Option<f64>) -> Self {
        Self { value, is_partial: false }
    }
}

fn part_of(window_ms: i64, at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid((window_ms / PARTS).max(1))
}

impl Extreme {
    pub(super) fn new(window_ms: i64, is_max: bool) -> Self {
        Self { window_ms, is_max, first_ms: None, values: VecDeque::new() }
    }

    /// Adds a value, and reads the window up to it.
    pub(super) fn read(&mut self, at_ms: i64, value: Option<f64>) -> Reading {
        let from_ms = at_ms - self.window_ms;
        if let Some(value) = value {
            let first_ms = *self.first_ms.get_or_insert(at_ms);
            let is_max = self.is_max;
            let is_worse = |other: f64| if is_max { other > value } else { other < value };
            while self.values.back().is_some_and(|(_, other)| !is_worse(*other)) {
                self.values.pop_back();
            }
            let part = part_of(self.window_ms, at_ms.max(first_ms));
            if self.values.back().is_none_or(|(last, _)| *last < part) {
                self.values.push_back((part, value));
            }
        }
        while self.values.front().is_some_and(|(part, _)| *part <= from_ms) {
            self.values.pop_front();
        }
        let is_partial = self.first_ms.is_none_or(|first_ms| first_ms > from_ms);
        Reading { value: value.and(self.values.front().map(|(_, value)| *value)), is_partial }
    }
}

impl Rise {
    pub(super) fn new(window_ms: i64) -> Self {
        Self { window_ms, first_ms: None, last: None, sum: 0.0, sums: VecDeque::new() }
    }

    /// Adds a value of a run of the agent, and reads the window up to it.
    pub(super) fn read(&mut self, at_ms: i64, run: u64, value: Option<f64>) -> Reading {
        let from_ms = at_ms - self.window_ms;
        if let Some(value) = value {
            let part = part_of(self.window_ms, at_ms);
            if self.sums.back().is_none_or(|(last, _)| *last < part) {
                self.sums.push_back((part, self.sum));
            }
            self.first_ms.get_or_insert(at_ms);
            // A run counts from 0.
            self.sum += match self.last {
                Some((known, last)) if known == run => (value - last).max(0.0),
                Some(_) => value,
                None => 0.0,
            };
            self.last = Some((run, value));
        }
        while self.sums.get(1).is_some_and(|(part, _)| *part <= from_ms) {
            self.sums.pop_front();
        }
        let is_partial = self.first_ms.is_none_or(|first_ms| first_ms > from_ms);
        let before = self.sums.front().map(|(_, before)| *before);
        Reading { value: value.and(before.map(|before| self.sum - before)), is_partial }
    }
}

impl Past {
    /// When the history is asked again.
    pub(super) fn next_ms(&self, window_ms: i64) -> i64 {
        self.asked_ms.map_or(i64::MIN, |asked_ms| asked_ms + (window_ms / 60).clamp(60_000, 900_000))
    }

    /// What is known, unless it is too old to say anything.
    pub(super) fn rates(&self, window_ms: i64, now_ms: i64) -> Option<PastRates> {
        let is_fresh = |at_ms: i64| now_ms - at_ms <= window_ms / 4;
        self.answer.filter(|(at_ms, _)| is_fresh(*at_ms)).map(|(_, rates)| rates)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_extreme_is_that_of_the_window_but_for_a_part_of_it(
            steps in proptest::collection::vec((1_i64..5_000, 0_u32..100), 1..200),
            is_max in any::<bool>(),
        ) {
            let window_ms = 64_000;
            let mut extreme = Extreme::new(window_ms, is_max);
            let mut all: Vec<(i64, f64)> = Vec::new();
            let mut at_ms = 1_000_000;
            for (step_ms, value) in steps {
                at_ms += step_ms;
                all.push((at_ms, f64::from(value)));
                let read = extreme.read(at_ms, Some(f64::from(value)));
                let worst = |from_ms: i64| {
                    let those = all.iter().filter(|(at, _)| *at > from_ms).map(|(_, value)| *value);
                    those.reduce(|one, other| if is_max { one.max(other) } else { one.min(other) }).unwrap()
                };
                let (whole, less) = (worst(at_ms - window_ms), worst(at_ms - window_ms + window_ms / PARTS));
                let value = read.value.unwrap();
                prop_assert!((whole.min(less)..=whole.max(less)).contains(&value), "{value} {whole} {less}");
                prop_assert!(extreme.values.len() <= 66);
                prop_assert_eq!(read.is_partial, all[0].0 > at_ms - window_ms);
            }
        }
    }

    #[test]
    fn a_rise_counts_through_a_restart_of_the_agent() {
        let mut rise = Rise::new(64_000);
        let mut read = |at_s: i64, run, value| rise.read(at_s * 1_000, run, value).value;
        assert_eq!(read(100, 1, Some(50.0)), Some(0.0));
        assert_eq!(read(110, 1, Some(53.0)), Some(3.0));
        // The run that follows counts from 0.
        assert_eq!(read(120, 2, Some(2.0)), Some(5.0));
        assert_eq!(read(130, 2, None), None);
        assert_eq!(read(140, 2, Some(2.0)), Some(5.0));
        assert_eq!(read(180, 2, Some(2.0)), Some(2.0));
        assert_eq!(read(190, 2, Some(2.0)), Some(0.0));
    }
}
