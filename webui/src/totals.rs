//! The fleet's totals of the last five minutes, as received by this page.

use std::collections::VecDeque;

use tidemap_wire::http::StatsJson;

/// How far back the totals reach.
pub const SPAN_MS: i64 = 300_000;

/// The length of a step of a line; several totals in one step are averaged.
const STEP_MS: i64 = 4000;

/// How far from five minutes ago a total may be to be compared with.
const NEAR_MS: i64 = 5000;

/// The fleet's totals, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    points: VecDeque<Point>,
    /// What others heard before, at most one in each step.
    before: Vec<Point>,
}

/// Download or upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    Download,
    /// Sent.
    Upload,
}

#[derive(Clone, Copy, Debug)]
struct Point {
    at_ms: i64,
    rx_bps: f64,
    tx_bps: f64,
}

impl Totals {
    /// Adds what the fleet moves now.
    pub fn record(&mut self, stats: &StatsJson) {
        let at_ms = (stats.timestamp * 1000.0) as i64;
        if self.points.back().is_some_and(|newest| newest.at_ms > at_ms) {
            // The time went back, so this is another server with another clock, and earlier totals cannot be
            // used.
            self.points.clear();
            self.before.clear();
        }
        let (rx_bps, tx_bps) = (stats.total_network_rx_bytes_per_sec, stats.total_network_tx_bytes_per_sec);
        self.points.push_back(Point { at_ms, rx_bps, tx_bps });
        while self.points.front().is_some_and(|oldest| at_ms - oldest.at_ms > SPAN_MS + NEAR_MS) {
            self.points.pop_front();
        }
    }

    /// Takes what the fleet moved where nothing was heard: a time in Unix milliseconds, download and upload.
    pub fn fill(&mut self, points: impl Iterator<Item = (i64, f64, f64)>) {
        self.before = points.map(|(at_ms, rx_bps, tx_bps)| Point { at_ms, rx_bps, tx_bps }).collect();
    }

    /// Means in equal steps over the last five minutes, oldest first; absent where nothing was heard.
    pub fn line(&self, direction: Direction) -> Vec<Option<f64>> {
        let mut sums = vec![(0.0, 0_u32); (SPAN_MS / STEP_MS) as usize];
        let Some(newest) = self.points.back() else { return vec![None; sums.len()] };
        // Steps have fixed limits on the clock, so a step that is complete never changes its height.
        let newest_step = newest.at_ms / STEP_MS;
        let last = sums.len() - 1;
        let heard = self.points.iter().map(|point| (point, true));
        for (point, is_heard) in heard.chain(self.before.iter().map(|point| (point, false))) {
            let steps_ago = (newest_step - point.at_ms / STEP_MS) as usize;
            if let Some((sum, n)) = last.checked_sub(steps_ago).and_then(|step| sums.get_mut(step))
                && (is_heard || *n == 0)
            {
                *sum += point.of(direction);
                *n += 1;
            }
        }
        sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect()
    }

    /// The newest total in relation to that of five minutes ago: 0.1 is a tenth more. Absent before five
    /// minutes have been heard, and when nothing moved then.
    pub fn change(&self, direction: Direction) -> Option<f64> {
        let newest = self.points.back()?;
        let then_ms = newest.at_ms - SPAN_MS;
        let then =
            self.points.iter().chain(&self.before).min_by_key(|point| (point.at_ms - then_ms).abs())?;
        let comparable = (then.at_ms - then_ms).abs() <= NEAR_MS && then.of(direction) > 0.0;
        comparable.then(|| newest.of(direction) / then.of(direction) - 1.0)
    }
}

impl Point {
    fn of(self, direction: Direction) -> f64 {
        match direction {
            Direction::Download => self.rx_bps,
            Direction::Upload => self.tx_bps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(seconds: impl IntoIterator<Item = u32>, rx: impl Fn(u32) -> f64) -> Totals {
        let mut totals = Totals::default();
        for second in seconds {
            totals.record(&StatsJson {
                timestamp: 1_000_000.0 + f64::from(second),
                total_network_rx_bytes_per_sec: rx(second),
                ..StatsJson::default()
            });
        }
        totals
    }

    #[test]
    fn a_step_is_the_mean_of_what_was_heard_in_it() {
        let line = heard(0..8, f64::from).line(Direction::Download);
        assert_eq!(line.len(), 75);
        assert_eq!(line[72..], [None, Some(1.5), Some(5.5)]);
    }

    #[test]
    fn what_was_before_fills_the_line_and_not_what_was_heard() {
        let mut totals = heard(300..308, f64::from);
        let point = |second: i64| (1_000_000_000 + second * 1000, 7.0, 1.0);
        totals.fill([0, 8, 296, 300, 304].map(point).into_iter());
        let line = totals.line(Direction::Download);
        assert_eq!(
            (line[0], line[1], line[72..].to_vec()),
            (Some(7.0), None, vec![Some(7.0), Some(301.5), Some(305.5)])
        );
        assert_eq!(totals.line(Direction::Upload)[72], Some(1.0));
        assert_eq!(totals.change(Direction::Download), Some(307.0 / 7.0 - 1.0), "from the beginning");
        totals.record(&StatsJson::default());
        assert_eq!(totals.line(Direction::Download).iter().flatten().count(), 1, "another server's");
    }

    #[test]
    fn silence_is_a_gap_and_old_totals_are_dropped() {
        let totals = heard([0, 400, 420], |_| 7.0);
        let known: Vec<usize> =
            totals.line(Direction::Download).iter().enumerate().filter_map(|(at, v)| v.map(|_| at)).collect();
        assert_eq!(known, [69, 74]);
        assert_eq!(totals.points.len(), 2);
    }

    #[test]
    fn change_needs_five_minutes() {
        assert_eq!(heard(0..290, f64::from).change(Direction::Download), None);
        let doubled = heard(0..=300, |second| if second < 10 { 50.0 } else { 100.0 });
        assert_eq!(doubled.change(Direction::Download), Some(1.0));
        assert_eq!(heard(0..=300, |_| 0.0).change(Direction::Download), None);
    }

    #[test]
    fn a_clock_that_goes_back_starts_over() {
        assert_eq!(heard([50, 10, 11], |_| 1.0).points.len(), 2);
    }
}
