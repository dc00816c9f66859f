use std::{collections::BTreeMap, path::Path};

use proptest::prelude::*;
use tidemap_wire::NodeId;

use super::*;
use crate::{
    meter::{Counters, Meter, Nominal, Reading},
    outbox::{Delivery, Outbox},
    spool::Spool,
};

const TICK_MS: u32 = 1_000;
const BOOT: &str = "one";

/// A host with devices that carry traffic, and the agent's runs on it, each killed at any moment.
struct MadeHost {
    devices: Vec<Made>,
    uptime_ms: u64,
    /// What the kernel has counted since the first run began.
    truth: Moved,
    /// The sums of each run's newest sample that may reach the broker.
    sums: BTreeMap<u64, Moved>,
    folder: tempfile::TempDir,
}

struct Made {
    key: Key,
    identity: u64,
    counters: Counters,
    is_removed: bool,
}

/// Something that happens between two samples, or between two runs.
#[derive(Clone, Debug)]
enum Event {
    Traffic(usize, u64, u64),
    Renamed(usize),
    /// A counter begins at zero.
    Reset(usize),
    Replaced(usize),
}

/// A run's steps after its start.
#[derive(Clone, Debug)]
struct Life {
    /// What happens while no agent runs.
    before: Vec<Event>,
    /// How long none runs.
    pause_ms: u64,
    /// For each sample: what happens before it, whether the counters' stand is written, whether the sample
    /// is acknowledged and the spool rewritten.
    samples: Vec<(Vec<Event>, bool, bool, bool)>,
    /// Whether the spool is rewritten before the first sample.
    compacts_first: bool,
    /// Whether it is killed between a sample's reading and its being in the spool.
    dies_with_a_sample: bool,
}

impl MadeHost {
    fn new() -> Self {
        let device = |index: u32| Made {
            key: (format!("eth{index}"), index),
            identity: 100 + u64::from(index),
            counters: Counters { rx_bytes: 1_000 * u64::from(index), tx_bytes: 5_000 },
            is_removed: false,
        };
        Self {
            devices: [1, 2].map(device).into(),
            uptime_ms: 5_000,
            truth: Moved::default(),
            sums: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("spool")
    }

    fn happens(&mut self, event: &Event) {
        let count = self.devices.len();
        match *event {
            Event::Traffic(at, rx_bytes, tx_bytes) => {
                let counters = &mut self.devices[at % 2].counters;
                counters.rx_bytes += rx_bytes;
                counters.tx_bytes += tx_bytes;
                self.truth = self.truth.plus(Moved { rx_bytes, tx_bytes });
            }
            Event::Renamed(at) => self.devices[at % 2].key.0.push('x'),
            Event::Reset(at) => self.devices[at % 2].counters = Counters { rx_bytes: 0, tx_bytes: 0 },
            Event::Replaced(at) => {
                let identity = 1_000 + count as u64;
                let key = (self.devices[at % 2].key.0.clone(), u32::try_from(identity).unwrap());
                let counters = Counters { rx_bytes: 70_000_000, tx_bytes: 90_000_000 };
                let new = Made { key, identity, counters, is_removed: false };
                let mut old = std::mem::replace(&mut self.devices[at % 2], new);
                old.is_removed = true;
                self.devices.push(old);
            }
        }
    }

    fn readings(&self) -> Vec<Reading> {
        let reading = |made: &Made| Reading {
            key: made.key.clone(),
            counters: Some(made.counters),
            nominal: Nominal::default(),
        };
        self.devices.iter().filter(|made| !made.is_removed).map(reading).collect()
    }

    fn stand(&self, meter: &Meter) -> Stand {
        let identity = |key: &Key| self.devices.iter().find(|made| made.key == *key).unwrap().identity;
        let devices = meter.standings(&self.readings()).into_iter();
        Stand {
            kernel_boot: BOOT.to_owned(),
            uptime_ms: self.uptime_ms,
            sums: meter.total(),
            contained: meter.contained(),
            devices: devices
                .map(|(key, standing)| CountedDevice { identity: identity(&key), standing })
                .collect(),
        }
    }

    fn key(&self, identity: u64) -> Option<Key> {
        let mut present = self.devices.iter().filter(|made| !made.is_removed);
        Some(present.find(|made| made.identity == identity)?.key.clone())
    }

    /// One run, from its start until it is killed. The stand is written at once here; one that is written
    /// late is one that is not written.
    fn lives(&mut self, run: u64, life: &Life) {
        life.before.iter().for_each(|event| self.happens(event));
        self.uptime_ms += life.pause_ms;
        let mut outbox = Outbox::new(node(), run);
        let mut spool = Spool::open(Some(&self.path()), &node(), &mut outbox).unwrap();
        let left = spool
            .take_earlier()
            .and_then(|earlier| earlier.left(BOOT, self.uptime_ms, |identity| self.key(identity)));
        let mut meter = match left {
            Some((left, ago_ms)) => Meter::resume(left, ago_ms, &self.readings()),
            None => {
                // Only what moves from the first baseline on can be known.
                if run == 0 {
                    self.truth = Moved::default();
                }
                let mut meter = Meter::default();
                meter.read(0, &self.readings());
                meter
            }
        };
        spool.begin(run, self.stand(&meter));
        if life.compacts_first {
            spool.compact(&outbox);
        }
        for (seq, (events, writes, acknowledges, compacts)) in (1..).zip(&life.samples) {
            events.iter().for_each(|event| self.happens(event));
            self.uptime_ms += u64::from(TICK_MS);
            meter.read(TICK_MS, &self.readings());
            let is_last = seq == life.samples.len() as u64;
            if is_last && life.dies_with_a_sample {
                return;
            }
            let Moved { rx_bytes, tx_bytes } = meter.total();
            spool.keep(run, Sample { seq, rx_bytes, tx_bytes, ..Sample::default() });
            self.sums.insert(run, meter.total());
            if *writes {
                spool.begin(run, Stand { ..self.stand(&meter) });
            }
            if *acknowledges {
                spool.stored(Delivery { boot: run, seqs: vec![seq] });
            }
            if *compacts {
                spool.compact(&outbox);
            }
        }
    }

    /// What the broker gets to know in all.
    fn counted(&self) -> Moved {
        self.sums.values().copied().fold(Moved::default(), Moved::plus)
    }
}

fn node() -> NodeId {
    NodeId::from_name("web-01").unwrap()
}

fn traffic() -> impl Strategy<Value = Event> {
    // Slower than any interface, in however short a time.
    (0_usize..2, 0_u64..400_000, 0_u64..400_000).prop_map(|(at, rx, tx)| Event::Traffic(at, rx, tx))
}

fn life(event: impl Strategy<Value = Event> + Clone) -> impl Strategy<Value = Life> {
    let events = proptest::collection::vec(event, 0..4);
    let sample = (events.clone(), any::<bool>(), any::<bool>(), proptest::bool::weighted(0.2));
    (events, 10_u64..100_000, proptest::collection::vec(sample, 0..6), any::<[bool; 2]>()).prop_map(
        |(before, pause_ms, samples, [compacts_first, dies_with_a_sample])| Life {
            before,
            pause_ms,
            samples,
            compacts_first,
            dies_with_a_sample,
        },
    )
}

/// The first run has a sample in the spool, and the last one reads quietly to the end.
fn whole(mut lives: Vec<Life>) -> Vec<Life> {
    let quiet = |samples| Life {
        before: Vec::new(),
        pause_ms: 1_000,
        samples: vec![(Vec::new(), false, true, false); samples],
        compacts_first: false,
        dies_with_a_sample: false,
    };
    lives.insert(0, quiet(1));
    lives.push(quiet(5));
    lives
}

fn lived(lives: Vec<Life>) -> MadeHost {
    let mut host = MadeHost::new();
    for (run, life) in (0..).zip(whole(lives)) {
        host.lives(run, &life);
    }
    host
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whenever_runs_are_killed_every_byte_is_counted_once(
        lives in proptest::collection::vec(life(prop_oneof![
            8 => traffic(),
            1 => (0_usize..2).prop_map(Event::Renamed),
        ]), 1..5)
    ) {
        let host = lived(lives);
        prop_assert_eq!(host.counted(), host.truth);
    }

    #[test]
    fn whatever_devices_do_meanwhile_no_byte_is_counted_twice(
        lives in proptest::collection::vec(life(prop_oneof![
            8 => traffic(),
            1 => (0_usize..2).prop_map(Event::Renamed),
            1 => (0_usize..2).prop_map(Event::Reset),
            1 => (0_usize..2).prop_map(Event::Replaced),
        ]), 1..5)
    ) {
        let host = lived(lives);
        let (counted, truth) = (host.counted(), host.truth);
        prop_assert!(
            counted.rx_bytes <= truth.rx_bytes && counted.tx_bytes <= truth.tx_bytes,
            "{counted:?} of {truth:?}"
        );
    }
}

/// A run that receives 500 bytes, then a pause with 300; what the next run begins with when `meanwhile` has
/// happened to the files.
fn begins_with(meanwhile: impl FnOnce(&Path)) -> u64 {
    let mut host = MadeHost::new();
    let receives = |bytes| vec![Event::Traffic(0, bytes, 0)];
    host.lives(
        7,
        &Life {
            before: Vec::new(),
            pause_ms: 0,
            samples: vec![(receives(100), true, true, false), (receives(400), false, false, false)],
            compacts_first: false,
            dies_with_a_sample: false,
        },
    );
    meanwhile(&host.path());
    let one = Life {
        before: receives(300),
        pause_ms: 60_000,
        samples: vec![(Vec::new(), false, false, false)],
        compacts_first: false,
        dies_with_a_sample: false,
    };
    host.lives(8, &one);
    host.sums[&8].rx_bytes
}

fn baseline(spool: &Path) -> std::path::PathBuf {
    spool.with_file_name("spool.baseline")
}

#[test]
fn a_run_begins_with_what_moved_since_the_newest_sample_of_the_one_before() {
    assert_eq!(begins_with(|_| ()), 300);
}

/// Its samples wait in memory, and its bytes are reported; without the file, nobody reports them again.
#[test]
fn what_a_run_without_its_spool_has_reported_is_not_counted_again() {
    let mut host = MadeHost::new();
    let life = |before, samples| Life {
        before: vec![Event::Traffic(0, before, 0)],
        pause_ms: 1_000,
        samples: vec![(vec![Event::Traffic(0, samples, 0)], true, true, false)],
        compacts_first: false,
        dies_with_a_sample: false,
    };
    host.lives(7, &life(0, 100));
    let lock = host.path().with_file_name("spool.lock");
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    host.lives(8, &life(50, 200));
    std::fs::remove_dir(&lock).unwrap();
    host.lives(9, &life(30, 400));
    let sums: Vec<u64> = host.sums.values().map(|sums| sums.rx_bytes).collect();
    assert_eq!(sums, [100, 200, 400]);
}

#[test]
fn a_baseline_that_is_missing_damaged_or_of_another_version_is_worth_nothing() {
    assert_eq!(begins_with(|spool| std::fs::remove_file(baseline(spool)).unwrap()), 0);
    assert_eq!(begins_with(|spool| std::fs::write(baseline(spool), "").unwrap()), 0);
    assert_eq!(begins_with(|spool| std::fs::write(baseline(spool), "tidemap-baseline 2\n").unwrap()), 0);
    for at in [3, 20, 25, 60] {
        let flip = |spool: &Path| {
            let mut bytes = std::fs::read(baseline(spool)).unwrap();
            bytes[at] ^= 1;
            std::fs::write(baseline(spool), bytes).unwrap();
        };
        assert_eq!(begins_with(flip), 0, "{at}");
    }
    let cut = |spool: &Path| {
        let bytes = std::fs::read(baseline(spool)).unwrap();
        std::fs::write(baseline(spool), &bytes[..bytes.len() / 2]).unwrap();
    };
    assert_eq!(begins_with(cut), 0);
}

#[test]
fn a_baseline_without_its_spool_is_worth_nothing() {
    assert_eq!(begins_with(|spool| std::fs::remove_file(spool).unwrap()), 0);
    assert_eq!(begins_with(|spool| std::fs::write(spool, "").unwrap()), 0);
}

#[test]
fn another_kernel_boot_or_time_before_it_is_worth_nothing() {
    let earlier = || Earlier {
        stand: Stand {
            kernel_boot: BOOT.to_owned(),
            uptime_ms: 5_000,
            sums: Moved::default(),
            contained: Moved::default(),
            devices: Vec::new(),
        },
        total: Moved::default(),
        contained: Moved::default(),
    };
    let left = |boot, uptime_ms| earlier().left(boot, uptime_ms, |_| None).map(|(_, ago_ms)| ago_ms);
    assert_eq!(left(BOOT, 6_000), Some(1_000));
    assert_eq!(left("other", 6_000), None);
    assert_eq!(left(BOOT, 4_999), None);
}
