//! What was stored, and what a reader of the history's stream makes of what owners tell.

use std::collections::{BTreeMap, BTreeSet};

use tidemap_wire::{Bps, CpuMinute, HostMinute, LateSample, MinuteRow, Sample, bounds};

use super::Faults;
use crate::{minutes::Untold, window::minute_of};

/// Bytes and time of every sample that was stored, by minute, the highest counters of each run and minute,
/// and what each sample tells of its host.
#[derive(Default)]
pub(super) struct Truth {
    known: BTreeSet<(u64, u64)>,
    minutes: BTreeMap<u32, [u64; 4]>,
    counters: BTreeMap<(u64, u32), [u64; 2]>,
    hosts: BTreeMap<u32, Vec<ReportedHost>>,
}

/// Late samples by run and number.
type Late = BTreeMap<(u64, u64), LateSample>;

/// What a sample, by run and number, tells of its host.
type ReportedHost = ((u64, u64), HostMinute);

#[derive(Default)]
pub(super) struct Reader {
    rows: BTreeMap<u32, MinuteRow>,
    late: Late,
}

impl Truth {
    pub(super) fn add(&mut self, boot: u64, sample: &Sample) {
        if !self.known.insert((boot, sample.seq)) {
            return;
        }
        let minute = minute_of(sample.at_ms);
        let covered = sample.rx_bps.map_or(0, |_| sample.elapsed_ms);
        let bytes = |rate: Option<Bps>| rate.map_or(0, |rate| rate.bytes_in(sample.elapsed_ms));
        let sums = self.minutes.entry(minute).or_default();
        let added = [1, u64::from(covered), bytes(sample.rx_bps), bytes(sample.tx_bps)];
        (0..4).for_each(|place| sums[place] += added[place]);
        let counters = self.counters.entry((boot, minute)).or_default();
        *counters = [counters[0].max(sample.rx_bytes), counters[1].max(sample.tx_bytes)];
        if let Some(host) = &sample.host {
            let reported = ((boot, sample.seq), HostMinute::of_sample(host));
            self.hosts.entry(minute).or_default().push(reported);
        }
    }

    /// What the samples of a minute tell of their host, without late ones.
    fn host(&self, minute: u32, late: &Late) -> HostMinute {
        let of_minute = self.hosts.get(&minute).into_iter().flatten();
        let on_time = of_minute.filter(|(key, _)| !late.contains_key(key));
        let samples: Vec<HostMinute> = on_time.map(|(_, host)| *host).collect();
        let shares: Vec<u16> = samples.iter().filter_map(|host| host.cpu).map(|cpu| cpu.max).collect();
        let mean = |count: usize| shares.iter().copied().map(f64::from).sum::<f64>() / count as f64;
        let cpu = shares.iter().max().map(|max| CpuMinute {
            samples: u16::try_from(shares.len()).unwrap(),
            mean: mean(shares.len()).round() as u16,
            max: *max,
        });
        let load = samples.iter().filter_map(|host| host.load_max).max();
        HostMinute {
            cpu,
            memory_max: samples.iter().filter_map(|host| host.memory_max).max(),
            disk_max: samples.iter().filter_map(|host| host.disk_max).max(),
            load_max: load.map(|load| {
                let step = 10_u32.pow(load.checked_ilog10().unwrap_or(0).saturating_sub(2));
                load.div_ceil(step) * step
            }),
        }
    }

    /// How many samples tell the processor's use.
    fn uses_of_processors(&self) -> u64 {
        self.hosts.values().flatten().filter(|(_, host)| host.cpu.is_some()).count() as u64
    }

    /// What all runs have counted.
    fn moved(&self) -> [u64; 2] {
        let mut runs = BTreeMap::<u64, [u64; 2]>::new();
        for ((boot, _), counters) in &self.counters {
            let most = runs.entry(*boot).or_default();
            *most = [0, 1].map(|way| most[way].max(counters[way]));
        }
        runs.values().fold([0, 0], |all, run| [0, 1].map(|way| all[way] + run[way]))
    }
}

impl Reader {
    pub(super) fn join(&mut self, untold: &Untold) {
        for row in &untold.rows {
            self.rows.entry(row.minute).or_insert_with(|| row.clone()).join(row);
        }
        self.late.extend(untold.late.iter().map(|late| ((late.boot, late.seq), *late)));
    }

    fn minutes(&self) -> BTreeMap<u32, [u64; 4]> {
        let mut minutes: BTreeMap<u32, [u64; 4]> = BTreeMap::new();
        let rows = self.rows.values().map(|row| {
            (row.minute, [u64::from(row.samples), u64::from(row.covered_ms), row.rx_bytes, row.tx_bytes])
        });
        let late = self
            .late
            .values()
            .map(|late| (late.minute, [1, u64::from(late.covered_ms), late.rx_bytes, late.tx_bytes]));
        for (minute, added) in rows.chain(late) {
            let sums = minutes.entry(minute).or_default();
            (0..4).for_each(|place| sums[place] += added[place]);
        }
        minutes
    }

    fn uses_of_processors(&self) -> u64 {
        self.rows.values().filter_map(|row| row.host.cpu).map(|cpu| u64::from(cpu.samples)).sum()
    }

    /// Bytes that counters have and minutes do not, as a station adds them up.
    fn unplaced(&self) -> [u64; 2] {
        let late = self.late.values().map(|late| late.minute);
        let minutes: BTreeSet<u32> = self.rows.keys().copied().chain(late).collect();
        // What each run has counted, and bytes that minutes have and its counters do not yet.
        let mut runs = BTreeMap::<u64, ([u64; 2], [u64; 2])>::new();
        let mut unplaced = [0, 0];
        for minute in minutes {
            for late in self.late.values().filter(|late| late.minute == minute) {
                let (_, ahead) = runs.entry(late.boot).or_default();
                *ahead = [ahead[0] + late.rx_bytes, ahead[1] + late.tx_bytes];
            }
            let Some(row) = self.rows.get(&minute) else { continue };
            let Some(last) = row.counters.last() else { continue };
            let (mut grown, mut placed) = ([0, 0], [row.rx_bytes, row.tx_bytes]);
            for run in &row.counters {
                let (counted, ahead) = runs.entry(run.boot).or_default();
                for (way, counter) in [run.rx_bytes, run.tx_bytes].into_iter().enumerate() {
                    grown[way] += counter.saturating_sub(counted[way]);
                    counted[way] = counted[way].max(counter);
                    placed[way] += std::mem::take(&mut ahead[way]);
                }
            }
            (0..2).for_each(|way| unplaced[way] += grown[way].saturating_sub(placed[way]));
            runs.entry(last.boot).or_default().1 = [0, 1].map(|way| placed[way].saturating_sub(grown[way]));
        }
        unplaced
    }

    pub(super) fn never_more_than(&self, truth: &Truth, faults: Faults) {
        let (placed, unplaced, moved) = (total(&self.minutes()), self.unplaced(), truth.moved());
        if faults.clocks {
            let expected = total(&truth.minutes);
            assert!((0..4).all(|place| placed[place] <= expected[place]), "{placed:?} of {expected:?}");
            assert!(self.uses_of_processors() <= truth.uses_of_processors());
            return;
        }
        for way in 0..2 {
            assert!(
                placed[2 + way] + unplaced[way] <= moved[way],
                "placed {placed:?} and unplaced {unplaced:?} of {moved:?}"
            );
        }
        for (minute, untold) in self.minutes() {
            let true_sums = truth.minutes.get(&minute).copied().unwrap_or_default();
            assert!(
                (0..4).all(|place| untold[place] <= true_sums[place]),
                "{minute}: {untold:?} of {true_sums:?}"
            );
        }
        for row in self.rows.values() {
            let (reported, all) = (row.host, truth.host(row.minute, &Late::new()));
            let has_less = reported.memory_max <= all.memory_max
                && reported.disk_max <= all.disk_max
                && reported.load_max <= all.load_max
                && reported.cpu.map(|cpu| cpu.samples) <= all.cpu.map(|cpu| cpu.samples)
                && reported.cpu.map(|cpu| cpu.max) <= all.cpu.map(|cpu| cpu.max)
                && reported.cpu.is_none_or(|cpu| cpu.mean <= cpu.max);
            assert!(has_less, "{}: {reported:?} of {all:?}", row.minute);
            for run in &row.counters {
                let until = truth.counters.range((run.boot, 0)..=(run.boot, row.minute));
                let most = until.fold([0, 0], |most: [u64; 2], (_, counters)| {
                    [most[0].max(counters[0]), most[1].max(counters[1])]
                });
                assert!(
                    run.rx_bytes <= most[0] && run.tx_bytes <= most[1],
                    "{}: {run:?}, {most:?}",
                    row.minute
                );
            }
        }
    }

    /// No byte is missing, whether or not its minute is known.
    pub(super) fn has_all_bytes(&self, truth: &Truth) {
        let (placed, unplaced) = (total(&self.minutes()), self.unplaced());
        let known = [0, 1].map(|way| placed[2 + way] + unplaced[way]);
        assert_eq!(known, truth.moved(), "placed {placed:?} and unplaced {unplaced:?}");
    }

    /// Every sample is published, and a run's counters of a minute are those of its last sample in it, or a
    /// late sample's minute has none.
    pub(super) fn is_whole(&self, truth: &Truth, faults: Faults) {
        if faults.clocks {
            let (mut placed, mut expected) = (total(&self.minutes()), total(&truth.minutes));
            // A clock that stands still while it is put back a little makes a minute longer than a row can
            // say.
            if self.rows.values().any(|row| row.covered_ms == bounds::MINUTE_MS) {
                (placed[1], expected[1]) = (0, 0);
            }
            assert_eq!(placed, expected);
            // A late sample after a jump has another run's number.
            let least = truth.uses_of_processors().saturating_sub(self.late.len() as u64);
            assert!(self.uses_of_processors() >= least, "{} of {least}", self.uses_of_processors());
            return;
        }
        assert_eq!(self.minutes(), truth.minutes);
        for row in self.rows.values() {
            assert_eq!(row.host, truth.host(row.minute, &self.late), "minute {}", row.minute);
        }
        let late_minutes: BTreeSet<u32> = self.late.values().map(|late| late.minute).collect();
        for ((boot, minute), expected) in &truth.counters {
            if late_minutes.contains(minute) {
                continue;
            }
            let run = self.rows[minute].counters.iter().find(|run| run.boot == *boot).unwrap();
            assert_eq!([run.rx_bytes, run.tx_bytes], *expected, "run {boot}, minute {minute}");
        }
    }
}

/// Of all minutes.
fn total(minutes: &BTreeMap<u32, [u64; 4]>) -> [u64; 4] {
    minutes.values().fold([0; 4], |all, sums| [0, 1, 2, 3].map(|place| all[place] + sums[place]))
}
