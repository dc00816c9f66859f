//! The fleet's totals of the last five minutes, for pages that open, or come back, now.

use std::collections::VecDeque;

use tidemap_wire::{Bps, Series, http::StatsJson};

/// The length of a step. Steps have fixed limits on the clock, so one that is over never changes.
const STEP_MS: u32 = 4_000;
/// Five minutes of them.
const STEPS: usize = 75;

/// The totals in equal steps, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    steps: VecDeque<Step>,
}

/// What was heard in one step.
#[derive(Debug)]
struct Step {
    /// Broker time divided by [`STEP_MS`].
    number: i64,
    rx: f64,
    tx: f64,
    heard: u32,
}

impl Recent {
    /// Adds the totals of now, unless some worker is not heard: its nodes are in no sum, so the sums would be
    /// too low.
    pub(crate) fn record(&mut self, at_ms: i64, stats: &StatsJson) {
        if stats.partitions_fresh < stats.partitions || stats.lag_messages.is_none() {
            return;
        }
        let number = at_ms.div_euclid(i64::from(STEP_MS));
        if self.steps.back().is_some_and(|newest| newest.number > number) {
            // The broker's clock was set back: what was heard under later times cannot be placed.
            self.steps.clear();
        }
        if self.steps.back().is_none_or(|newest| newest.number < number) {
            self.steps.push_back(Step { number, rx: 0.0, tx: 0.0, heard: 0 });
        }
        if let Some(step) = self.steps.back_mut() {
            step.rx += stats.total_network_rx_bytes_per_sec;
            step.tx += stats.total_network_tx_bytes_per_sec;
            step.heard += 1;
        }
        while self.steps.front().is_some_and(|oldest| number - oldest.number >= STEPS as i64) {
            self.steps.pop_front();
        }
    }

    /// The steps up to now; one in which nothing was heard is absent.
    pub(crate) fn series(&self, at_ms: i64) -> Series {
        let end = at_ms.div_euclid(i64::from(STEP_MS)) + 1;
        let (mut rx_bps, mut tx_bps) = (vec![None; STEPS], vec![None; STEPS]);
        for step in &self.steps {
            let place = usize::try_from(step.number - end + STEPS as i64).ok().filter(|at| *at < STEPS);
            let mean = |sum: f64| Bps::new(sum / f64::from(step.heard));
            if let Some(at) = place {
                (rx_bps[at], tx_bps[at]) = (mean(step.rx), mean(step.tx));
            }
        }
        Series { step_ms: STEP_MS, end_ms: end * i64::from(STEP_MS), rx_bps, tx_bps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN_MS: i64 = 1_767_225_600_000;

    fn stats(rx: f64) -> StatsJson {
        StatsJson {
            total_network_rx_bytes_per_sec: rx,
            total_network_tx_bytes_per_sec: 2.0 * rx,
            partitions: 2,
            partitions_fresh: 2,
            lag_messages: Some(0),
            ..StatsJson::default()
        }
    }

    /// Steps with something in them: how many steps ago, and the download in bytes per second.
    fn known(recent: &Recent, at_ms: i64) -> Vec<(usize, f64)> {
        let series = recent.series(at_ms);
        assert_eq!((series.rx_bps.len(), series.tx_bps.len()), (STEPS, STEPS));
        assert!(series.end_ms > at_ms && series.end_ms - at_ms <= i64::from(STEP_MS));
        let known = series.rx_bps.iter().zip(&series.tx_bps).enumerate();
        known
            .filter_map(|(at, (rx, tx))| {
                let (rx, tx) = (rx.as_ref()?.get(), tx.as_ref()?.get());
                assert_eq!(tx, 2.0 * rx);
                Some((STEPS - 1 - at, rx))
            })
            .collect()
    }

    #[test]
    fn steps_are_means_and_those_of_which_nothing_was_heard_are_absent() {
        let mut recent = Recent::default();
        assert_eq!(known(&recent, BEGIN_MS), []);
        for (second, rx) in [(0, 10.0), (1, 20.0), (3, 30.0), (9, 5.0)] {
            recent.record(BEGIN_MS + second * 1000, &stats(rx));
        }
        assert_eq!(known(&recent, BEGIN_MS + 9_999), [(2, 20.0), (0, 5.0)]);
        assert_eq!(known(&recent, BEGIN_MS + 60_000), [(15, 20.0), (13, 5.0)]);
    }

    #[test]
    fn five_minutes_are_kept_however_long_it_runs() {
        let mut recent = Recent::default();
        for second in 0..900 {
            recent.record(BEGIN_MS + second * 1000, &stats(second as f64));
        }
        let known = known(&recent, BEGIN_MS + 899_000);
        assert_eq!((known.len(), recent.steps.len()), (STEPS, STEPS));
        assert_eq!((known[0], known[STEPS - 1]), ((STEPS - 1, 601.5), (0, 897.5)));
    }

    #[test]
    fn sums_that_lack_a_workers_nodes_are_left_out() {
        let mut recent = Recent::default();
        recent.record(BEGIN_MS, &StatsJson { partitions_fresh: 1, ..stats(9.0) });
        recent.record(BEGIN_MS, &StatsJson { lag_messages: None, ..stats(9.0) });
        assert_eq!(known(&recent, BEGIN_MS), []);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_over() {
        let mut recent = Recent::default();
        recent.record(BEGIN_MS + 100_000, &stats(9.0));
        recent.record(BEGIN_MS, &stats(4.0));
        assert_eq!(known(&recent, BEGIN_MS), [(0, 4.0)]);
        assert_eq!(known(&recent, BEGIN_MS - 50_000), [], "later than what is asked for");
    }
}
