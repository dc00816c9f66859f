//! A made-up fleet's minutes: the same rows for everybody.

use std::collections::BTreeMap;

use fastrand::Rng;
use tidemap_wire::{
    CpuMinute, Extremes, Hello, HostMinute, Location, LocationSource, MinuteRow, NodeId, RunCounters,
};

/// Where all nodes are that introduce themselves.
pub(crate) const PLACE: &str = "Bergen";

/// Some nodes and a range of minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) nodes: u32,
    /// The first minute.
    pub(crate) from: u32,
    pub(crate) minutes: u32,
}

impl Fleet {
    pub(crate) fn name(&self, number: u32) -> String {
        format!("node-{number:06}")
    }

    pub(crate) fn id(&self, number: u32) -> NodeId {
        NodeId::from_name(&self.name(number)).unwrap()
    }

    /// What a node says of itself: it is in one place, of one provider and has a label.
    pub(crate) fn hello(&self, number: u32) -> Hello {
        let place =
            Location { lat: 60.4, lon: 5.3, label: Some(PLACE.to_owned()), source: LocationSource::Given };
        Hello {
            hostname: self.name(number),
            location: Some(place),
            provider: Some("bench".to_owned()),
            labels: BTreeMap::from([("role".to_owned(), format!("role-{}", number % 3))]),
            ..Hello::default()
        }
    }

    /// Unix milliseconds.
    pub(crate) fn range_ms(&self) -> (i64, i64) {
        (i64::from(self.from) * 60_000, i64::from(self.from + self.minutes) * 60_000)
    }

    /// A node's row: a daily rhythm, noise in each minute, and peaks in three digits as samples have them.
    /// Its host's processors follow the traffic, its memory wanders, and its disk fills.
    pub(crate) fn row(&self, number: u32, minute: u32, counted: &mut [u64; 2]) -> MinuteRow {
        let mut rng = Rng::with_seed(u64::from(number) << 32 | u64::from(minute));
        let day = f64::from(minute % 1_440) / 1_440.0 * std::f64::consts::TAU;
        let mean = 20_000.0 * (1.0 + f64::from(number % 97)) * (1.2 + (day + f64::from(number)).sin());
        let mut rate = |share: f64| {
            let (low, high) = (rng.f64() * 0.5, 1.0 + rng.f64() * rng.f64() * 8.0);
            let rate = mean * share * (0.7 + 0.6 * rng.f64());
            (digits(rate * low), rate, digits(rate * high))
        };
        let [rx, tx] = [rate(1.0), rate(0.3)];
        let bytes = [rx, tx].map(|(_, rate, _)| (rate * 60.0) as u64);
        let host = self.host(number, minute, &mut rng);
        counted.iter_mut().zip(bytes).for_each(|(counted, bytes)| *counted += bytes);
        MinuteRow {
            minute,
            samples: 60,
            covered_ms: 60_000 - rng.u32(..8) / 7,
            rx_bytes: bytes[0],
            tx_bytes: bytes[1],
            rates: Some(Extremes { rx_max: rx.2, tx_max: tx.2, rx_min: rx.0, tx_min: tx.0 }),
            counters: vec![RunCounters {
                boot: u64::from(number) + 1,
                since: self.from,
                rx_bytes: counted[0],
                tx_bytes: counted[1],
            }],
            host,
        }
    }

    fn host(&self, number: u32, minute: u32, rng: &mut Rng) -> HostMinute {
        let day = f64::from(minute % 1_440) / 1_440.0 * std::f64::consts::TAU;
        let mean = 20.0 + f64::from(number % 300) + 60.0 * (1.2 + (day + f64::from(number)).sin());
        let mean = mean * (0.8 + 0.4 * rng.f64());
        let max = (mean * (1.0 + rng.f64() * rng.f64() * 2.0)).min(1_000.0);
        let hour = f64::from(minute % 600) / 600.0 * std::f64::consts::TAU;
        let memory = 350.0 + f64::from(number % 400) + 25.0 * hour.sin() + 4.0 * rng.f64();
        let disk = 200.0 + f64::from(number % 500) + f64::from(minute - self.from) / 1_440.0;
        let load = digits(mean * (0.6 + 0.8 * rng.f64()));
        HostMinute {
            cpu: Some(CpuMinute { samples: 12, mean: mean as u16, max: max as u16 }),
            memory_max: Some(memory as u16),
            disk_max: Some(disk as u16),
            load_max: Some(load as u32),
        }
    }
}

/// How many columns of a row other stores get.
pub(crate) const COLUMNS: usize = 12;

/// What other stores get of a row, by the metrics' names.
pub(crate) fn metrics(row: &MinuteRow) -> [(&'static str, u64); COLUMNS] {
    let (rates, host) = (row.rates.unwrap(), row.host);
    let cpu = host.cpu.unwrap();
    [
        ("tidemap_rx_bytes", row.rx_bytes),
        ("tidemap_tx_bytes", row.tx_bytes),
        ("tidemap_rx_peak_bps", rates.rx_max),
        ("tidemap_tx_peak_bps", rates.tx_max),
        ("tidemap_rx_least_bps", rates.rx_min),
        ("tidemap_tx_least_bps", rates.tx_min),
        ("tidemap_covered_ms", row.covered_ms.into()),
        ("tidemap_cpu_permille", cpu.mean.into()),
        ("tidemap_cpu_max_permille", cpu.max.into()),
        ("tidemap_memory_max_permille", host.memory_max.unwrap().into()),
        ("tidemap_disk_max_permille", host.disk_max.unwrap().into()),
        ("tidemap_load_max_percent", host.load_max.unwrap().into()),
    ]
}

/// In three digits.
fn digits(rate: f64) -> u64 {
    let rate = rate as u64;
    let step = 10_u64.pow(rate.checked_ilog10().unwrap_or(0).saturating_sub(2));
    rate - rate % step
}
