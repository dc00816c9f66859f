//! Reads the host once per tick and makes a sample of it.

use std::time::Duration;

use tidemap_service::clock::unix_ms;
use tidemap_wire::{Bps, Hello, Sample};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    AgentConfig,
    faults::FaultMeter,
    host::HostMetrics,
    identity::{Addresses, Identity, LISTED_INTERFACES},
    links::{Change, Links},
    meter::{InterfaceMeter, Meter, Moved, Reading},
    timeline::{Tick, Timeline},
    uplinks::{Link, Verdict},
};

/// From the baseline to the first sample: long enough for a rate that means something.
const FIRST_SAMPLE_AFTER: Duration = Duration::from_millis(250);
/// Host metrics and rates of interfaces.
const SLOW_EVERY_MS: u64 = 5_000;
/// A look at what may have changed about interfaces that were there before; who comes and goes is seen at every tick.
const THOROUGH_EVERY_MS: u64 = 15_000;
const ADDRESSES_EVERY_MS: u64 = 60_000;
/// After a change or a doubtful reading: a new device may get its master, and a link its new speed, a moment later.
const THOROUGH_LOOKS: u8 = 3;
/// Containers that come and go change the inventory; nobody needs a new hello for each.
const INVENTORY_EVERY_MS: u64 = 10_000;

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
    interval: Duration,
    links: Links,
    meter: Meter,
    interface_meter: InterfaceMeter,
    fault_meter: FaultMeter,
    host: HostMetrics,
    identity: Identity,
    addresses: Addresses,
    /// The identity as last told, and when.
    told: Option<(Hello, u64)>,
    /// What has changed since it was told.
    untold: Change,
    started: Instant,
    timeline: Timeline,
    seq: u64,
    slow_at_ms: u64,
    thorough_at_ms: u64,
    /// Thorough looks to come, whatever the time.
    thorough_looks: u8,
    addresses_at_ms: u64,
    /// Whether the last reading told a rate.
    rate_known: bool,
    /// Whether time went by unseen since the last slow reading.
    gap: bool,
}

impl Sampler {
    /// Takes the baseline that the first sample is compared with.
    ///
    /// # Errors
    ///
    /// When the interfaces cannot be read at all.
    pub fn start(config: &AgentConfig) -> anyhow::Result<Self> {
        let links = Links::new(config)?;
        let mut sampler = Self {
            interval: config.interval,
            links,
            meter: Meter::default(),
            interface_meter: InterfaceMeter::default(),
            fault_meter: FaultMeter::default(),
            host: HostMetrics::new(config),
            identity: Identity::of_host(config),
            addresses: Addresses::of_host(),
            told: None,
            untold: Change::Counted,
            started: Instant::now(),
            timeline: Timeline::new(0, 0),
            seq: 0,
            slow_at_ms: 0,
            thorough_at_ms: 0,
            thorough_looks: 0,
            addresses_at_ms: 0,
            rate_known: false,
            gap: false,
        };
        sampler.links.warn_of_choice();
        let counted = sampler.links.counted_readings();
        let shown = sampler.links.readings_for_display(counted, LISTED_INTERFACES);
        sampler.interface_meter.read(0, &shown);
        sampler.fault_meter.read(&sampler.links.fault_readings());
        // Last, and on a new clock, so that the first sample's rate has nothing of the work above in its time.
        sampler.started = Instant::now();
        sampler.timeline = Timeline::new(0, unix_ms());
        sampler.meter.read(0, &sampler.links.counted_readings());
        Ok(sampler)
    }

    /// One sample of now.
    pub fn sample(&mut self) -> Observation {
        let slow = self.seq == 0 || self.now_ms() >= self.slow_at_ms + self.due_after(SLOW_EVERY_MS);
        self.look_at_links();
        // The clock and the counters are read side by side; whatever takes time comes before or after.
        let now_ms = self.now_ms();
        let tick = self.timeline.tick(now_ms, unix_ms());
        let (mut sample, counted) = self.read_counters(tick);
        if slow {
            self.add_slow(&mut sample, counted, now_ms);
        }
        Observation { sample, hello: self.news(now_ms) }
    }

    /// Why each interface counts or not.
    pub fn judged(&self) -> impl Iterator<Item = (&Link, &Verdict)> {
        self.links.judged()
    }

    fn look_at_links(&mut self) {
        let now_ms = self.now_ms();
        let thorough = now_ms >= self.thorough_at_ms + self.due_after(THOROUGH_EVERY_MS);
        if thorough {
            self.thorough_at_ms = now_ms;
        }
        self.look(thorough || self.thorough_looks > 0);
    }

    fn look(&mut self, thorough: bool) {
        let change = self.links.look(thorough);
        self.thorough_looks =
            if change == Change::Counted { THOROUGH_LOOKS } else { self.thorough_looks.saturating_sub(1) };
        self.untold = self.untold.max(change);
    }

    fn read_counters(&mut self, tick: Tick) -> (Sample, Vec<Reading>) {
        let mut readings = self.links.counted_readings();
        if self.rate_known && readings.iter().any(|reading| reading.counters.is_none()) {
            // Broken, or replaced under its name. A new one is counted from this sample on.
            self.look(true);
            readings = self.links.counted_readings();
        }
        let moved = self.meter.read(tick.elapsed_ms, &readings);
        if moved.is_none() && self.rate_known {
            self.thorough_looks = THOROUGH_LOOKS;
        }
        self.rate_known = moved.is_some();
        self.seq += 1;
        self.gap |= tick.gap;
        (counted_sample(self.seq, tick, moved, self.meter.total()), readings)
    }

    fn add_slow(&mut self, sample: &mut Sample, counted: Vec<Reading>, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.slow_at_ms);
        self.slow_at_ms = now_ms;
        let readings = self.links.readings_for_display(counted, LISTED_INTERFACES);
        let rates = self.interface_meter.read(u32::try_from(elapsed_ms).unwrap_or(u32::MAX), &readings);
        sample.interfaces = Some(rates).filter(|_| !std::mem::take(&mut self.gap));
        let faults = self.fault_meter.read(&self.links.fault_readings());
        let mut host = self.host.read(elapsed_ms);
        host.network_errors = faults.map(|faults| faults.errors);
        host.network_drops = faults.map(|faults| faults.drops);
        sample.host = Some(Box::new(host));
    }

    /// The identity, when it has changed and the change is worth telling by now.
    fn news(&mut self, now_ms: u64) -> Option<Hello> {
        let addresses_due = now_ms >= self.addresses_at_ms + self.due_after(ADDRESSES_EVERY_MS);
        let due = match (&self.told, self.untold) {
            (None, _) | (_, Change::Counted) => true,
            (Some((_, told_ms)), Change::Inventory) => {
                addresses_due || now_ms >= told_ms + INVENTORY_EVERY_MS
            }
            (_, Change::None) => addresses_due,
        };
        if !due {
            return None;
        }
        if self.told.is_some() && (addresses_due || self.untold == Change::Counted) {
            self.addresses = Addresses::of_host();
            self.addresses_at_ms = now_ms;
        }
        self.untold = Change::None;
        let hello = self.identity.hello(self.links.topology(), self.links.verdicts(), &self.addresses);
        let news = self.told.as_ref().is_none_or(|(told, _)| *told != hello);
        news.then(|| {
            self.told = Some((hello.clone(), now_ms));
            hello
        })
    }

    /// A period, less half a tick: the tick that is nearest to the due time is the one that is taken.
    fn due_after(&self, period_ms: u64) -> u64 {
        let half_tick_ms = u64::try_from(self.interval.as_millis() / 2).unwrap_or(0);
        period_ms.saturating_sub(half_tick_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the counters say. Across a gap bytes moved in a time that nobody measured: they are summed, but make no rate.
fn counted_sample(seq: u64, tick: Tick, moved: Option<Moved>, total: Moved) -> Sample {
    let rate = |bytes: u64| Bps::over(bytes, tick.elapsed_ms.into());
    let moved = moved.filter(|_| !tick.gap);
    Sample {
        seq,
        at_ms: tick.at_ms,
        elapsed_ms: tick.elapsed_ms,
        rx_bytes: total.rx_bytes,
        tx_bytes: total.tx_bytes,
        rx_bps: moved.and_then(|moved| rate(moved.rx_bytes)),
        tx_bps: moved.and_then(|moved| rate(moved.tx_bytes)),
        ..Sample::default()
    }
}

/// Samples at a steady pace until shutdown, handing each observation on.
///
/// # Errors
///
/// When `take` fails.
pub async fn at_a_steady_pace(
    mut sampler: Sampler,
    shutdown: CancellationToken,
    mut take: impl FnMut(Observation) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut ticks = interval_at(sampler.started + FIRST_SAMPLE_AFTER, sampler.interval);
    // A tick that was missed is not made up for: two samples a moment apart would make a rate out of noise.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        take(sampler.sample())?;
    }
    Ok(())
}

#[cfg(test)]
mod histories;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_makes_no_rate_but_loses_no_byte() {
        let tick = |gap| Tick { at_ms: 9_000, elapsed_ms: 500, gap };
        let moved = Some(Moved { rx_bytes: 100, tx_bytes: 50 });
        let total = Moved { rx_bytes: 1_100, tx_bytes: 1_050 };
        let rates = |sample: &Sample| (sample.rx_bps.map(Bps::get), sample.tx_bps.map(Bps::get));
        let awake = counted_sample(1, tick(false), moved, total);
        assert_eq!(rates(&awake), (Some(200.0), Some(100.0)));
        let slept = counted_sample(2, tick(true), moved, total);
        assert_eq!((rates(&slept), slept.rx_bytes, slept.tx_bytes), ((None, None), 1_100, 1_050));
        assert_eq!(rates(&counted_sample(3, tick(false), None, total)), (None, None));
    }
}
