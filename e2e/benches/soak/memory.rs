//! Memory of processes over time, and whether it grows.

use std::{collections::BTreeMap, time::Duration};

use crate::{slope::slope, usage};

/// A process that has just begun fills its buffers.
const SETTLING_S: f64 = 60.0;
/// A slope says nothing of less time than this.
const SHORTEST_S: f64 = 60.0;
/// What may be added in the long run.
const MB_PER_HOUR: f64 = 12.0;
/// What may come and go: an allocator's and a garbage collector's breath, and windows of 15 minutes that fill.
const BREATH_MB: f64 = 8.0;

/// It keeps ten minutes of samples, as agents do, and is no service: whether it grows is told, and decides nothing.
const UNBOUNDED: &str = "simulator";

/// What was seen of each process.
#[derive(Default)]
pub(crate) struct Memory {
    series: BTreeMap<(&'static str, u32), Vec<(f64, f64)>>,
}

impl Memory {
    /// Notes the memory of each process now.
    pub(crate) fn look(&mut self, at: Duration, processes: &[(&'static str, u32)]) -> anyhow::Result<()> {
        for process in processes {
            let megabytes = usage::resident_bytes(process.1)? as f64 / 1e6;
            self.series.entry(*process).or_default().push((at.as_secs_f64(), megabytes));
        }
        Ok(())
    }

    /// Prints the slope of each process that lived long enough for one. Returns whether all are within their bound.
    pub(crate) fn print(&self) -> bool {
        let mut is_flat = true;
        for ((process, pid), series) in &self.series {
            let begun = series.first().map_or(0.0, |(at_s, _)| *at_s);
            let settled: Vec<_> =
                series.iter().filter(|(at_s, _)| at_s - begun >= SETTLING_S).copied().collect();
            let (Some(first), Some(last)) = (settled.first(), settled.last()) else { continue };
            let hours = (last.0 - first.0) / 3_600.0;
            if hours * 3_600.0 < SHORTEST_S {
                continue;
            }
            let slope = slope(&settled) * 3_600.0;
            let bound = MB_PER_HOUR + BREATH_MB / hours;
            let is_bounded = slope <= bound || *process == UNBOUNDED;
            let verdict = if is_bounded { "" } else { "  GROWS" };
            is_flat &= is_bounded;
            println!(
                "memory of {process:11} {pid:7}: {:6.1} MB, after {:4.0} s {:6.1} MB: {slope:+7.1} MB/h (bound {bound:.0}){verdict}",
                first.1,
                last.0 - first.0,
                last.1
            );
        }
        is_flat
    }
}
