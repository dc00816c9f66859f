//! The rules of leases, without the broker and without a clock: which worker owns which partition.
//!
//! The bucket holds `p.<k>` = `{owner, epoch}` for each partition, and a heartbeat `w.<id>` for each worker.
//! The only sign of death is a revision that does not change, measured on the observer's own clock. An
//! observer that could not write heartbeats itself concludes nothing, so an outage of the broker starts no
//! takeover. And a worker that cannot read the bucket writes no heartbeats: it could not take the partitions
//! that others would release for it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidemap_wire::{Partition, PartitionCount, timing};

/// A lease or a heartbeat that has not changed for this long is dead.
pub(crate) const DEAD_AFTER_MS: u64 = timing::millis(timing::LEASE_TAKEOVER);
/// Heartbeats that an observer must have written while another's did not change.
const HEARTBEATS_NEEDED: u64 = timing::HEARTBEATS_BEFORE_TAKEOVER;
/// When the broker has lost all leases, each partition is reserved this long for the worker that had it.
const RESERVED_MS: u64 = timing::millis(timing::LEASE_RESERVATION);
/// A dead worker's heartbeat is removed after this.
const SWEEP_AFTER_MS: u64 = 60_000;
/// The marker of a removed heartbeat is purged after this: all workers have read it long before.
const PURGE_AFTER_MS: u64 = 10_000;
/// Markers purged at once. There may be thousands, and leases must be renewed meanwhile.
const MAX_PURGES: usize = 8;

/// The value of `p.<k>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The owner's id; empty when the lease was released.
    pub(crate) owner: String,
    /// Grows with every change of owner, and never falls.
    pub(crate) epoch: u64,
}

/// What a worker should write now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take a partition: write the lease over `revision` (0: there is none yet).
    Acquire(Partition, Lease, u64),
    /// Give a partition back, because others have too few.
    Release(Partition),
    /// Remove the heartbeat of a worker that has long been dead.
    Sweep(String),
    /// Purge the marker that a removed heartbeat has left in the bucket, up to `revision`.
    Purge(String, u64),
}

/// A key of the bucket, as this worker saw it change.
#[derive(Clone, Debug)]
struct Sighting {
    revision: u64,
    changed_ms: u64,
    heartbeats_then: u64,
}

/// What one worker knows of all leases.
#[derive(Debug)]
pub(crate) struct Leases {
    me: String,
    count: PartitionCount,
    /// The bucket's newest revision when reading began; absent before.
    newest_at_open: Option<u64>,
    /// The newest revision that was read.
    read: u64,
    partitions: BTreeMap<Partition, (Lease, Sighting)>,
    workers: BTreeMap<String, Sighting>,
    /// Workers whose heartbeats were removed, while the bucket still has the markers.
    removed: BTreeMap<String, Sighting>,
    /// Own heartbeats that the broker stored since reading began.
    heartbeats: u64,
    /// Whether the broker ever stored a heartbeat of this worker.
    has_sent_heartbeat: bool,
    /// Until this time a partition without any lease is reserved for the worker that owned it.
    reserved_until_ms: u64,
    /// The partitions that this worker owned when the bucket had to be read again, and their epochs.
    owned_before: BTreeMap<Partition, u64>,
}

/// The key of a partition's lease.
pub(crate) fn lease_key(partition: Partition) -> String {
    format!("p.{partition}")
}

/// The key of a worker's heartbeat.
pub(crate) fn heartbeat_key(worker: &str) -> String {
    format!("w.{worker}")
}

/// The worker whose heartbeat has this key.
pub(crate) fn worker_of_key(key: &str) -> Option<&str> {
    key.strip_prefix("w.")
}

impl Leases {
    /// The view of worker `me`, which has read nothing yet.
    pub(crate) fn new(me: &str, count: PartitionCount) -> Self {
        Self {
            me: me.to_owned(),
            count,
            newest_at_open: None,
            read: 0,
            partitions: BTreeMap::new(),
            workers: BTreeMap::new(),
            removed: BTreeMap::new(),
            heartbeats: 0,
            has_sent_heartbeat: false,
            reserved_until_ms: 0,
            owned_before: BTreeMap::new(),
        }
    }

    /// Forgets everything, because the bucket will be read from its beginning and may have lost all leases.
    /// A broker that has lost its disk has lost the checkpoints too: what the owner of a partition has in
    /// memory is all that is left. So the owner writes its lease again, under the same epoch, and its task
    /// goes on; no other worker takes the partition meanwhile.
    pub(crate) fn restart(&mut self, owned_before: impl Iterator<Item = (Partition, u64)>, now_ms: u64) {
        *self = Self {
            has_sent_heartbeat: self.has_sent_heartbeat,
            owned_before: owned_before.collect(),
            reserved_until_ms: now_ms + RESERVED_MS,
            ..Self::new(&self.me, self.count)
        };
    }

    /// Notes the bucket's newest revision when reading begins.
    pub(crate) fn opened(&mut self, newest: u64) {
        self.newest_at_open.get_or_insert(newest);
    }

    /// Whether the bucket was read up to the end that it had when reading began. Nothing is planned before.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.newest_at_open.is_some_and(|newest| self.read >= newest)
    }

    /// Whether this worker should write a heartbeat: while it can read the bucket. The first one comes before
    /// that, so that no worker ignores one that is starting.
    pub(crate) fn should_send_heartbeat(&self) -> bool {
        self.is_caught_up() || !self.has_sent_heartbeat
    }

    /// Notes that the broker stored a heartbeat of this worker.
    pub(crate) fn heartbeat_stored(&mut self) {
        self.heartbeats += 1;
        self.has_sent_heartbeat = true;
    }

    /// Notes a key's newest value as the bucket's reader found it; `None` when it was removed. `now_ms` is
    /// monotonic.
    pub(crate) fn observe(&mut self, key: &str, value: Option<&[u8]>, revision: u64, now_ms: u64) {
        self.read = revision;
        self.note(key, value, revision, now_ms);
    }

    /// Notes a lease of its own writing, without waiting for the bucket's reader.
    pub(crate) fn written(&mut self, partition: Partition, lease: &Lease, revision: u64, now_ms: u64) {
        if let Ok(value) = serde_json::to_vec(lease) {
            self.note(&lease_key(partition), Some(&value), revision, now_ms);
        }
    }

    fn note(&mut self, key: &str, value: Option<&[u8]>, revision: u64, now_ms: u64) {
        let sighting = Sighting { revision, changed_ms: now_ms, heartbeats_then: self.heartbeats };
        if let Some(worker) = worker_of_key(key) {
            let (now_in, no_longer_in) = match value {
                Some(_) => (&mut self.workers, &mut self.removed),
                None => (&mut self.removed, &mut self.workers),
            };
            no_longer_in.remove(worker);
            now_in.insert(worker.to_owned(), sighting);
        } else if let Some(partition) = self.partition_of_key(key) {
            let known = self.partitions.get(&partition);
            if known.is_some_and(|(_, seen)| seen.revision > revision) {
                return;
            }
            // The next owner of an unreadable lease must still outrank the last epoch that was known.
            let epoch = known.map_or(0, |(lease, _)| lease.epoch);
            let lease = value.and_then(|value| serde_json::from_slice(value).ok());
            let lease = lease.unwrap_or(Lease { owner: String::new(), epoch });
            self.partitions.insert(partition, (lease, sighting));
        }
    }

    fn partition_of_key(&self, key: &str) -> Option<Partition> {
        self.count.partition(key.strip_prefix("p.")?.parse().ok()?)
    }

    /// Notes that the marker of a removed heartbeat is gone, or is left to others.
    pub(crate) fn purged(&mut self, worker: &str) {
        self.removed.remove(worker);
    }

    /// All leases that this worker holds, and their revisions.
    pub(crate) fn mine(&self) -> impl Iterator<Item = (Partition, &Lease, u64)> {
        let all = self.partitions.iter().map(|(partition, (lease, seen))| (*partition, lease, seen.revision));
        all.filter(|(_, lease, _)| lease.owner == self.me)
    }

    /// Whether the bucket has no lease of a partition, not even a released one.
    pub(crate) fn is_missing(&self, partition: Partition) -> bool {
        !self.partitions.contains_key(&partition)
    }

    /// Whether the bucket says that this worker does not own a partition under this epoch.
    pub(crate) fn is_lost(&self, partition: Partition, epoch: u64) -> bool {
        let held = self.partitions.get(&partition);
        held.is_some_and(|(lease, _)| lease.owner != self.me || lease.epoch != epoch)
    }

    /// What to do now. `now_ms` is monotonic. A new epoch is at least `epoch_floor`, which is the wall
    /// clock's seconds: so epochs grow even when the broker has lost its disk and all leases with it.
    pub(crate) fn plan(&self, now_ms: u64, epoch_floor: u64) -> Vec<Action> {
        if !self.is_caught_up() {
            return Vec::new();
        }
        let mine: Vec<Partition> = self.mine().map(|(partition, ..)| partition).collect();
        let target = usize::from(self.count.get()).div_ceil(self.live_workers(now_ms).len());
        let mut actions: Vec<Action> = mine.iter().skip(target).map(|k| Action::Release(*k)).collect();
        // Even those for which there is no room: they are then released with their state, as always.
        actions.extend(self.to_write_again());
        let room = target.saturating_sub(mine.len());
        actions.extend(self.takeable(now_ms, epoch_floor).take(room));
        actions.extend(self.dead_for(SWEEP_AFTER_MS, now_ms).map(Action::Sweep));
        let is_old = |seen: &Sighting| now_ms.saturating_sub(seen.changed_ms) >= PURGE_AFTER_MS;
        let markers = self.removed.iter().filter(|(_, seen)| is_old(seen)).take(MAX_PURGES);
        actions.extend(markers.map(|(worker, seen)| Action::Purge(worker.clone(), seen.revision)));
        actions
    }

    /// Ids of the workers that are alive, always including this one.
    fn live_workers(&self, now_ms: u64) -> BTreeSet<&str> {
        let alive = self.workers.iter().filter(|(_, seen)| !self.is_dead(seen, now_ms));
        alive.map(|(worker, _)| worker.as_str()).chain([self.me.as_str()]).collect()
    }

    /// The leases of this worker that the bucket has lost.
    fn to_write_again(&self) -> impl Iterator<Item = Action> {
        let missing = self.owned_before.iter().filter(|(partition, _)| self.is_missing(**partition));
        missing.map(|(partition, epoch)| {
            Action::Acquire(*partition, Lease { owner: self.me.clone(), epoch: *epoch }, 0)
        })
    }

    fn takeable(&self, now_ms: u64, epoch_floor: u64) -> impl Iterator<Item = Action> {
        self.count.all().filter_map(move |partition| {
            let lease = |epoch: u64| Lease { owner: self.me.clone(), epoch: epoch.max(epoch_floor) };
            let Some((held, seen)) = self.partitions.get(&partition) else {
                let is_free = now_ms >= self.reserved_until_ms && !self.owned_before.contains_key(&partition);
                return is_free.then(|| Action::Acquire(partition, lease(1), 0));
            };
            let is_free = held.owner.is_empty() || (held.owner != self.me && self.is_dead(seen, now_ms));
            is_free.then(|| Action::Acquire(partition, lease(held.epoch + 1), seen.revision))
        })
    }

    fn dead_for(&self, limit_ms: u64, now_ms: u64) -> impl Iterator<Item = String> {
        let long_dead =
            move |seen: &Sighting| self.is_dead(seen, now_ms) && now_ms - seen.changed_ms >= limit_ms;
        self.workers
            .iter()
            .filter(move |(worker, seen)| **worker != self.me && long_dead(seen))
            .map(|(worker, _)| worker.clone())
    }

    fn is_dead(&self, seen: &Sighting, now_ms: u64) -> bool {
        now_ms.saturating_sub(seen.changed_ms) >= DEAD_AFTER_MS
            && self.heartbeats - seen.heartbeats_then >= HEARTBEATS_NEEDED
    }
}

#[cfg(test)]
mod tests;
