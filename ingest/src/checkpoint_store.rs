//! The broker's bucket of checkpoints, read when a partition is taken and written while it is owned.
//!
//! Every write names the revision that it replaces. When another worker has written meanwhile, the higher
//! epoch wins: an owner that was frozen and has been replaced finds its successor's value and stops.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::{PublishError, PublishErrorKind},
    kv,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tidemap_service::{causes::causes, deadline, logging::Throttle, streams};
use tidemap_wire::{NodeId, Slot};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::{Checkpoint, Part, Recovery},
    log_reader::{Content, LogPosition, nanos},
    node::Node,
};

/// For one answer of the broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The same once the task ends.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// At most one checkpoint in this time is logged that cannot be written.
const FAILURE_LOG_PERIOD: Duration = Duration::from_secs(5);

/// A partition's state from its checkpoints, before its log is read.
#[derive(Debug, Default)]
pub struct Restored {
    /// The partition's nodes.
    pub nodes: Vec<(NodeId, Node)>,
    /// What the nodes contain of the log.
    pub recovery: Recovery,
    /// Where reading begins.
    pub position: LogPosition,
    /// The bucket's revision of each part.
    pub revisions: BTreeMap<Part, u64>,
    /// The highest epoch that has written.
    pub epoch: u64,
}

/// Reads the checkpoints of these slots, whose samples are in `stream`. The stream's content must be as in
/// `content`.
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
    let positions: Vec<LogPosition> = parts.iter().map(|(_, kept)| kept.place.clone()).collect();
    let (recovery, nodes) = Recovery::new(parts, created_ns);
    let applied = recovery.applied(slots.iter().copied());
    let is_oldest = |position: &LogPosition| position.created_ns == created_ns && position.applied == applied;
    let oldest = positions.into_iter().find(is_oldest).filter(|_| applied > 0);
    let position = oldest.unwrap_or_else(|| LogPosition::beginning(info));
    Ok(Restored { nodes, recovery, position, revisions, epoch })
}

/// Limits what the parts contain to what is left of the log: after a crash the broker may have given the last
/// numbers to other messages.
async fn shorten(parts: &mut [(Part, Checkpoint)], log: &jetstream::stream::Stream) -> anyhow::Result<()> {
    // Two parts that are cut at the same message stay in the order in which they were written.
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
    let bucket = within(js.get_stream(streams::bucket_stream(streams::CHECKPOINTS))).await?;
    let config = pull::Config {
        deliver_policy: DeliverPolicy::LastPerSubject,
        ack_policy: AckPolicy::None,
        filter_subjects: slots.iter().map(|slot| subject_of(&Part::keys_of(*slot))).collect(),
        inactive_threshold: ANSWER_TIMEOUT,
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
    // Few at once: they are large.
    let mut messages = within(consumer.stream().max_messages_per_batch(64).messages()).await?;
    for _ in 0..count {
        let missing = "checkpoints are missing";
        let message = deadline::within(ANSWER_TIMEOUT, missing, messages.try_next()).await?;
        let message = message.context(missing)?;
        let revision = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
        let key = streams::bucket_key(streams::CHECKPOINTS, &message.subject);
        if let Some(part) = key.and_then(Part::from_key) {
            found.push((part, revision, message.payload.clone()));
        }
    }
    Ok(found)
}

/// A request to the writer.
#[derive(Debug)]
pub enum WriteRequest {
    /// Values of parts.
    Put(Vec<(Part, Bytes)>),
    /// These are all parts now; other stored parts belong to an older division.
    Complete(Vec<Part>),
}

/// Writes a partition's checkpoints.
#[derive(Debug)]
pub struct CheckpointWriter {
    bucket: kv::Store,
    /// The epoch of the owner's lease.
    epoch: u64,
    /// The bucket's revision of each part.
    revisions: BTreeMap<Part, u64>,
    /// Notified when the bucket is missing.
    pub(crate) missing: Arc<Notify>,
    /// Cancelled when the owner's task ends: one answer that was lost with a broker must not take the time of
    /// all other parts.
    pub hurry: CancellationToken,
}

impl CheckpointWriter {
    /// A writer under the epoch of the owner's lease. `revisions` are the bucket's of the parts in it.
    pub fn new(bucket: kv::Store, epoch: u64, revisions: BTreeMap<Part, u64>) -> Self {
        Self { bucket, epoch, revisions, missing: Arc::default(), hurry: CancellationToken::new() }
    }

    /// Serves requests until their sender is gone, or the owner turns out to have been replaced. Returns how
    /// many checkpoints could not be written.
    ///
    /// # Errors
    ///
    /// When a higher epoch has written.
    pub async fn run(mut self, mut requests: mpsc::Receiver<WriteRequest>) -> anyhow::Result<u64> {
        // Whether every write since the last `Complete` has succeeded.
        let mut whole = true;
        let mut failed = 0;
        let mut log = Throttle::new(FAILURE_LOG_PERIOD);
        while let Some(request) = requests.recv().await {
            match request {
                WriteRequest::Put(parts) => {
                    for (part, value) in parts {
                        match self.put_in_time(part, value).await {
                            Ok(()) => {}
                            Err(WriteError::Outranked(epoch)) => {
                                bail!(
                                    "epoch {epoch} has written a checkpoint, and this owner's is {}",
                                    self.epoch
                                );
                            }
                            // The log still has the missing messages, and the next round tries again.
                            Err(WriteError::Failed(error)) => {
                                whole = false;
                                failed += 1;
                                if is_bucket_missing(&error) {
                                    self.missing.notify_one();
                                }
                                if log.is_due() {
                                    tracing::warn!(
                                        key = part.key(),
                                        failed,
                                        "no checkpoint (others may follow unlogged): {}",
                                        causes(error.as_ref())
                                    );
                                }
                            }
                        }
                    }
                }
                WriteRequest::Complete(parts) => {
                    if std::mem::replace(&mut whole, true) {
                        self.purge_others(&parts).await;
                    }
                }
            }
        }
        Ok(failed)
    }

    async fn put_in_time(&mut self, part: Part, value: Bytes) -> Result<(), WriteError> {
        let hurry = self.hurry.clone();
        let overdue = async {
            hurry.cancelled().await;
            tokio::time::sleep(LAST_ANSWER_TIMEOUT).await;
        };
        tokio::select! {
            // The broker has answered.
            written = self.put(part, value) => written,
            // The task ends, and the broker does not answer.
            () = overdue => Err(WriteError::Failed(anyhow!("the broker did not answer in time"))),
        }
    }

    async fn put(&mut self, part: Part, value: Bytes) -> Result<(), WriteError> {
        let known = self.revisions.get(&part).copied().unwrap_or(0);
        let write = |revision| self.bucket.update(part.key(), value.clone(), revision);
        let revision = match within(write(known)).await {
            Ok(revision) => revision,
            Err(error) if is_wrong_revision(&error) => {
                let held = within(self.bucket.entry(part.key())).await?;
                let (epoch, revision) =
                    held.map_or((0, 0), |held| (Checkpoint::epoch_of(&held.value), held.revision));
                if epoch > self.epoch {
                    return Err(WriteError::Outranked(epoch));
                }
                within(write(revision)).await?
            }
            Err(error) => return Err(WriteError::Failed(error)),
        };
        self.revisions.insert(part, revision);
        Ok(())
    }

    /// Purges the parts of older divisions, but only the values that this owner knows: an owner that was
    /// replaced without noticing must not purge its successor's.
    async fn purge_others(&mut self, parts: &[Part]) {
        let others: Vec<(Part, u64)> =
            self.revisions.iter().filter(|(part, _)| !parts.contains(part)).map(|(p, r)| (*p, *r)).collect();
        for (part, revision) in others {
            let subject = subject_of(&part.key());
            // Purging leaves no marker, so a later value may be written as the first one. Newer values stay.
            let purge = self.bucket.stream.purge().sequence(revision + 1).filter(subject);
            match within(purge.into_future()).await {
                Ok(_) => {
                    self.revisions.remove(&part);
                }
                Err(error) => {
                    tracing::debug!(key = part.key(), "an old part stays: {}", causes(error.as_ref()));
                }
            }
        }
    }
}

/// Why a checkpoint was not written.
enum WriteError {
    /// A later owner has written.
    Outranked(u64),
    /// The broker did not store it.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for WriteError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

fn subject_of(key: &str) -> String {
    streams::bucket_subject(streams::CHECKPOINTS, key)
}

/// Whether no stream has taken the value.
fn is_bucket_missing(error: &anyhow::Error) -> bool {
    let mut publishing = error.chain().filter_map(|cause| cause.downcast_ref::<PublishError>());
    publishing.any(|error| error.kind() == PublishErrorKind::StreamNotFound)
}

/// Whether a write failed because another worker has written since the revision that it names.
fn is_wrong_revision(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<kv::UpdateError>()
        .is_some_and(|error| error.kind() == kv::UpdateErrorKind::WrongLastRevision)
}

async fn within<T, E: Into<anyhow::Error>>(request: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    deadline::within(ANSWER_TIMEOUT, "the broker does not answer", request).await
}
