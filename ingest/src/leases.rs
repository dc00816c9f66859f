//! Who owns what: the rules of leases, without the broker and without a clock.
//!
//! The bucket holds `p.<k>` = `{owner, epoch}` and `w.<id>`, a worker's heartbeat. A revision that stands still is the
//! only sign of death, measured on the observer's own clock; and an observer that could not write heartbeats itself
//! concludes nothing, so a broker's absence starts no takeover.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tidemap_wire::{Partition, PartitionCount, timing};

/// A lease or a heartbeat that stood still for this long is dead.
pub const DEAD_AFTER_MS: u64 = timing::millis(timing::LEASE_TAKEOVER);
/// Heartbeats of its own that an observer must have written while another stood still.
const HEARTBEATS_NEEDED: u64 = timing::HEARTBEATS_BEFORE_TAKEOVER;
/// When the broker has lost all leases, a partition waits so long for the worker that had it: as long as that one may wait
/// between two attempts to reach the broker, and a little.
const RESERVED_MS: u64 = timing::millis(timing::LEASE_RESERVATION);
/// A dead worker's heartbeat is removed after this.
const SWEEP_AFTER_MS: u64 = 60_000;
/// The mark that a heartbeat was removed goes after this: all workers have read it long before.
const BURY_AFTER_MS: u64 = 10_000;
/// So many marks at once. There may be thousands, and leases must be renewed meanwhile.
const MOST_BURIED: usize = 8;

/// The value of `p.<k>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The owner's id; empty when it was released.
    pub owner: String,
    /// Grows with every change of owner; never falls.
    pub epoch: u64,
}

/// What a worker should write now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a partition: write the lease over `revision` (0: there is none yet).
    Acquire(Partition, Lease, u64),
    /// Give a partition back, because others have too few.
    Release(Partition),
    /// Remove the heartbeat of a worker that has long been dead.
    Sweep(String),
    /// Remove the mark that this leaves in the bucket, as far as `revision`: one for every worker that ever was.
    Bury(String, u64),
}

/// A key of the bucket, as this worker saw it move.
#[derive(Clone, Debug)]
struct Sighting {
    revision: u64,
    changed_ms: u64,
    heartbeats_then: u64,
}

/// What one worker knows of all leases.
#[derive(Debug)]
pub struct Leases {
    me: String,
    count: PartitionCount,
    partitions: BTreeMap<Partition, (Lease, Sighting)>,
    workers: BTreeMap<String, Sighting>,
    /// Workers whose heartbeats were removed, while the bucket still says so.
    removed: BTreeMap<String, Sighting>,
    /// Own heartbeats that the broker took.
    heartbeats: u64,
    /// Until this time a partition without any lease is left to the worker that has owned it, unless that was us.
    reserved_until_ms: u64,
    owned_before: BTreeSet<Partition>,
}

impl Leases {
    /// The view of worker `me`, who has seen nothing yet.
    pub fn new(me: &str, count: PartitionCount) -> Self {
        Self {
            me: me.to_owned(),
            count,
            partitions: BTreeMap::new(),
            workers: BTreeMap::new(),
            removed: BTreeMap::new(),
            heartbeats: 0,
            reserved_until_ms: 0,
            owned_before: BTreeSet::new(),
        }
    }

    /// Takes note that all leases may be gone, and which were ours. Whoever owned a partition has its state in memory and
    /// keeps it before it goes on; another must not begin before that.
    pub fn begin_anew(&mut self, owned_before: impl Iterator<Item = Partition>, now_ms: u64) {
        *self = Self::new(&self.me, self.count);
        self.owned_before = owned_before.collect();
        self.reserved_until_ms = now_ms + RESERVED_MS;
    }

    /// Takes note that the broker took a heartbeat of ours.
    pub fn heartbeat_taken(&mut self) {
        self.heartbeats += 1;
    }

    /// Takes note of a key's newest value; `None` when it was removed. `now_ms` is monotonic.
    pub fn observe(&mut self, key: &str, value: Option<&[u8]>, revision: u64, now_ms: u64) {
        let sighting = Sighting { revision, changed_ms: now_ms, heartbeats_then: self.heartbeats };
        if let Some(worker) = key.strip_prefix("w.") {
            let (now_in, no_longer_in) = match value {
                Some(_) => (&mut self.workers, &mut self.removed),
                None => (&mut self.removed, &mut self.workers),
            };
            no_longer_in.remove(worker);
            now_in.insert(worker.to_owned(), sighting);
        } else if let Some(partition) =
            key.strip_prefix("p.").and_then(|number| self.count.partition(number.parse().ok()?))
        {
            let held = self.partitions.get(&partition);
            if held.is_some_and(|(_, held)| held.revision > revision) {
                return;
            }
            // An unreadable lease keeps its epoch's floor: whoever takes it over must still outrank it.
            let floor = held.map_or(0, |(lease, _)| lease.epoch);
            let lease = value.and_then(|value| serde_json::from_slice(value).ok());
            let lease = lease.unwrap_or(Lease { owner: String::new(), epoch: floor });
            self.partitions.insert(partition, (lease, sighting));
        }
    }

    /// Takes note that the mark of a removed heartbeat is gone, or is left to others.
    pub fn buried(&mut self, worker: &str) {
        self.removed.remove(worker);
    }

    /// The lease of a partition and its revision, when it is ours.
    pub fn held(&self, partition: Partition) -> Option<(&Lease, u64)> {
        let (lease, sighting) = self.partitions.get(&partition)?;
        (lease.owner == self.me).then_some((lease, sighting.revision))
    }

    /// The partitions that are ours.
    pub fn mine(&self) -> impl Iterator<Item = Partition> {
        self.partitions
            .iter()
            .filter(|(_, (lease, _))| lease.owner == self.me)
            .map(|(partition, _)| *partition)
    }

    /// What to do now. `now_ms` is monotonic; a new epoch is at least `epoch_floor`, for which the wall clock's
    /// seconds serve: so epochs grow even when the broker has lost its store and every lease with it.
    pub fn plan(&self, now_ms: u64, epoch_floor: u64) -> Vec<Action> {
        let mine: Vec<Partition> = self.mine().collect();
        let target = usize::from(self.count.get()).div_ceil(self.live_workers(now_ms).len());
        let mut actions: Vec<Action> = mine.iter().skip(target).map(|k| Action::Release(*k)).collect();
        let room = target.saturating_sub(mine.len());
        actions.extend(self.takeable(now_ms, epoch_floor).take(room));
        actions.extend(self.dead_for(SWEEP_AFTER_MS, now_ms).map(Action::Sweep));
        let is_old = |seen: &Sighting| now_ms.saturating_sub(seen.changed_ms) >= BURY_AFTER_MS;
        let marks = self.removed.iter().filter(|(_, seen)| is_old(seen)).take(MOST_BURIED);
        actions.extend(marks.map(|(worker, seen)| Action::Bury(worker.clone(), seen.revision)));
        actions
    }

    /// Ids of the workers that live, this one always among them.
    fn live_workers(&self, now_ms: u64) -> BTreeSet<&str> {
        let moving = self.workers.iter().filter(|(_, seen)| !self.is_dead(seen, now_ms));
        moving.map(|(worker, _)| worker.as_str()).chain([self.me.as_str()]).collect()
    }

    fn takeable(&self, now_ms: u64, epoch_floor: u64) -> impl Iterator<Item = Action> {
        self.count.all().filter_map(move |partition| {
            let lease = |epoch: u64| Lease { owner: self.me.clone(), epoch: epoch.max(epoch_floor) };
            match self.partitions.get(&partition) {
                None if now_ms < self.reserved_until_ms && !self.owned_before.contains(&partition) => None,
                None => Some(Action::Acquire(partition, lease(1), 0)),
                Some((held, seen))
                    if held.owner.is_empty() || (held.owner != self.me && self.is_dead(seen, now_ms)) =>
                {
                    Some(Action::Acquire(partition, lease(held.epoch + 1), seen.revision))
                }
                Some(_) => None,
            }
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
