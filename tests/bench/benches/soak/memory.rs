//! Memory of processes over time, and whether it grows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidemap_testkit::usage;

/// A process that has just started fills its buffers.
const SETTLING_S: f64 = 60.0;
/// Shorter series are not judged.
const SHORTEST_S: f64 = 60.0;
/// The allowed growth in the long run.
const MB_PER_HOUR: f64 = 12.0;
/// The allowed variation between two medians: from allocators, garbage collectors, and windows of 15 minutes
/// that fill. Within three minutes a worker's memory fell by 1.6 MB.
const BREATH_MB: f64 = 3.0;

/// The used part of nats-server's heap.
pub(crate) const BROKER_HEAP: &str = "its live heap";
/// Figures that are reported but not judged. The simulator keeps ten minutes of samples, as agents do, and is
/// not a service. nats-server's resident memory consists mostly of garbage that is not collected yet and of
/// reserve, so its live heap is judged instead.
const UNBOUNDED: [&str; 2] = ["simulator", "nats-server"];

/// What was seen of each process.
#[derive(Default)]
pub(crate) struct Memory {
    series: BTreeMap<(u32, &'static str), Vec<(f64, f64)>>,
}

/// The growth of one process's memory.
struct Growth {
    /// The medians of the second and the last quarter, in MB. A straight line through all points would follow
    /// the few outliers, which dominate in a short run; and the first quarter still depends on the start.
    from: f64,
    to: f64,
    /// Between the middles of the two.
    seconds: f64,
}

impl Memory {
    /// Notes the memory of each process now.
    pub(crate) fn look(&mut self, at: Duration, processes: &[(&'static str, u32)]) -> anyhow::Result<()> {
        for (process, pid) in processes {
            self.note(at, (*pid, process), usage::resident_bytes(*pid)?);
        }
        Ok(())
    }

    /// Notes what a part of a process takes.
    pub(crate) fn note(&mut self, at: Duration, part: (u32, &'static str), bytes: u64) {
        self.series.entry(part).or_default().push((at.as_secs_f64(), bytes as f64 / 1e6));
    }

    /// Prints the growth of each process that lived long enough. Returns whether all are within their limits.
    pub(crate) fn print(&self) -> bool {
        let (mut is_flat, mut judged) = (true, BTreeSet::new());
        for ((pid, process), series) in &self.series {
            let Some(Growth { from, to, seconds }) = growth(series) else { continue };
            let bound = BREATH_MB + MB_PER_HOUR * seconds / 3_600.0;
            judged.insert(*process);
            let is_judged = !UNBOUNDED.contains(process);
            let is_bounded = to - from <= bound || !is_judged;
            let verdict = match (is_judged, is_bounded) {
                (false, _) => String::new(),
                (true, true) => format!(" (bound {bound:+.1})"),
                (true, false) => format!(" (bound {bound:+.1})  GROWS"),
            };
            is_flat &= is_bounded;
            println!(
                "memory of {process:13} {pid:7}: {from:6.1} MB, {seconds:4.0} s later {to:6.1} MB: {:+5.2} MB{verdict}",
                to - from
            );
        }
        let all: BTreeSet<_> = self.series.keys().map(|(_, process)| *process).collect();
        for process in all.difference(&judged) {
            println!(
                "memory of {process:13}: none lived long enough to say whether it grows; soak for longer"
            );
        }
        is_flat
    }
}

/// `None` when a process has not lived long enough.
fn growth(series: &[(f64, f64)]) -> Option<Growth> {
    let begun = series.first()?.0 + SETTLING_S;
    let lasted = series.last()?.0 - begun;
    if lasted < SHORTEST_S {
        return None;
    }
    let quarter = |number: f64| {
        let from = begun + lasted * number / 4.0;
        let of_it = series.iter().filter(|(at_s, _)| (from..=from + lasted / 4.0).contains(at_s));
        median(of_it.map(|(_, megabytes)| *megabytes).collect())
    };
    Some(Growth { from: quarter(1.0)?, to: quarter(3.0)?, seconds: lasted / 2.0 })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
