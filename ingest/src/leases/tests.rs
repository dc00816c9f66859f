use proptest::prelude::*;
use tidemap_wire::{Partition, PartitionCount};

use super::{Action, DEAD_AFTER_MS, Lease, Leases, RESERVED_MS, heartbeat_key, lease_key};

/// A bucket with compare-and-swap, shared by several workers in one thread.
#[derive(Default)]
struct Bucket {
    revision: u64,
    log: Vec<(String, Option<Vec<u8>>, u64)>,
}

impl Bucket {
    fn revision_of(&self, key: &str) -> u64 {
        self.log.iter().rev().find(|(k, ..)| k == key).map_or(0, |(.., revision)| *revision)
    }

    fn put(&mut self, key: &str, value: Option<Vec<u8>>) {
        self.revision += 1;
        self.log.push((key.to_owned(), value, self.revision));
    }

    fn swap(&mut self, partition: Partition, lease: &Lease, expected: u64) -> bool {
        let key = lease_key(partition);
        let taken = self.revision_of(&key) == expected;
        if taken {
            self.put(&key, Some(serde_json::to_vec(lease).unwrap()));
        }
        taken
    }
}

struct Worker {
    leases: Leases,
    read: usize,
}

impl Worker {
    fn new(id: &str) -> Self {
        Self { leases: Leases::new(id, PartitionCount::default()), read: 0 }
    }

    fn read(&mut self, bucket: &Bucket, now_ms: u64) {
        self.leases.opened(bucket.revision);
        for (key, value, revision) in &bucket.log[self.read..] {
            self.leases.observe(key, value.as_deref(), *revision, now_ms);
        }
        self.read = bucket.log.len();
    }

    /// Writes a heartbeat when it should.
    fn send_heartbeat(&mut self, bucket: &mut Bucket) {
        if self.leases.should_send_heartbeat() {
            bucket.put(&heartbeat_key(&self.leases.me), Some(vec![]));
            self.leases.heartbeat_stored();
        }
    }

    /// The lease of a partition that it holds, and the revision.
    fn held(&self, partition: Partition) -> (Lease, u64) {
        let (_, lease, revision) = self.leases.mine().find(|(held, ..)| *held == partition).unwrap();
        (lease.clone(), revision)
    }

    fn release(&self, bucket: &mut Bucket, partition: Partition) {
        let (lease, revision) = self.held(partition);
        let released = Lease { owner: String::new(), epoch: lease.epoch };
        assert!(bucket.swap(partition, &released, revision));
    }

    /// One second in a worker's life: heartbeat, renew, read, act.
    fn turn(&mut self, bucket: &mut Bucket, now_ms: u64) {
        self.send_heartbeat(bucket);
        for (partition, lease, revision) in self.leases.mine() {
            bucket.swap(partition, lease, revision);
        }
        self.read(bucket, now_ms);
        for action in self.leases.plan(now_ms, 0) {
            match action {
                Action::Acquire(partition, lease, expected) => {
                    bucket.swap(partition, &lease, expected);
                }
                Action::Release(partition) => {
                    let (lease, revision) = self.held(partition);
                    let released = Lease { owner: String::new(), epoch: lease.epoch };
                    bucket.swap(partition, &released, revision);
                }
                Action::Sweep(worker) => bucket.put(&heartbeat_key(&worker), None),
                Action::Purge(worker, revision) => {
                    bucket
                        .log
                        .iter_mut()
                        .filter(|(key, _, of)| *key == heartbeat_key(&worker) && *of <= revision)
                        .for_each(|(key, ..)| key.clear());
                    self.leases.purged(&worker);
                }
            }
        }
        self.read(bucket, now_ms);
    }

    fn owned(&self) -> usize {
        self.leases.mine().count()
    }
}

fn run(workers: &mut [Worker], bucket: &mut Bucket, seconds: std::ops::Range<u64>) {
    for second in seconds {
        for worker in workers.iter_mut() {
            worker.turn(bucket, second * 1_000);
        }
        for worker in workers.iter_mut() {
            worker.read(bucket, second * 1_000);
        }
    }
}

#[test]
fn the_first_worker_takes_all_and_the_next_ones_get_their_share() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a")];
    run(&mut workers, &mut bucket, 0..2);
    assert_eq!(workers[0].owned(), 8);
    workers.push(Worker::new("b"));
    run(&mut workers, &mut bucket, 2..5);
    assert_eq!(workers.iter().map(Worker::owned).collect::<Vec<_>>(), [4, 4]);
    workers.push(Worker::new("c"));
    run(&mut workers, &mut bucket, 5..9);
    let owned: Vec<usize> = workers.iter().map(Worker::owned).collect();
    assert_eq!(owned.iter().sum::<usize>(), 8);
    assert!(owned.iter().all(|n| (2..=3).contains(n)), "{owned:?}");
}

#[test]
fn a_dead_workers_partitions_go_to_the_living_under_a_higher_epoch() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a"), Worker::new("b")];
    run(&mut workers, &mut bucket, 0..4);
    let lost: Vec<Partition> = workers[0].leases.mine().map(|(partition, ..)| partition).collect();
    let before: Vec<u64> = lost.iter().map(|k| workers[0].held(*k).0.epoch).collect();
    let mut survivor = vec![workers.remove(1)];
    run(&mut survivor, &mut bucket, 4..8);
    assert_eq!(survivor[0].owned(), 4, "nothing may move before the limit");
    run(&mut survivor, &mut bucket, 8..12);
    assert_eq!(survivor[0].owned(), 8);
    for (partition, epoch) in lost.iter().zip(before) {
        assert!(survivor[0].held(*partition).0.epoch > epoch);
    }
}

#[test]
fn a_leaving_workers_partitions_are_taken_as_each_is_released() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a"), Worker::new("b")];
    run(&mut workers, &mut bucket, 0..4);
    let (leaving, mut staying) = (workers.remove(1), workers.remove(0));
    let theirs: Vec<Partition> = leaving.leases.mine().map(|(partition, ..)| partition).collect();
    assert_eq!(theirs.len(), 4);
    bucket.put(&heartbeat_key("b"), None);
    staying.turn(&mut bucket, 4_000);
    assert_eq!(staying.owned(), 4, "nothing is taken before it is released");
    for (partition, owned) in theirs.into_iter().zip(5..) {
        leaving.release(&mut bucket, partition);
        staying.turn(&mut bucket, 4_000);
        assert_eq!(staying.owned(), owned);
    }
}

#[test]
fn what_was_released_for_a_worker_that_cannot_read_leases_is_soon_taken_back() {
    let mut bucket = Bucket::default();
    let (mut able, mut blind) = (Worker::new("a"), Worker::new("b"));
    let mut owned = Vec::new();
    for second in 0..12 {
        if second >= 2 {
            blind.send_heartbeat(&mut bucket);
        }
        able.turn(&mut bucket, second * 1_000);
        owned.push(able.owned());
    }
    assert_eq!(owned[..4], [8, 8, 4, 4], "a starting worker gets its share");
    assert_eq!(owned[11], 8, "{owned:?}");
}

#[test]
fn the_brokers_absence_starts_no_takeover() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a"), Worker::new("b")];
    run(&mut workers, &mut bucket, 0..4);
    let later = 4_000 + 100 * DEAD_AFTER_MS;
    // Nobody could write, so nobody's revision moved: that says nothing about anybody.
    assert_eq!(workers[0].leases.plan(later, 0), []);
    assert_eq!(workers[1].leases.plan(later, 0), []);
}

#[test]
fn a_workers_heartbeat_is_swept_long_after_its_death() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a"), Worker::new("b")];
    run(&mut workers, &mut bucket, 0..4);
    workers.truncate(1);
    run(&mut workers, &mut bucket, 4..70);
    assert!(!workers[0].leases.workers.contains_key("b"));
    assert!(bucket.log.iter().any(|(key, ..)| key == "w.b"));
    run(&mut workers, &mut bucket, 70..85);
    assert!(!bucket.log.iter().any(|(key, ..)| key == "w.b"));
}

#[test]
fn the_marker_of_a_worker_that_comes_back_is_not_purged() {
    let mut bucket = Bucket::default();
    let mut workers = vec![Worker::new("a")];
    run(&mut workers, &mut bucket, 0..4);
    bucket.put("w.b", None);
    run(&mut workers, &mut bucket, 4..10);
    bucket.put("w.b", Some(vec![]));
    run(&mut workers, &mut bucket, 10..12);
    assert!(workers[0].leases.workers.contains_key("b") && workers[0].leases.removed.is_empty());
}

proptest! {
    /// Whoever pauses for however long, at most one worker holds each partition in the bucket, epochs never
    /// fall, and in the end everything is owned and shared.
    #[test]
    fn every_partition_ends_with_one_owner(turns in proptest::collection::vec((0_usize..3, 0_u64..3_000), 1..80)) {
        let mut bucket = Bucket::default();
        let mut workers: Vec<Worker> = ["a", "b", "c"].into_iter().map(Worker::new).collect();
        let mut now_ms = 0;
        for (who, wait_ms) in turns {
            now_ms += wait_ms;
            workers[who].turn(&mut bucket, now_ms);
        }
        let start = now_ms / 1_000 + 1;
        run(&mut workers, &mut bucket, start..start + 20);
        let owned: Vec<usize> = workers.iter().map(Worker::owned).collect();
        prop_assert_eq!(owned.iter().sum::<usize>(), 8);
        prop_assert!(owned.iter().all(|n| (2..=3).contains(n)), "{:?}", owned);
        for partition in PartitionCount::default().all() {
            let key = lease_key(partition);
            let epochs: Vec<u64> = bucket.log.iter().filter(|(k, ..)| *k == key)
                .map(|(_, value, _)| serde_json::from_slice::<Lease>(value.as_deref().unwrap()).unwrap().epoch)
                .collect();
            prop_assert!(epochs.is_sorted(), "{:?}", epochs);
        }
    }
}

#[test]
fn a_partition_whose_lease_was_lost_is_first_left_to_the_worker_that_knows_it() {
    let count = PartitionCount::new(4).unwrap();
    let at = |number| count.partition(number).unwrap();
    let mut leases = Leases::new("me", count);
    leases.restart([(at(0), 5), (at(1), 6), (at(2), 8)].into_iter(), 1_000);
    leases.opened(0);
    // Another worker is alive, so that this one's share is two partitions.
    leases.note(&heartbeat_key("other"), Some(b"{}"), 1, 1_000);
    let taken = |leases: &Leases, now_ms| -> Vec<(Partition, u64)> {
        let plan = leases.plan(now_ms, 7).into_iter();
        let acquired = |action| {
            if let Action::Acquire(partition, lease, 0) = action {
                Some((partition, lease.epoch))
            } else {
                None
            }
        };
        plan.filter_map(acquired).collect()
    };
    let own = [(at(0), 5), (at(1), 6), (at(2), 8)];
    assert_eq!(taken(&leases, 1_000), own, "under the epochs of their tasks, which go on");
    assert!(leases.is_missing(at(0)) && !leases.is_lost(at(0), 5));
    leases.written(at(0), &Lease { owner: "me".to_owned(), epoch: 5 }, 2, 1_000);
    leases.note("p.1", Some(br#"{"owner":"other","epoch":9}"#), 3, 1_000);
    assert!(!leases.is_lost(at(0), 5) && leases.is_lost(at(1), 6), "whoever was faster owns it");
    assert_eq!(taken(&leases, 1_000), [(at(2), 8)]);
    leases.written(at(2), &Lease { owner: "me".to_owned(), epoch: 8 }, 4, 1_000);
    assert_eq!(taken(&leases, 1_000 + RESERVED_MS - 1), []);
    leases.note("p.2", Some(br#"{"owner":"","epoch":8}"#), 5, 1_000);
    leases.note("p.0", Some(br#"{"owner":"other","epoch":9}"#), 6, 1_000);
    assert_eq!(taken(&leases, 1_000 + RESERVED_MS), [(at(3), 7)], "nobody came for it");
}
