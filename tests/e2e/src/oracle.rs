//! The expected answer of `/api/nodes`, computed from the simulator's ack log alone.
//!
//! Deliberately simple, and without any code of ingest: every sample is kept, sums are integers, and the only
//! division is rounded by integer arithmetic, too. Its rules are those of the design:
//!
//! * a sample is known by node, run (`boot`) and `seq`; a second one with the same three is a duplicate;
//! * a sample's bytes and the time that it covers count, whole, in the bucket in which the host's clock stood
//!   when it was read: 1 s buckets for the averages of 10 s and 1 m, 15 s buckets for those of 5 m and 15 m;
//! * one that covers more than 65,535 ms is a gap: it counts neither bytes nor time;
//! * windows end with the newest bucket that a sample is in; but when a sample, in the order in which the
//!   host took them, lies more than 40 s before another, the clock was put back and the windows start again
//!   with it;
//! * totals add up what each run has counted.
//!
//! The API rounds nothing here: an average is the f64 that is nearest to the exact quotient.

mod comparison;
mod sample;

use std::collections::BTreeMap;

pub use comparison::{Mismatch, compare};
pub use sample::{AckedSample, read};

/// A sample over more milliseconds than this is a gap.
const LONGEST_MS: u64 = 65_535;
/// A clock that steps back by more than this was put back.
const PUT_BACK_MS: i64 = 40_000;
/// Buckets of a window: their length and number, in the order 10 s, 1 m, 5 m, 15 m.
const WINDOWS: [(i64, i64); 4] = [(1_000, 10), (1_000, 60), (15_000, 20), (15_000, 60)];

/// The expected values of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Average download over 10 s, 1 m, 5 m and 15 m.
    pub rx_avg: [Option<f64>; 4],
    /// Average upload.
    pub tx_avg: [Option<f64>; 4],
    /// Bytes received over all runs.
    pub rx_total: u64,
    /// Bytes sent.
    pub tx_total: u64,
    /// Samples, each counted once.
    pub samples: u64,
}

/// The expected values of each node after these samples.
pub fn expect(samples: &[AckedSample]) -> BTreeMap<String, Expected> {
    let mut nodes: BTreeMap<&str, Vec<&AckedSample>> = BTreeMap::new();
    for sample in samples {
        nodes.entry(&sample.node).or_default().push(sample);
    }
    nodes.into_iter().map(|(node, samples)| (node.to_owned(), expect_node(&samples))).collect()
}

fn expect_node(acknowledged: &[&AckedSample]) -> Expected {
    let samples = in_order(acknowledged);
    let mut totals: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for sample in &samples {
        let (rx, tx) = totals.entry(sample.boot).or_default();
        (*rx, *tx) = ((*rx).max(sample.rx_sum), (*tx).max(sample.tx_sum));
    }
    let counted = since_the_clock_was_put_back(&samples);
    let averages = |bytes: fn(&AckedSample) -> u64| WINDOWS.map(|window| average(&counted, window, bytes));
    Expected {
        rx_avg: averages(|sample| sample.rx_bytes),
        tx_avg: averages(|sample| sample.tx_bytes),
        rx_total: totals.values().map(|(rx, _)| rx).sum(),
        tx_total: totals.values().map(|(_, tx)| tx).sum(),
        samples: samples.len() as u64,
    }
}

/// Each sample once, in the order in which the host took them: run after run, by number. Of two runs, the one
/// of which a sample was acknowledged first comes first.
fn in_order<'a>(acknowledged: &[&'a AckedSample]) -> Vec<&'a AckedSample> {
    let mut runs: Vec<u64> = Vec::new();
    let mut by_number: BTreeMap<(usize, u64), &AckedSample> = BTreeMap::new();
    for sample in acknowledged {
        let run = runs.iter().position(|boot| *boot == sample.boot).unwrap_or_else(|| {
            runs.push(sample.boot);
            runs.len() - 1
        });
        by_number.entry((run, sample.seq)).or_insert(sample);
    }
    by_number.into_values().collect()
}

fn since_the_clock_was_put_back<'a>(samples: &[&'a AckedSample]) -> Vec<&'a AckedSample> {
    let (mut begin, mut newest_ms) = (0, i64::MIN);
    for (place, sample) in samples.iter().enumerate() {
        if newest_ms.saturating_sub(sample.at_ms) > PUT_BACK_MS {
            (begin, newest_ms) = (place, sample.at_ms);
        }
        newest_ms = newest_ms.max(sample.at_ms);
    }
    samples[begin..].to_vec()
}

fn average(
    samples: &[&AckedSample],
    (step_ms, count): (i64, i64),
    bytes: fn(&AckedSample) -> u64,
) -> Option<f64> {
    let newest = samples.iter().map(|sample| sample.at_ms.div_euclid(step_ms)).max()?;
    let within = samples.iter().filter(|sample| newest - sample.at_ms.div_euclid(step_ms) < count);
    let (mut sum_bytes, mut sum_ms) = (0, 0);
    for sample in within.filter(|sample| sample.elapsed_ms <= LONGEST_MS) {
        sum_bytes += bytes(sample);
        sum_ms += sample.elapsed_ms;
    }
    (sum_ms > 0).then(|| quotient(u128::from(sum_bytes) * 1_000, u128::from(sum_ms)))
}

/// The f64 nearest to `numerator / denominator`.
fn quotient(numerator: u128, denominator: u128) -> f64 {
    if numerator == 0 {
        return 0.0;
    }
    let bits = |number: u128| i64::from(u128::BITS - number.leading_zeros());
    // At least 64 bits of quotient, so that the lowest bit can represent all bits after it.
    let shift = (64 + bits(denominator) - bits(numerator)).max(0) as u32;
    let scaled = numerator << shift;
    let inexact = !scaled.is_multiple_of(denominator);
    let whole = (scaled / denominator) | u128::from(inexact);
    whole as f64 * 0.5_f64.powi(shift.cast_signed())
}

#[cfg(test)]
mod tests;
