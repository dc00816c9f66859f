//! What synthetic nodes report: traffic that follows the local time of day, bursts, and silences of some
//! nodes.

use std::{collections::BTreeMap, f64::consts::TAU, time::Duration};

use tidemap_wire::{
    Bps, Hello, Host, Interface, InterfaceRate, Location, LocationSource, NodeId, Report, Sample,
};

use crate::world::{PROVIDERS, ROLES, city_of, tickets};

/// How often the hello and host metrics are repeated.
const HELLO_PERIOD_MS: u64 = 60_000;
const HOST_PERIOD_MS: u64 = 5_000;
/// One node in this many goes silent from time to time.
const FLAKY_ONE_IN: usize = 33;
const DAY_MS: f64 = 86_400_000.0;

/// A set of nodes.
pub(crate) struct Fleet {
    pub(crate) nodes: Vec<SimulatedNode>,
}

impl Fleet {
    /// A fleet of this size; the same seed yields the same fleet.
    pub(crate) fn new(nodes: u32, interval: Duration, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            nodes: (0..nodes as usize)
                .map(|number| SimulatedNode::new(number, interval, &mut random))
                .collect(),
        }
    }

    /// Gives all agents' runs a new `boot`. Otherwise ingest, if it knows the fleet from an earlier
    /// simulation, would drop the samples as duplicates.
    pub(crate) fn begin(mut self, now_ms: u64) -> Self {
        self.nodes.iter_mut().for_each(|node| node.boot ^= now_ms);
        self
    }

    /// Distributes the nodes over several connections.
    pub(crate) fn split(self, parts: u32) -> Vec<Fleet> {
        let mut fleets: Vec<Fleet> = (0..parts).map(|_| Fleet { nodes: Vec::new() }).collect();
        for (number, node) in self.nodes.into_iter().enumerate() {
            fleets[number % parts as usize].nodes.push(node);
        }
        fleets
    }
}

/// One synthetic node: its properties, and the state of its run.
pub(crate) struct SimulatedNode {
    pub(crate) id: NodeId,
    hello: Box<Hello>,
    /// Random for each run.
    pub(crate) boot: u64,
    /// The node's source of random numbers.
    pub(crate) random: fastrand::Rng,
    /// The traffic on an ordinary afternoon, bytes per second.
    usual_rx_bps: f64,
    usual_tx_bps: f64,
    /// Silent for `.1` milliseconds at the end of each period of `.0` milliseconds.
    silence_ms: Option<(u64, u64)>,
    /// When in the interval it reports, 0 to 1.
    pub(crate) phase: f64,
    burst: f64,
    /// Samples of this run.
    pub(crate) seq: u64,
    rx_bytes: u64,
    tx_bytes: u64,
    last_ms: Option<u64>,
}

impl SimulatedNode {
    fn new(number: usize, interval: Duration, random: &mut fastrand::Rng) -> Self {
        let mut random = random.fork();
        let city = city_of(random.u32(0..tickets()));
        let role = ROLES[random.usize(0..ROLES.len())];
        let hostname = format!("{role}-{}-{number:04}", city.code);
        let speed_mbps = if random.u8(0..4) == 0 { 10_000 } else { 1_000 };
        // Most nodes have little traffic and a few have much: three decades, uniform in the logarithm.
        let usual = 10_f64.powf(4.0 + 3.2 * random.f64());
        let skew = random.f64();
        Self {
            // Generated names contain only letters, digits and hyphens, so they are valid tokens.
            id: NodeId::from_name(&hostname).unwrap_or_else(|error| unreachable!("{hostname}: {error}")),
            hello: Box::new(Hello {
                hostname: hostname.clone(),
                os: Some("Debian GNU/Linux 13".to_owned()),
                kernel: Some("6.12.0".to_owned()),
                arch: Some("x86_64".to_owned()),
                agent_version: format!("{}-simulated", env!("CARGO_PKG_VERSION")),
                interval_ms: u32::try_from(interval.as_millis()).unwrap_or(u32::MAX),
                location: Some(Location {
                    // Data centres are around a city, not all at one point.
                    lat: city.lat + (random.f64() - 0.5) * 0.6,
                    lon: city.lon + (random.f64() - 0.5) * 0.6,
                    label: Some(city.label.to_owned()),
                    source: LocationSource::Given,
                }),
                provider: Some(PROVIDERS[random.usize(0..PROVIDERS.len())].to_owned()),
                labels: BTreeMap::from([("role".to_owned(), role.to_owned())]),
                interfaces: vec![Interface {
                    name: "eth0".to_owned(),
                    counted: true,
                    reason: "simulated".to_owned(),
                    speed_mbps: Some(speed_mbps),
                    addresses: Vec::new(),
                }],
                ..Hello::default()
            }),
            boot: random.u64(..),
            usual_rx_bps: usual * (0.2 + skew),
            usual_tx_bps: usual * (1.2 - skew),
            silence_ms: number
                .is_multiple_of(FLAKY_ONE_IN)
                .then(|| (random.u64(180_000..480_000), random.u64(20_000..90_000))),
            phase: random.f64(),
            burst: 1.0,
            seq: 0,
            rx_bytes: 0,
            tx_bytes: 0,
            last_ms: None,
            random,
        }
    }

    /// The report `run_ms` after the simulation began, at `at_ms` of the wall clock; `None` while it is
    /// silent.
    pub(crate) fn report(&mut self, run_ms: u64, at_ms: i64) -> Option<Report> {
        if self.is_silent(run_ms) {
            return None;
        }
        let before_ms = self.last_ms.replace(run_ms);
        // As in an agent, the first sample covers the 250 ms since the baseline.
        let elapsed_ms =
            u32::try_from(run_ms - before_ms.unwrap_or(run_ms.saturating_sub(250))).unwrap_or(u32::MAX);
        let elapsed_ms = elapsed_ms.max(1);
        let (rx, tx) = self.traffic(at_ms, elapsed_ms);
        (self.rx_bytes, self.tx_bytes) = (self.rx_bytes + rx, self.tx_bytes + tx);
        self.seq += 1;
        let rates = (Bps::over(rx, u64::from(elapsed_ms)), Bps::over(tx, u64::from(elapsed_ms)));
        let due = |period_ms: u64| before_ms.is_none_or(|before| before / period_ms != run_ms / period_ms);
        let host = due(HOST_PERIOD_MS).then(|| self.host(run_ms));
        let interfaces = host.as_ref().map(|_| {
            let rate = |rate: Option<Bps>| rate.unwrap_or_default();
            vec![InterfaceRate { name: "eth0".to_owned(), rx_bps: rate(rates.0), tx_bps: rate(rates.1) }]
        });
        let sample = Sample {
            seq: self.seq,
            at_ms,
            elapsed_ms,
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            rx_bps: rates.0,
            tx_bps: rates.1,
            interfaces,
            host: host.map(Box::new),
            probes: None,
        };
        let hello = due(HELLO_PERIOD_MS).then(|| self.hello.clone());
        Some(Report { node: self.id.clone(), boot: self.boot, hello, samples: vec![sample] })
    }

    /// Begins a new run: sequence numbers and sums start again from 0.
    pub(crate) fn restart(&mut self) {
        self.boot = self.random.u64(..);
        (self.seq, self.rx_bytes, self.tx_bytes, self.last_ms) = (0, 0, 0, None);
    }

    /// Bytes received and sent in this run.
    pub(crate) fn sums(&self) -> (u64, u64) {
        (self.rx_bytes, self.tx_bytes)
    }

    fn is_silent(&self, run_ms: u64) -> bool {
        // Silences are at the end of each period, so that every node first appears online.
        self.silence_ms.is_some_and(|(period, silence)| run_ms % period >= period - silence)
    }

    /// Bytes received and sent in `elapsed_ms`.
    fn traffic(&mut self, at_ms: i64, elapsed_ms: u32) -> (u64, u64) {
        let lon = self.hello.location.as_ref().map_or(0.0, |location| location.lon);
        let local_day = (at_ms as f64 / DAY_MS + lon / 360.0).fract();
        // Highest at three in the afternoon, local time, and lowest at three in the night.
        let diurnal = 0.6 + 0.4 * ((local_day - 0.625) * TAU).cos();
        if self.random.u16(..) < 200 {
            self.burst = 4.0 + 8.0 * self.random.f64();
        }
        self.burst = 1.0 + (self.burst - 1.0) * 0.85;
        let seconds = f64::from(elapsed_ms) / 1_000.0;
        let mut bytes = |usual: f64| {
            let noise = 0.7 + 0.6 * self.random.f64();
            (usual * diurnal * self.burst * noise * seconds).round() as u64
        };
        (bytes(self.usual_rx_bps), bytes(self.usual_tx_bps))
    }

    fn host(&mut self, run_ms: u64) -> Host {
        let busy = 8.0 * self.burst + 20.0 * self.random.f64();
        Host {
            cpu_percent: Some(busy.min(100.0)),
            cpu_count: Some(8),
            memory_used_bytes: Some((6 << 30) + self.random.u64(0..2 << 30)),
            memory_total_bytes: Some(16 << 30),
            disk_used_bytes: Some(120 << 30),
            disk_total_bytes: Some(400 << 30),
            load_1: Some(busy / 12.0),
            load_5: Some(busy / 14.0),
            load_15: Some(busy / 16.0),
            uptime_s: Some(86_400 + run_ms / 1_000),
            processes: Some(180 + self.random.u32(0..40)),
            ..Host::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(seed: u64) -> Fleet {
        Fleet::new(200, Duration::from_secs(1), seed)
    }

    #[test]
    fn the_same_seed_makes_the_same_fleet() {
        let reports = |seed| -> Vec<Option<Report>> {
            fleet(seed).nodes.iter_mut().map(|node| node.report(1_000, 1_700_000_000_000)).collect()
        };
        assert_eq!(reports(7), reports(7));
        assert_ne!(reports(7), reports(8));
    }

    #[test]
    fn a_fleet_started_again_differs_only_in_its_runs() {
        let first = |now_ms| fleet(7).begin(now_ms).nodes[0].report(1_000, 1_700_000_000_000).unwrap();
        let (one, other) = (first(1), first(2));
        assert_ne!(one.boot, other.boot);
        assert_eq!(Report { boot: 0, ..one }, Report { boot: 0, ..other });
    }

    #[test]
    fn every_node_has_a_name_of_its_own_and_a_place() {
        let fleet = fleet(1);
        let names: std::collections::BTreeSet<_> = fleet.nodes.iter().map(|node| node.id.clone()).collect();
        assert_eq!(names.len(), 200);
        assert!(fleet.nodes.iter().all(|node| node.hello.location.is_some()));
    }

    #[test]
    fn bytes_add_up_to_the_rates_and_silences_end() {
        let mut node = fleet(1).nodes.swap_remove(0);
        let mut said = 0;
        let mut sum = 0;
        for second in 1..=600 {
            if let Some(report) = node.report(second * 1_000, 1_700_000_000_000 + second as i64 * 1_000) {
                let sample = &report.samples[0];
                said += 1;
                sum += sample.rx_bps.unwrap().bytes_in(sample.elapsed_ms);
                assert_eq!((sample.seq, sample.rx_bytes), (said, sum));
            }
        }
        assert!((400..590).contains(&said), "node 0 is a flaky one: {said}");
    }
}
