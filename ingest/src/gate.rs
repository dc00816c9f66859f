//! The gate through which every report enters a partition.
//!
//! A key proves which node an agent is, and says nothing about what it reports. What it reports goes into
//! state, checkpoints and messages to every reader, so the gate holds it against [`bounds`]. A report that
//! cannot be right is refused. Of one that is right but for a metric, a text or a list, that part is dropped
//! or cut, and the traffic counts.

use tidemap_wire::{Bps, InterfaceRate, Probe, ReceivedReport, Sample, bounds};

use crate::refusal::Refusal;

/// The years 1970 to 9999. A host's clock may be wrong, but not beyond a calendar's range.
const TIMES_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// Admits a report of the node `token`. Returns why a part of it was left out, if one was.
///
/// # Errors
///
/// The reason when it is refused as a whole.
pub(crate) fn admit(report: &mut ReceivedReport<'_>, token: &str) -> Result<Option<Refusal>, Refusal> {
    if report.node != token {
        return Err(Refusal::NodeMismatch);
    }
    if report.samples.is_empty() {
        return Err(Refusal::Empty);
    }
    if report.samples.len() > bounds::SAMPLES {
        return Err(Refusal::TooLong);
    }
    if !report.samples.iter().all(is_plausible) {
        return Err(Refusal::Implausible);
    }
    let mut left_out = None;
    if report.hello.as_mut().is_some_and(|hello| hello.bound()) {
        left_out = Some(Refusal::Oversized);
    }
    for sample in &mut report.samples {
        if sample.interfaces.as_mut().is_some_and(InterfaceRate::bound_all) {
            left_out = Some(Refusal::Oversized);
        }
        if sample.probes.as_mut().is_some_and(Probe::bound_all) {
            left_out = Some(Refusal::Oversized);
        }
        if sample.host.as_mut().is_some_and(|host| host.bound()) {
            left_out = Some(Refusal::Metric);
        }
    }
    Ok(left_out)
}

fn is_plausible(sample: &Sample) -> bool {
    let rates = [sample.rx_bps, sample.tx_bps];
    sample.seq > 0
        && TIMES_MS.contains(&sample.at_ms)
        && (sample.elapsed_ms > 0 || rates == [None, None])
        && sample.rx_bytes.max(sample.tx_bytes) <= bounds::COUNTED_BYTES
        && rates.into_iter().flatten().all(|rate| rate.get() <= Bps::MAX_PLAUSIBLE)
}

#[cfg(test)]
mod tests;
