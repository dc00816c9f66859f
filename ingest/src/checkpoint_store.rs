//! Where checkpoints are kept: a bucket of the broker, read when a partition is taken and written while it is owned.
//!
//! Every write names the revision that it replaces. When somebody else has written meanwhile, the higher epoch wins: an
//! owner that was frozen and has been replaced finds its successor's value and stops.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use anyhow::{Context, bail};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    kv,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tidemap_service::streams;
use tidemap_wire::{NodeId, Slot};
use tokio::sync::mpsc;

use crate::{
    checkpoint::{Checkpoint, Part, Recovery},
    log_reader::{Content, LogPosition, nanos},
    node::Node,
};

/// For one answer of the broker.
const PATIENCE: Duration = Duration::from_secs(5);
/// The subjects under which a bucket keeps its keys.
const KEYS: &str = "$KV.TIDEMAP_CHECKPOINTS.";

/// What is known of a partition before its log is read.
#[derive(Debug, Default)]
pub struct Restored {
    /// Its nodes.
    pub nodes: Vec<(NodeId, Node)>,
    /// What of the log they contain.
    pub recovery: Recovery,
    /// Where reading begins.
    pub place: LogPosition,
    /// The bucket's revision of each part.
    pub revisions: BTreeMap<Part, u64>,
    /// The highest epoch that has written.
    pub epoch: u64,
}

/// Reads what is kept of some slots, whose samples are in `stream`, which must be as `content` says.
///
/// # Errors
///
/// When the broker does not answer, or has lost the stream or the bucket.
pub async fn load(
    js: &jetstream::Context,
    stream: &str,
    content: &Content,
    slots: &[Slot],
) -> anyhow::Result<Restored> {
    let log = within(js.get_stream(stream)).await?;
    let info = log.cached_info();
    content.check(info)?;
    let created_ns = nanos(info.created);
    let mut revisions = BTreeMap::new();
    let mut parts = Vec::new();
    for (part, revision, value) in values(js, slots).await? {
        revisions.insert(part, revision);
        match Checkpoint::decode(&value) {
            Ok(kept) => parts.push((part, kept)),
            Err(error) => {
                tracing::warn!(key = part.key(), "not a checkpoint, reading the log instead: {error}");
            }
        }
    }
    shorten(&mut parts, &log).await?;
    let epoch = parts.iter().map(|(_, kept)| kept.epoch).max().unwrap_or(0);
    let places: Vec<LogPosition> = parts.iter().map(|(_, kept)| kept.place.clone()).collect();
    let (recovery, nodes) = Recovery::new(parts, created_ns);
    let applied = recovery.applied(slots.iter().copied());
    let kept_at = places.into_iter().find(|place| place.created_ns == created_ns && place.applied == applied);
    let place = kept_at.filter(|_| applied > 0).unwrap_or_else(|| LogPosition::beginning(info));
    Ok(Restored { nodes, recovery, place, revisions, epoch })
}

/// Has parts contain no more of the log than is left of it: after a crash the broker may have given the numbers of the
/// log's end to other messages.
async fn shorten(parts: &mut [(Part, Checkpoint)], log: &jetstream::stream::Stream) -> anyhow::Result<()> {
    // Two parts that are cut to the same length stay in the order in which they were written.
    parts.sort_by_key(|(_, kept)| (kept.place.created_ns, kept.place.applied));
    let created_ns = nanos(log.cached_info().created);
    let mut judged = BTreeMap::new();
    for place in parts.iter_mut().map(|(_, kept)| &mut kept.place) {
        if place.created_ns != created_ns {
            continue;
        }
        let key = (place.applied, place.applied_ns);
        if let Entry::Vacant(unknown) = judged.entry(key) {
            unknown.insert(place.left_in(log).await?);
        }
        if let Some(left) = judged.get(&key) {
            place.clone_from(left);
        }
    }
    Ok(())
}

/// The newest value of every part of these slots.
async fn values(js: &jetstream::Context, slots: &[Slot]) -> anyhow::Result<Vec<(Part, u64, Bytes)>> {
    let bucket = within(js.get_stream(format!("KV_{}", streams::CHECKPOINTS))).await?;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::LastPerSubject,
        ack_policy: AckPolicy::None,
        filter_subjects: slots.iter().map(|slot| format!("{KEYS}{}", Part::keys_of(*slot))).collect(),
        inactive_threshold: PATIENCE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let consumer = within(bucket.create_consumer(config)).await?;
    let count = usize::try_from(consumer.cached_info().num_pending)?;
    let mut found = Vec::with_capacity(count);
    if count == 0 {
        return Ok(found);
    }
    // Not all at once: they are large.
    let mut messages = within(consumer.stream().max_messages_per_batch(64).messages()).await?;
    for _ in 0..count {
        let message =
            tokio::time::timeout(PATIENCE, messages.next()).await.context("checkpoints come no more")?;
        let message = message.context("checkpoints came no more")??;
        let revision = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
        let part = message.subject.strip_prefix(KEYS).and_then(Part::from_key);
        found.extend(part.map(|part| (part, revision, message.payload.clone())));
    }
    Ok(found)
}

/// What an owner wants written.
#[derive(Debug)]
pub enum WriteRequest {
    /// Values of parts.
    Put(Vec<(Part, Bytes)>),
    /// These are all parts there are now: others are left from another division.
    Complete(Vec<Part>),
}

/// Writes a partition's checkpoints.
#[derive(Debug)]
pub struct CheckpointWriter {
    /// The bucket.
    pub bucket: kv::Store,
    /// The epoch of the owner's lease.
    pub epoch: u64,
    /// The bucket's revision of each part.
    pub revisions: BTreeMap<Part, u64>,
}

impl CheckpointWriter {
    /// Does what is ordered, until nobody orders any more, or the owner is found to have been replaced. Returns how
    /// many checkpoints could not be written.
    ///
    /// # Errors
    ///
    /// When a higher epoch has written.
    pub async fn run(mut self, mut orders: mpsc::Receiver<WriteRequest>) -> anyhow::Result<u64> {
        // Whether every write since the last `Complete` has succeeded.
        let mut whole = true;
        let mut failed = 0;
        while let Some(order) = orders.recv().await {
            match order {
                WriteRequest::Put(parts) => {
                    for (part, value) in parts {
                        match self.keep(part, value).await {
                            Ok(()) => {}
                            Err(Refusal::Outranked(epoch)) => {
                                bail!(
                                    "epoch {epoch} has written a checkpoint, and this owner's is {}",
                                    self.epoch
                                );
                            }
                            // The log still has what is missing, and the next round tries again.
                            Err(Refusal::Failed(error)) => {
                                whole = false;
                                failed += 1;
                                tracing::warn!(key = part.key(), "no checkpoint: {error:#}");
                            }
                        }
                    }
                }
                WriteRequest::Complete(parts) => {
                    if std::mem::replace(&mut whole, true) {
                        self.drop_others(&parts).await;
                    }
                }
            }
        }
        Ok(failed)
    }

    async fn keep(&mut self, part: Part, value: Bytes) -> Result<(), Refusal> {
        let known = self.revisions.get(&part).copied().unwrap_or(0);
        let write = |revision| self.bucket.update(part.key(), value.clone(), revision);
        let revision = match answer(write(known)).await? {
            Ok(revision) => revision,
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                let held = answer(self.bucket.entry(part.key())).await?.map_err(anyhow::Error::from)?;
                let (epoch, revision) =
                    held.map_or((0, 0), |held| (Checkpoint::epoch_of(&held.value), held.revision));
                if epoch > self.epoch {
                    return Err(Refusal::Outranked(epoch));
                }
                answer(write(revision)).await?.map_err(anyhow::Error::from)?
            }
            Err(error) => return Err(Refusal::Failed(error.into())),
        };
        self.revisions.insert(part, revision);
        Ok(())
    }

    /// Removes the parts of older divisions, but only the values that this owner knows: one that was replaced without
    /// noticing must not remove its successor's.
    async fn drop_others(&mut self, parts: &[Part]) {
        let others: Vec<(Part, u64)> =
            self.revisions.iter().filter(|(part, _)| !parts.contains(part)).map(|(p, r)| (*p, *r)).collect();
        for (part, revision) in others {
            let subject = format!("{KEYS}{}", part.key());
            // The value goes without a trace, so that a later one may again be the first. What is newer stays.
            let purge = self.bucket.stream.purge().sequence(revision + 1).filter(subject);
            match within(purge.into_future()).await {
                Ok(_) => {
                    self.revisions.remove(&part);
                }
                Err(error) => tracing::debug!(key = part.key(), "an old part stays: {error:#}"),
            }
        }
    }
}

/// Why a checkpoint was not written.
enum Refusal {
    /// A later owner has written.
    Outranked(u64),
    /// The broker did not take it.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

async fn answer<T>(request: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, request).await.context("the broker does not answer")
}

async fn within<T, E>(request: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    Ok(answer(request).await??)
}
