//! Values that are read only every few seconds: host metrics, and the rates of single interfaces.

use tidemap_wire::{Sample, bounds};

use super::schedule::Schedule;
use crate::{
    config::AgentConfig,
    error_counters::ErrorCounters,
    host::HostMetrics,
    links::Links,
    meter::{InterfaceMeter, Reading},
};

const PERIOD_MS: u64 = 5_000;

/// Reads host metrics and the rates of interfaces.
pub(super) struct SlowReadings {
    schedule: Schedule,
    interfaces: InterfaceMeter,
    errors: ErrorCounters,
    host: HostMetrics,
    /// Whether there was a gap since the last reading.
    gap: bool,
}

impl SlowReadings {
    /// Takes the baseline.
    pub(super) fn new(config: &AgentConfig, links: &Links) -> Self {
        let mut readings = Self {
            schedule: Schedule::new(PERIOD_MS, config.interval),
            interfaces: InterfaceMeter::default(),
            errors: ErrorCounters::default(),
            host: HostMetrics::new(config),
            gap: false,
        };
        let shown = links.readings_for_display(links.counted_readings(), bounds::INTERFACES);
        readings.interfaces.read(0, &shown);
        readings.errors.read(&links.error_readings());
        readings
    }

    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        self.schedule.is_due(now_ms)
    }

    /// Notes a gap: time passed that was not measured, so rates over it would be wrong.
    pub(super) fn note_gap(&mut self) {
        self.gap = true;
    }

    /// Where the file system is mounted whose space is shown, if it is not the root.
    pub(super) fn disk_path(&self) -> Option<&str> {
        self.host.disk_path()
    }

    /// Adds the present readings to a sample whose counters have just been read.
    pub(super) fn add_to(&mut self, sample: &mut Sample, links: &Links, counted: Vec<Reading>, now_ms: u64) {
        let elapsed_ms = self.schedule.done(now_ms);
        let readings = links.readings_for_display(counted, bounds::INTERFACES);
        let rates = self.interfaces.read(u32::try_from(elapsed_ms).unwrap_or(u32::MAX), &readings);
        sample.interfaces = if std::mem::take(&mut self.gap) { None } else { Some(rates) };
        let errors = self.errors.read(&links.error_readings());
        let mut host = self.host.read(elapsed_ms);
        host.network_errors = errors.map(|counts| counts.rx_errors.saturating_add(counts.tx_errors));
        host.network_drops = errors.map(|counts| counts.rx_drops.saturating_add(counts.tx_drops));
        host.network_rx_errors = errors.map(|counts| counts.rx_errors);
        host.network_tx_errors = errors.map(|counts| counts.tx_errors);
        host.network_rx_drops = errors.map(|counts| counts.rx_drops);
        host.network_tx_drops = errors.map(|counts| counts.tx_drops);
        // Some sensors and fans show what cannot be.
        host.bound();
        sample.host = Some(Box::new(host));
    }
}
