//! Reads the host once per tick and makes a sample of it.

use std::time::Duration;

use tidemap_service::clock::unix_ms;
use tidemap_wire::{Bps, Hello, InterfaceRate, Sample};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    AgentConfig,
    faults::FaultMeter,
    host::HostMetrics,
    identity::{Addresses, Identity, LISTED_INTERFACES},
    kernel::Kernel,
    meter::{InterfaceMeter, Key, Meter, Reading},
    timeline::Timeline,
    uplinks::{Link, Topology, Verdict},
};

/// From the baseline to the first sample: long enough for a rate that means something.
const FIRST_SAMPLE_AFTER: Duration = Duration::from_millis(250);
/// Host metrics, rates of interfaces and the topology, which is also read when an interface comes or goes.
const SLOW_EVERY_MS: u64 = 5_000;
const ADDRESSES_EVERY_MS: u64 = 60_000;

/// What one tick yields.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The sample.
    pub sample: Sample,
    /// The identity, when it has changed since it was last told.
    pub hello: Option<Hello>,
}

/// Reads the host once per tick.
pub struct Sampler {
    config: AgentConfig,
    kernel: Kernel,
    names: Vec<String>,
    topology: Topology,
    verdicts: Vec<Verdict>,
    meter: Meter,
    interface_meter: InterfaceMeter,
    fault_meter: FaultMeter,
    host: HostMetrics,
    identity: Identity,
    addresses: Addresses,
    told: Option<Hello>,
    started: Instant,
    timeline: Timeline,
    seq: u64,
    slow_at_ms: u64,
    topology_at_ms: u64,
    addresses_at_ms: u64,
    /// Whether time went by unseen since the last slow reading.
    gap: bool,
}

impl Sampler {
    /// Takes the baseline that the first sample is compared with.
    ///
    /// # Errors
    ///
    /// When the interfaces cannot be read at all.
    pub fn start(config: AgentConfig) -> anyhow::Result<Self> {
        let kernel = Kernel::new(&config)?;
        let mut sampler = Self {
            names: Vec::new(),
            topology: Topology::default(),
            verdicts: Vec::new(),
            meter: Meter::default(),
            interface_meter: InterfaceMeter::default(),
            fault_meter: FaultMeter::default(),
            host: HostMetrics::new(&config),
            identity: Identity::of_host(&config),
            addresses: Addresses::of_host(),
            told: None,
            started: Instant::now(),
            timeline: Timeline::new(0, unix_ms()),
            seq: 0,
            slow_at_ms: 0,
            topology_at_ms: 0,
            addresses_at_ms: 0,
            gap: false,
            config,
            kernel,
        };
        sampler.look_at_links(0);
        sampler.warn_of_unmatched_choice();
        sampler.interface_meter.read(0, &sampler.readings(|link, _| link.up));
        sampler.read_faults();
        // Last, and on a new clock, so that the first sample's rate has nothing of the work above in its time.
        sampler.started = Instant::now();
        sampler.timeline = Timeline::new(0, unix_ms());
        sampler.meter.read(0, &sampler.readings(|_, verdict| verdict.counted));
        Ok(sampler)
    }

    /// One sample of now.
    pub fn sample(&mut self) -> Observation {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let tick = self.timeline.tick(now_ms, unix_ms());
        let changed = self.look_at_links(now_ms);
        let moved = self.meter.read(tick.elapsed_ms, &self.readings(|_, verdict| verdict.counted));
        let moved = moved.filter(|_| !tick.gap);
        let total = self.meter.total();
        let rate = |bytes: u64| Bps::over(bytes, tick.elapsed_ms.into());
        self.seq += 1;
        self.gap |= tick.gap;
        let mut sample = Sample {
            seq: self.seq,
            at_ms: tick.at_ms,
            elapsed_ms: tick.elapsed_ms,
            rx_bytes: total.rx_bytes,
            tx_bytes: total.tx_bytes,
            rx_bps: moved.and_then(|moved| rate(moved.rx_bytes)),
            tx_bps: moved.and_then(|moved| rate(moved.tx_bytes)),
            ..Sample::default()
        };
        if self.seq == 1 || now_ms >= self.slow_at_ms + self.due_after(SLOW_EVERY_MS) {
            self.add_slow(&mut sample, now_ms);
        }
        Observation { sample, hello: self.news(changed, now_ms) }
    }

    /// Why each interface counts or not.
    pub fn judged(&self) -> impl Iterator<Item = (&Link, &Verdict)> {
        self.topology.links.iter().zip(&self.verdicts)
    }

    /// A period, less half a tick: the tick that is nearest to the due time is the one that is taken.
    fn due_after(&self, period_ms: u64) -> u64 {
        let half_tick_ms = u64::try_from(self.config.interval.as_millis() / 2).unwrap_or(0);
        period_ms.saturating_sub(half_tick_ms)
    }

    /// Reads the topology again when an interface came or went, or some time has passed; tells whether it changed.
    fn look_at_links(&mut self, now_ms: u64) -> bool {
        // When they cannot be listed they still are what they were; their counters will tell that they are silent.
        let names = self.kernel.names().unwrap_or_else(|_| self.names.clone());
        let same = names == self.names;
        if same && now_ms < self.topology_at_ms + self.due_after(SLOW_EVERY_MS) {
            return false;
        }
        let topology = self.kernel.topology(&names);
        let changed = topology != self.topology;
        if changed {
            self.verdicts = topology.judge(&self.config.choice);
            self.topology = topology;
        }
        self.names = names;
        self.topology_at_ms = now_ms;
        changed
    }

    fn readings(&self, wanted: impl Fn(&Link, &Verdict) -> bool) -> Vec<Reading> {
        let reading = |(link, _): (&Link, &Verdict)| Reading {
            key: key(link),
            counters: self.kernel.counters(&link.name),
            limit_bps: link.limit_bps(),
        };
        self.judged().filter(|(link, verdict)| wanted(link, verdict)).map(reading).collect()
    }

    fn add_slow(&mut self, sample: &mut Sample, now_ms: u64) {
        let elapsed_ms = now_ms - self.slow_at_ms;
        self.slow_at_ms = now_ms;
        let rates = self.read_interface_rates(u32::try_from(elapsed_ms).unwrap_or(u32::MAX));
        sample.interfaces = Some(rates).filter(|_| !std::mem::take(&mut self.gap));
        let faults = self.read_faults();
        let mut host = self.host.read(elapsed_ms);
        host.network_errors = faults.map(|faults| faults.errors);
        host.network_drops = faults.map(|faults| faults.drops);
        sample.host = Some(host);
    }

    fn read_interface_rates(&mut self, elapsed_ms: u32) -> Vec<InterfaceRate> {
        let readings = self.readings(|link, _| link.up);
        let mut rates = self.interface_meter.read(elapsed_ms, &readings);
        let counted = |rate: &InterfaceRate| {
            self.judged().any(|(link, verdict)| verdict.counted && link.name == rate.name)
        };
        rates.sort_by_cached_key(|rate| !counted(rate));
        rates.truncate(LISTED_INTERFACES);
        rates
    }

    fn read_faults(&mut self) -> Option<crate::kernel::Faults> {
        let counted = self.judged().filter(|(_, verdict)| verdict.counted);
        let readings: Vec<_> = counted.map(|(link, _)| (key(link), self.kernel.faults(&link.name))).collect();
        self.fault_meter.read(&readings)
    }

    /// The identity, when it has changed.
    fn news(&mut self, links_changed: bool, now_ms: u64) -> Option<Hello> {
        let addresses_due = now_ms >= self.addresses_at_ms + self.due_after(ADDRESSES_EVERY_MS);
        if !(self.told.is_none() || links_changed || addresses_due) {
            return None;
        }
        if self.told.is_some() {
            self.addresses = Addresses::of_host();
            self.addresses_at_ms = now_ms;
        }
        let hello = self.identity.hello(&self.topology, &self.verdicts, &self.addresses);
        if self.told.as_ref() == Some(&hello) {
            return None;
        }
        self.told = Some(hello.clone());
        Some(hello)
    }

    fn warn_of_unmatched_choice(&self) {
        let choice = &self.config.choice;
        for pattern in choice.include.iter().chain(&choice.exclude) {
            if !self.names.iter().any(|name| pattern.matches(name)) {
                tracing::warn!(%pattern, "no interface has this name (yet)");
            }
        }
        if !self.verdicts.iter().any(|verdict| verdict.counted) {
            tracing::warn!("no interface counts, so no rate is known; `--explain` tells why");
        }
    }
}

/// Samples at a steady pace until shutdown, handing each observation on.
pub async fn at_a_steady_pace(
    mut sampler: Sampler,
    shutdown: CancellationToken,
    mut take: impl FnMut(Observation) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut ticks = interval_at(sampler.started + FIRST_SAMPLE_AFTER, sampler.config.interval);
    // A tick that was missed is not made up for: two samples a moment apart would make a rate out of noise.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        take(sampler.sample())?;
    }
    Ok(())
}

fn key(link: &Link) -> Key {
    (link.name.clone(), link.index)
}
