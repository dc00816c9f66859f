//! Changing the number of partitions: the fleet's streams are cut anew and nothing is lost.
//!
//! Checkpoints are kept by slot, and slots do not depend on partitions. So the old streams are closed to new reports,
//! read to their ends, and kept; then they go, and the new ones are made. Agents find nobody who stores their reports
//! meanwhile, hold them, and send them again. Every step can be repeated: what was begun is written down, workers do
//! not start before it is finished, and a second run goes on where the first one ended.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, bail};
use async_nats::jetstream::{self, kv};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tidemap_service::{cli::UsageError, clock, streams};
use tidemap_wire::{Partition as PartitionId, PartitionCount, subject, timing};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::Checkpoint,
    checkpoint_store::{self, CheckpointWriter, Restored, WriteRequest},
    log_reader::{Content, LogEvent, LogReader},
    partition::{Limits, Message, Partition},
};

/// For a stream to be read to its end.
const PATIENCE: Duration = Duration::from_secs(300);
/// From a worker's look at the streams to its first heartbeat.
const STARTING: Duration = Duration::from_secs(2);
/// The longest wait between two attempts to reach a broker, and a heartbeat.
const AWAY: Duration = timing::LEASE_RESERVATION;
/// Nobody is judged or forgotten here.
const LIMITS: Limits = Limits { offline_after_ms: i64::MAX, forget_after_ms: i64::MAX };

/// A change that was begun.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Change {
    from: u16,
    to: u16,
    /// Whether everything is in the checkpoints, so that the old streams may go.
    kept: bool,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recut {
    /// How many partitions there were.
    pub from: u16,
    /// How many there are.
    pub to: u16,
    /// Reports that were read because no checkpoint had them.
    pub read: u64,
    /// Nodes that were carried over.
    pub nodes: usize,
}

impl fmt::Display for Recut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, read, nodes } = self;
        write!(
            f,
            "{from} partitions became {to}: {nodes} nodes carried over, {read} reports read from the old logs"
        )
    }
}

/// Cuts the streams for `to` partitions; `None` when they are.
///
/// # Errors
///
/// When a worker is running, or the broker refuses or does not answer. A second call then goes on.
pub async fn run(
    js: &jetstream::Context,
    to: PartitionCount,
    replicas: usize,
) -> anyhow::Result<Option<Recut>> {
    match js.get_stream(format!("KV_{}", streams::CHECKPOINTS)).await {
        Ok(_) => {}
        // No worker has ever run here.
        Err(error) if streams::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error).context("the bucket of checkpoints"),
    }
    let marks = js.get_key_value(streams::CHECKPOINTS).await.context("the bucket of checkpoints")?;
    let begun = begun(&marks).await?;
    let mut change = match (begun, streams::count(js).await?) {
        (Some(begun), _) => begun,
        (None, Some(from)) if from != to.get() => Change { from, to: to.get(), kept: false },
        (None, _) => return Ok(None),
    };
    if change.to != to.get() {
        bail!(UsageError(format!(
            "--partitions {}: a change to {} was begun; finish that one first",
            to.get(),
            change.to
        )));
    }
    // The mark comes first: a worker that starts from now on finds it.
    mark(&marks, change).await?;
    if let Err(error) = no_worker_lives(js).await {
        if begun.is_none() {
            marks.purge(streams::CHANGE).await.context("the change cannot be crossed off")?;
        }
        return Err(error);
    }
    let (mut read, mut nodes) = (0, 0);
    if !change.kept {
        let from = PartitionCount::new(change.from)?;
        for partition in from.all() {
            close(js, partition).await?;
        }
        for partition in from.all() {
            let carried = carry(js, &marks, from, partition).await;
            let (more_read, more_nodes) = carried.with_context(|| streams::name(partition))?;
            (read, nodes) = (read + more_read, nodes + more_nodes);
        }
        change.kept = true;
        mark(&marks, change).await?;
    }
    for number in 0..change.from {
        let name = format!("TIDEMAP_{number}");
        // Those of the new cut are made below, under the same names.
        match js.get_stream(&name).await {
            Ok(stream) if is_closed(&stream) => {
                js.delete_stream(&name).await.with_context(|| format!("cannot remove the stream {name}"))?;
            }
            Ok(_) => {}
            Err(error) if streams::is_missing(&error) => {}
            Err(error) => return Err(error).with_context(|| format!("the stream {name}")),
        }
    }
    streams::ensure_streams(js, to, replicas).await?;
    marks.purge(streams::CHANGE).await.context("the change is made, but not crossed off")?;
    Ok(Some(Recut { from: change.from, to: change.to, read, nodes }))
}

async fn begun(marks: &kv::Store) -> anyhow::Result<Option<Change>> {
    let found = marks.get(streams::CHANGE).await.context("the bucket of checkpoints")?;
    found
        .map(|value| serde_json::from_slice(&value).context("the mark of a change that was begun"))
        .transpose()
}

async fn mark(marks: &kv::Store, change: Change) -> anyhow::Result<()> {
    marks
        .put(streams::CHANGE, serde_json::to_vec(&change)?.into())
        .await
        .context("cannot write the change down")?;
    Ok(())
}

/// A worker shows its life every second, so none has when no heartbeat moves.
async fn no_worker_lives(js: &jetstream::Context) -> anyhow::Result<()> {
    let leases = js.get_key_value(streams::LEASES).await.context("the bucket of leases")?;
    let before = heartbeats(&leases).await?;
    // One that is starting has none yet; one that has lost its connection may take long to come back.
    tokio::time::sleep(if before.is_empty() { STARTING } else { AWAY }).await;
    let moved = |(worker, revision): (&String, &u64)| before.get(worker) != Some(revision);
    if let Some((worker, _)) = heartbeats(&leases).await?.iter().find(|entry| moved(*entry)) {
        bail!("ingest worker {worker} is running: stop all workers first");
    }
    Ok(())
}

async fn heartbeats(leases: &kv::Store) -> anyhow::Result<BTreeMap<String, u64>> {
    let keys: Vec<String> = leases.keys().await?.try_collect().await?;
    let mut found = BTreeMap::new();
    for key in keys {
        if let Some(worker) = key.strip_prefix("w.")
            && let Some(entry) = leases.entry(&key).await?
        {
            found.insert(worker.to_owned(), entry.revision);
        }
    }
    Ok(found)
}

/// Closes a stream to new reports: it listens where nobody speaks.
async fn close(js: &jetstream::Context, partition: PartitionId) -> anyhow::Result<()> {
    let name = streams::name(partition);
    let stream = js.get_stream(&name).await.with_context(|| format!("the stream {name}"))?;
    let mut config = stream.cached_info().config.clone();
    config.subjects = vec![subject::closed(partition)];
    js.update_stream(config).await.with_context(|| format!("cannot close the stream {name}"))?;
    Ok(())
}

fn is_closed(stream: &jetstream::stream::Stream) -> bool {
    stream.cached_info().config.subjects.iter().any(|subject| subject::is_closed(subject))
}

/// Brings the checkpoints of a partition to the end of its log; returns what was read, and how many nodes there are.
async fn carry(
    js: &jetstream::Context,
    bucket: &kv::Store,
    count: PartitionCount,
    partition: PartitionId,
) -> anyhow::Result<(u64, usize)> {
    let slots: Vec<_> = count.slots(partition).collect();
    let Restored { nodes, mut recovery, mut place, revisions, epoch } =
        checkpoint_store::load(js, &streams::name(partition), &Content::Closed, &slots).await?;
    let mut state = Partition::new(LIMITS);
    state.restore(nodes);
    let (events, mut log) = mpsc::channel(4);
    let reading = LogReader { stream: streams::name(partition), content: Content::Closed };
    let stop = CancellationToken::new();
    let reader = tokio::spawn(reading.read(place.clone(), js.clone(), events, stop.clone()));
    let (mut read, mut last) = (0, None);
    let drained = async {
        while last.is_none_or(|last| place.applied < last) {
            match log.recv().await.context("the log's reader ended")? {
                LogEvent::Opened { last: newest, .. } => last = Some(newest),
                LogEvent::Lost { .. } => state.lose(),
                LogEvent::Interrupted { .. } => {}
                LogEvent::Shortened { left } => {
                    recovery.cut(left.applied);
                    place = left;
                }
                LogEvent::Recreated => bail!("the stream was made anew by somebody else"),
                LogEvent::Messages(messages) => {
                    for message in messages {
                        place.pass(message.sequence, message.published_ns);
                        let published_ms = place.applied_ns.div_euclid(1_000_000);
                        let (subject, payload) = (message.subject.as_str(), message.payload.as_ref());
                        // What cannot be right is refused here as everywhere.
                        let is_known = |node: &str| recovery.knows(node, place.applied);
                        let message = Message { subject, payload, published_ms };
                        read += state.observe_unless(message, is_known).reports;
                    }
                }
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, drained).await.context("the stream could not be read to its end")??;
    stop.cancel();
    reader.await.context("the log's reader")?;

    let epoch = epoch.max(clock::unix_ms().unsigned_abs() / 1_000) + 1;
    let (orders, todo) = mpsc::channel(4);
    let writer = tokio::spawn(CheckpointWriter { bucket: bucket.clone(), epoch, revisions }.run(todo));
    let parts = state.parts(&slots);
    for part in &parts {
        let encode = |part| Checkpoint::encode(epoch, place.clone(), state.part(part));
        orders
            .send(WriteRequest::Put(Checkpoint::fit(*part, &encode)))
            .await
            .context("the writer of checkpoints ended")?;
    }
    drop(orders);
    let failed = writer.await.context("the writer of checkpoints")??;
    anyhow::ensure!(failed == 0, "{failed} checkpoints could not be written; run this again");
    Ok((read, state.len()))
}
