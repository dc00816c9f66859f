//! A subscriber to what workers publish: measures how long partitions publish nothing, and which replaced
//! owners still publish.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use serde::Deserialize;
use tidemap_wire::{Delta, Partition, PartitionCount, PartitionStats, decode, subject};
use tokio::{task::JoinSet, time::Instant};

/// Pauses of a partition that are shorter than this are normal, as totals come once a second.
const PAUSE: Duration = Duration::from_secs(2);

/// The subscriber, ended on drop.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _listening: JoinSet<()>,
}

/// Its observations.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    partitions: BTreeMap<u16, Owner>,
    /// Long pauses of a partition's owners.
    pub pauses: Vec<Duration>,
    /// Shorter silences, during which the partition passed to another owner.
    pub hand_overs: Vec<Duration>,
    /// How often a partition got another owner.
    pub successions: u64,
    /// Messages of owners that had already been replaced.
    pub outranked: u64,
    /// The last delta of each owner of a partition.
    last_deltas: BTreeMap<(u16, u64), Delta>,
    /// The last totals of each owner of a partition.
    tallies: BTreeMap<(u16, u64), PartitionStats>,
}

#[derive(Clone, Debug)]
struct Owner {
    epoch: u64,
    heard_at: Instant,
}

/// The head of a delta and of totals.
#[derive(Deserialize)]
struct Head {
    partition: u16,
    epoch: u64,
}

impl Watch {
    /// Subscribes; returns once no message can be missed any more.
    pub async fn start(client: async_nats::Client) -> anyhow::Result<Self> {
        let deltas = client.subscribe(subject::ALL_DELTAS).await?;
        let stats = client.subscribe(subject::ALL_STATS).await?;
        client.flush().await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut listening = JoinSet::new();
        let noting = Arc::clone(&seen);
        listening.spawn(async move {
            let mut messages = futures_util::stream::select(deltas, stats);
            while let Some(message) = messages.next().await {
                let mut seen = noting.lock().unwrap_or_else(PoisonError::into_inner);
                seen.hear(&message.subject, &message.payload, Instant::now());
            }
        });
        Ok(Self { seen, _listening: listening })
    }

    /// Forgets the pauses and changes observed so far.
    pub fn forget(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.pauses, seen.hand_overs) = (Vec::new(), Vec::new());
        (seen.successions, seen.outranked) = (0, 0);
    }

    /// Forgets all partitions: there will be another number of them. No owner may speak now.
    pub fn forget_partitions(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.partitions, seen.last_deltas, seen.tallies) = Default::default();
    }

    /// The observations so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    /// The newest owner's totals of each partition.
    pub fn newest(&self) -> BTreeMap<u16, &PartitionStats> {
        self.tallies.iter().map(|((partition, _), stats)| (*partition, stats)).collect()
    }

    /// The last deltas of owners that have been outranked.
    pub fn outranked_deltas(&self) -> Vec<Delta> {
        let outranked = self.last_deltas.iter().filter(|(owner, _)| self.is_outranked(owner));
        outranked.map(|(_, delta)| delta.clone()).collect()
    }

    /// The last totals of owners that have been outranked.
    pub fn outranked_totals(&self) -> Vec<PartitionStats> {
        let outranked = self.tallies.iter().filter(|(owner, _)| self.is_outranked(owner));
        outranked.map(|(_, stats)| stats.clone()).collect()
    }

    /// Samples that the state contains.
    pub fn applied(&self) -> u64 {
        self.newest().values().map(|stats| stats.total_samples).sum()
    }

    /// The partitions whose owner has not published since `then`; all partitions of the default number if no
    /// owner ever has.
    pub fn silent_since(&self, then: Instant) -> Vec<u16> {
        let partitions = PartitionCount::default().all().map(Partition::get);
        let has_spoken = |k: &u16| self.partitions.get(k).is_some_and(|held| held.heard_at > then);
        partitions.filter(|k| !has_spoken(k)).collect()
    }

    /// The epoch of each partition's owner.
    pub fn epochs(&self) -> BTreeMap<u16, u64> {
        self.partitions.iter().map(|(partition, held)| (*partition, held.epoch)).collect()
    }

    /// How many partitions each worker owns.
    pub fn owners(&self) -> BTreeMap<String, usize> {
        let mut owners = BTreeMap::new();
        for stats in self.newest().into_values() {
            *owners.entry(stats.owner.clone()).or_default() += 1;
        }
        owners
    }

    /// A counter's sum over all owners so far.
    pub fn sum(&self, count: impl Fn(&PartitionStats) -> u64) -> u64 {
        self.tallies.values().map(count).sum()
    }

    fn is_outranked(&self, (partition, epoch): &(u16, u64)) -> bool {
        self.partitions[partition].epoch > *epoch
    }

    fn hear(&mut self, subject: &str, payload: &[u8], now: Instant) {
        let Ok(Head { partition, epoch }) = decode(payload) else { return };
        let held = self.partitions.entry(partition).or_insert(Owner { epoch, heard_at: now });
        if epoch < held.epoch {
            self.outranked += 1;
            return;
        }
        let silent = now - held.heard_at;
        self.successions += u64::from(epoch > held.epoch);
        if silent >= PAUSE {
            self.pauses.push(silent);
        } else if epoch > held.epoch {
            self.hand_overs.push(silent);
        }
        *held = Owner { epoch, heard_at: now };
        if subject.starts_with("tidemap.v1.stats.") {
            self.tallies.extend(decode(payload).map(|stats| ((partition, epoch), stats)));
        } else {
            self.last_deltas.extend(decode(payload).map(|delta| ((partition, epoch), delta)));
        }
    }
}

/// The value that this percentage of the values does not exceed; `None` without values.
pub fn percentile(values: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}
