//! The expected minutes. Deliberately simple, and without any code of ingest or of the station.

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle::AckedSample;

/// A sample over more milliseconds than this is a gap.
const LONGEST_MS: u64 = 65_535;
/// A clock that is off by less is right for the history, too.
const RIGHT_MS: i64 = 15_000;

/// What moved in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Milliseconds that samples cover.
    pub covered_ms: u64,
}

impl Moved {
    pub(super) fn add(&mut self, other: Self) {
        self.rx_bytes += other.rx_bytes;
        self.tx_bytes += other.tx_bytes;
        self.covered_ms += other.covered_ms;
    }

    /// Becomes the greater of both, each value by itself.
    pub(super) fn raise(&mut self, other: Self) {
        self.rx_bytes = self.rx_bytes.max(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.max(other.tx_bytes);
        self.covered_ms = self.covered_ms.max(other.covered_ms);
    }

    /// Whether any value is above the other's.
    pub(super) fn exceeds(self, other: Self) -> bool {
        let mut most = other;
        most.raise(self);
        most != other
    }
}

/// A node's minutes, by their numbers since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Absent when the node's clock is wrong: then the history moves its minutes.
    pub minutes: Option<BTreeMap<i64, Moved>>,
    /// All of them, and what moved at a moment that is not known.
    pub whole: Moved,
}

/// What is known of the nodes' clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownClocks {
    /// All are right.
    Right,
    /// Those of nodes whose newest sample is of about this moment, and that never went back.
    RightAt(i64),
}

/// The expected minutes of each node.
pub fn expect(acknowledged: &[AckedSample], clocks: KnownClocks) -> BTreeMap<String, Truth> {
    let mut nodes: BTreeMap<&str, Vec<&AckedSample>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for sample in acknowledged {
        if seen.insert((&sample.node, sample.boot, sample.seq)) {
            nodes.entry(&sample.node).or_default().push(sample);
        }
    }
    nodes.into_iter().map(|(node, samples)| (node.to_owned(), expect_node(&samples, clocks))).collect()
}

fn expect_node(samples: &[&AckedSample], clocks: KnownClocks) -> Truth {
    let mut minutes: BTreeMap<i64, Moved> = BTreeMap::new();
    let mut whole = Moved::default();
    for sample in samples {
        let is_gap = sample.elapsed_ms > LONGEST_MS;
        let moved = Moved {
            rx_bytes: sample.rx_bytes,
            tx_bytes: sample.tx_bytes,
            covered_ms: if is_gap { 0 } else { sample.elapsed_ms },
        };
        whole.add(moved);
        // The bytes of a gap moved at a moment that is not known.
        if !is_gap {
            minutes.entry(sample.at_ms.div_euclid(60_000)).or_default().add(moved);
        }
    }
    let is_right = match clocks {
        KnownClocks::Right => true,
        KnownClocks::RightAt(now_ms) => is_clock_right(samples, now_ms),
    };
    Truth { minutes: is_right.then_some(minutes), whole }
}

/// Whether the clock never went back, and its newest time is about now.
fn is_clock_right(samples: &[&AckedSample], now_ms: i64) -> bool {
    let mut runs: BTreeMap<u64, Vec<(u64, i64)>> = BTreeMap::new();
    for sample in samples {
        runs.entry(sample.boot).or_default().push((sample.seq, sample.at_ms));
    }
    let rises = runs.values_mut().all(|run| {
        run.sort_unstable();
        run.is_sorted_by_key(|(_, at_ms)| *at_ms)
    });
    let newest_ms = samples.iter().map(|sample| sample.at_ms).max().unwrap_or(now_ms);
    rises && (newest_ms - now_ms).abs() < RIGHT_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seq: u64, at_ms: i64) -> AckedSample {
        AckedSample {
            node: "a".to_owned(),
            boot: 1,
            seq,
            at_ms,
            elapsed_ms: 1_000,
            rx_bytes: 10,
            tx_bytes: 3,
            rx_sum: 10 * seq,
            tx_sum: 3 * seq,
        }
    }

    #[test]
    fn minutes_are_sums_of_samples_each_counted_once_unless_the_clock_is_wrong() {
        let moved = |samples: u64| Moved {
            rx_bytes: 10 * samples,
            tx_bytes: 3 * samples,
            covered_ms: 1_000 * samples,
        };
        let samples = [sample(1, 59_999), sample(2, 60_000), sample(2, 60_000), sample(3, 61_000)];
        let right = &expect(&samples, KnownClocks::RightAt(61_000))["a"];
        assert_eq!(right.whole, moved(3));
        assert_eq!(right.minutes, Some(BTreeMap::from([(0, moved(1)), (1, moved(2))])));
        let late = &expect(&samples, KnownClocks::RightAt(90_000))["a"];
        assert_eq!((late.whole, &late.minutes), (moved(3), &None));
        assert_eq!(&expect(&samples, KnownClocks::Right)["a"], right);
        let put_back = [sample(1, 70_000), sample(2, 60_000)];
        assert_eq!(expect(&put_back, KnownClocks::RightAt(61_000))["a"].minutes, None);
        let gap = AckedSample { elapsed_ms: 65_536, ..sample(4, 62_000) };
        let with_gap = &expect(&[&samples[..], &[gap]].concat(), KnownClocks::RightAt(62_000))["a"];
        assert_eq!(with_gap.minutes, right.minutes);
        assert_eq!(with_gap.whole, Moved { covered_ms: 3_000, ..moved(4) });
    }
}
