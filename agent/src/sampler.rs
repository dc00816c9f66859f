//! Reads the host once per tick and makes a sample of it.

mod hello_source;
mod link_watch;
mod schedule;
mod slow;
mod stands;

use std::time::Duration;

use tidemap_service::clock::{Stopwatch, unix_ms};
use tidemap_wire::{Bps, Hello, Sample};
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::{
    baseline::{Earlier, Stand},
    config::AgentConfig,
    meter::{Meter, Moved, Reading},
    timeline::{Tick, Timeline},
    uplinks::{Link, Verdict},
};
use hello_source::HelloSource;
use link_watch::LinkWatch;
use slow::SlowReadings;
use stands::Stands;

/// From the baseline to the first sample: long enough for a meaningful rate.
const FIRST_SAMPLE_AFTER: Duration = Duration::from_millis(250);

/// The result of one tick.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The sample.
    pub sample: Sample,
    /// The hello, when it has changed.
    pub hello: Option<Hello>,
    /// Where the counters stand at the sample, when it is kept for the next run.
    pub stand: Option<Stand>,
}

/// Reads the host once per tick.
pub struct Sampler {
    interval: Duration,
    clock: Stopwatch,
    timeline: Timeline,
    watch: LinkWatch,
    meter: Meter,
    /// Whether the last sample had a rate.
    rate_known: bool,
    seq: u64,
    slow: SlowReadings,
    hello: HelloSource,
    stands: Option<Stands>,
}

impl Sampler {
    /// Takes the baseline that the first sample is compared with.
    pub fn start(config: &AgentConfig) -> anyhow::Result<Self> {
        Self::start_after(config, None)
    }

    /// The same after an earlier run: the first sample's counters begin with what moved meanwhile.
    pub(crate) fn start_after(config: &AgentConfig, earlier: Option<Earlier>) -> anyhow::Result<Self> {
        let watch = LinkWatch::new(config)?;
        watch.links.warn_of_choice();
        let mut sampler = Self {
            interval: config.interval,
            slow: SlowReadings::new(config, &watch.links),
            hello: HelloSource::new(config),
            watch,
            meter: Meter::default(),
            rate_known: false,
            seq: 0,
            stands: None,
            // Last, so that the work above is not part of the first sample's interval.
            clock: Stopwatch::start(),
            timeline: Timeline::new(0, unix_ms()),
        };
        sampler.meter = stands::first_reading(&sampler.watch.links, earlier);
        Ok(sampler)
    }

    /// Says where the counters stand from now on; returns where they stand now, if that can be known.
    pub(crate) fn keep_stands(&mut self) -> Option<Stand> {
        let (stands, first) = Stands::begin(&self.watch.links, &self.meter, self.interval)?;
        self.stands = Some(stands);
        Some(first)
    }

    /// One sample of now.
    pub fn sample(&mut self) -> Observation {
        let slow = self.seq == 0 || self.slow.is_due(self.clock.now_ms());
        self.watch.tick(self.clock.now_ms());
        // The clock and the counters are read directly after each other; anything slow comes before or after.
        let now_ms = self.clock.now_ms();
        let tick = self.timeline.tick(now_ms, unix_ms());
        let (mut sample, counted) = self.read_counters(tick);
        let stand = self
            .stands
            .as_mut()
            .and_then(|stands| stands.due(&self.watch.links, &self.meter, &counted, self.rate_known, now_ms));
        if slow {
            self.slow.add_to(&mut sample, &self.watch.links, counted, now_ms);
        }
        let seconds = |period_ms: u64| ((period_ms + 500) / 1_000).max(1);
        let periods =
            self.meter.periods().map(|(key, period_ms)| (key.clone(), seconds(period_ms))).collect();
        Observation {
            sample,
            hello: self.hello.changed(&mut self.watch, periods, self.slow.disk_path(), now_ms),
            stand,
        }
    }

    /// Why each interface counts or not.
    pub(crate) fn judged(&self) -> impl Iterator<Item = (&Link, &Verdict)> {
        self.watch.links.judged()
    }

    fn read_counters(&mut self, tick: Tick) -> (Sample, Vec<Reading>) {
        let mut readings = self.watch.links.counted_readings();
        let is_missing = readings.iter().any(|reading| reading.counters.is_none());
        if self.rate_known && (is_missing || self.meter.exceeds(tick.elapsed_ms, &readings)) {
            // An interface is broken, was replaced under its name, or has a new speed. A new one is counted
            // from this sample on.
            self.watch.look(true);
            readings = self.watch.links.counted_readings();
        }
        let moved = self.meter.read(tick.elapsed_ms, &readings);
        if moved.is_none() && self.rate_known {
            self.watch.doubt();
        }
        self.rate_known = moved.is_some();
        self.seq += 1;
        if tick.gap {
            self.slow.note_gap();
        }
        (counted_sample(self.seq, tick, moved, self.meter.total()), readings)
    }
}

/// The sample of one tick. Bytes across a gap moved over a time that was not measured: they are part of the
/// sums, but make no rate.
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

/// Samples at a steady pace until shutdown, and sends each observation to the publisher.
pub(crate) async fn at_a_steady_pace(
    mut sampler: Sampler,
    shutdown: CancellationToken,
    mut take: impl FnMut(Observation) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut ticks = interval_at(sampler.clock.started() + FIRST_SAMPLE_AFTER, sampler.interval);
    // A missed tick is not made up for: two samples shortly after each other would have meaningless rates.
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
    fn a_suspended_host_makes_no_rate_but_loses_no_bytes() {
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
