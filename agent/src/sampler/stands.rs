//! Where the counters stand, for the next run of the agent.

use std::time::Duration;

use super::schedule::Schedule;
use crate::{
    baseline::{CountedDevice, Earlier, Stand},
    links::Links,
    meter::{Key, Meter, Reading},
};

/// How often it is kept while nothing but bytes changes. The next run needs no newer one: the newest sample's
/// sums say what moved since.
const PERIOD_MS: u64 = 10_000;

/// Decides when to keep where the counters stand.
#[derive(Debug)]
pub(super) struct Stands {
    schedule: Schedule,
    /// The counted interfaces when it was last kept.
    keys: Vec<Key>,
    /// Whether a counter may have begun again since.
    is_in_doubt: bool,
}

impl Stands {
    /// Begins with where they stand before the first sample; `None` if that cannot be known.
    pub(super) fn begin(links: &Links, meter: &Meter, interval: Duration) -> Option<(Self, Stand)> {
        let readings = links.counted_readings();
        let first = stand(links, meter, &readings)?;
        let schedule = Schedule::new(PERIOD_MS, interval);
        Some((Self { schedule, keys: keys(&readings), is_in_doubt: false }, first))
    }

    /// Where they stand at this sample, if it is to be kept: now and then, and at once when the counted
    /// interfaces have changed or a counter may have begun again.
    pub(super) fn due(
        &mut self,
        links: &Links,
        meter: &Meter,
        readings: &[Reading],
        rate_known: bool,
        now_ms: u64,
    ) -> Option<Stand> {
        let was_in_doubt = std::mem::replace(&mut self.is_in_doubt, !rate_known);
        let keys = keys(readings);
        let has_changed = was_in_doubt != self.is_in_doubt || keys != self.keys;
        let is_due = !keys.is_empty() && self.schedule.is_due(now_ms);
        if !has_changed && !is_due {
            return None;
        }
        self.schedule.done(now_ms);
        self.keys = keys;
        stand(links, meter, readings)
    }
}

/// A meter that has read the counted interfaces once, after an earlier run or for the first time.
pub(super) fn first_reading(links: &Links, earlier: Option<Earlier>) -> Meter {
    let boot = links.kernel_boot().filter(|_| earlier.is_some());
    let identities = if earlier.is_some() { links.identities() } else { Vec::new() };
    let key = |wanted: u64| Some(identities.iter().find(|(_, identity)| *identity == wanted)?.0.clone());
    let left = earlier.zip(boot).and_then(|(earlier, (boot, uptime_ms))| earlier.left(&boot, uptime_ms, key));
    let readings = links.counted_readings();
    let Some((left, ago_ms)) = left else {
        let mut meter = Meter::default();
        meter.read(0, &readings);
        return meter;
    };
    let meter = Meter::resume(left, ago_ms, &readings);
    let found = meter.total();
    tracing::info!(
        rx_bytes = found.rx_bytes,
        tx_bytes = found.tx_bytes,
        "bytes have moved since the last run of the agent"
    );
    meter
}

fn stand(links: &Links, meter: &Meter, readings: &[Reading]) -> Option<Stand> {
    let (kernel_boot, uptime_ms) = links.kernel_boot()?;
    let identities = links.identities();
    let identity = |key: &Key| Some(identities.iter().find(|(known, _)| known == key)?.1);
    let devices = meter.standings(readings).into_iter();
    let device = |(key, standing)| Some(CountedDevice { identity: identity(&key)?, standing });
    Some(Stand {
        kernel_boot,
        uptime_ms,
        sums: meter.total(),
        contained: meter.contained(),
        devices: devices.filter_map(device).collect(),
    })
}

fn keys(readings: &[Reading]) -> Vec<Key> {
    readings.iter().map(|reading| reading.key.clone()).collect()
}
