//! Changing the number of partitions: the fleet's streams are replaced and nothing is lost.
//!
//! Checkpoints are stored by slot, and slots do not depend on partitions. So the old streams are closed to
//! new reports, read to their ends into checkpoints, and deleted; then the new ones are created. Meanwhile no
//! stream stores agents' reports, so agents keep them and send them again. Every step can be repeated: a
//! marker records the change that was begun, workers do not start while it exists, and a second run continues
//! where the first one ended.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context, bail};
use async_nats::jetstream::{self, kv};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tidemap_service::{cli::UsageError, clock, deadline::within, streams};
use tidemap_wire::{Partition, PartitionCount, subject, timing};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoint::Checkpoint,
    checkpoint_store::{self, CheckpointWriter, WriteRequest},
    leases::worker_of_key,
    log_reader::{Content, LogEnd, LogEvent, LogPosition, LogReader},
    partition::Limits,
    replica::Replica,
};

/// For a stream to be read to its end.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest time from a worker's check of the streams to its first heartbeat.
const WORKER_START: Duration = Duration::from_secs(2);
/// No node is judged or forgotten here.
const LIMITS: Limits =
    Limits { offline_after_ms: i64::MAX, forget_after_ms: i64::MAX, max_nodes: usize::MAX };

/// The marker of an unfinished change.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Change {
    from: u16,
    to: u16,
    /// Whether the checkpoints contain everything, so that the old streams may be deleted.
    kept: bool,
}

/// The result of a change of the number of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recut {
    /// The number of partitions before.
    pub from: u16,
    /// The number of partitions now.
    pub to: u16,
    /// Reports that were read because no checkpoint contained them.
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

/// Changes the number of partitions to `to`; `None` when it is that already.
///
/// # Errors
///
/// When a worker is running, or the broker refuses or does not answer. A second call then continues.
pub async fn run(
    js: &jetstream::Context,
    to: PartitionCount,
    replicas: usize,
) -> anyhow::Result<Option<Recut>> {
    match js.get_stream(streams::bucket_stream(streams::CHECKPOINTS)).await {
        Ok(_) => {}
        // No worker has ever run on this broker.
        Err(error) if streams::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error).context("the bucket of checkpoints"),
    }
    let markers = js.get_key_value(streams::CHECKPOINTS).await.context("the bucket of checkpoints")?;
    let begun = begun(&markers).await?;
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
    // The marker is written first, so that a worker that starts from now on finds it.
    mark(&markers, change).await?;
    if let Err(error) = no_worker_lives(js).await {
        if begun.is_none() {
            markers.purge(streams::CHANGE).await.context("cannot remove the marker of the change")?;
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
            let carried = carry(js, &markers, from, partition).await;
            let (more_read, more_nodes) = carried.with_context(|| streams::name(partition))?;
            (read, nodes) = (read + more_read, nodes + more_nodes);
        }
        change.kept = true;
        mark(&markers, change).await?;
    }
    for partition in PartitionCount::new(change.from)?.all() {
        let name = streams::name(partition);
        // The new streams are created below, under the same names.
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
    markers.purge(streams::CHANGE).await.context("the change is made, but its marker is still there")?;
    Ok(Some(Recut { from: change.from, to: change.to, read, nodes }))
}

async fn begun(markers: &kv::Store) -> anyhow::Result<Option<Change>> {
    let found = markers.get(streams::CHANGE).await.context("the bucket of checkpoints")?;
    found
        .map(|value| serde_json::from_slice(&value).context("the marker of a change that was begun"))
        .transpose()
}

async fn mark(markers: &kv::Store, change: Change) -> anyhow::Result<()> {
    markers
        .put(streams::CHANGE, serde_json::to_vec(&change)?.into())
        .await
        .context("cannot write the marker of the change")?;
    Ok(())
}

/// Fails when a worker is running: each writes a heartbeat every second.
async fn no_worker_lives(js: &jetstream::Context) -> anyhow::Result<()> {
    let leases = js.get_key_value(streams::LEASES).await.context("the bucket of leases")?;
    let before = heartbeats(&leases).await?;
    // A starting worker has no heartbeat yet, and a disconnected one may take long to reconnect.
    tokio::time::sleep(if before.is_empty() { WORKER_START } else { timing::WORKER_RETURN }).await;
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
        if let Some(worker) = worker_of_key(&key)
            && let Some(entry) = leases.entry(&key).await?
        {
            found.insert(worker.to_owned(), entry.revision);
        }
    }
    Ok(found)
}

/// Closes a stream to new reports: its subject becomes one on which nothing is published.
async fn close(js: &jetstream::Context, partition: Partition) -> anyhow::Result<()> {
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

/// Writes checkpoints that contain a partition's whole log. Returns how many reports were read, and how many
/// nodes there are.
async fn carry(
    js: &jetstream::Context,
    bucket: &kv::Store,
    count: PartitionCount,
    partition: Partition,
) -> anyhow::Result<(u64, usize)> {
    let slots: Vec<_> = count.slots(partition).collect();
    let log =
        LogReader { stream: streams::name(partition), content: Content::Closed, end: LogEnd::default() };
    let restored = checkpoint_store::load(js, &log.stream, &log.content, &slots).await?;
    let position = restored.position;
    let mut replica = Replica::restore(LIMITS, restored.nodes, restored.recovery, position.clone());
    let reading = read_to_end(js, log, position, &mut replica);
    let reports = within(READ_TIMEOUT, "the stream could not be read to its end", reading).await?;

    let epoch = restored.epoch.max(clock::unix_ms().unsigned_abs() / 1_000) + 1;
    let (requests, received) = mpsc::channel(4);
    let writer = CheckpointWriter::new(bucket.clone(), epoch, restored.revisions);
    let writer = tokio::spawn(writer.run(received));
    let encode = |part| Checkpoint::encode(epoch, replica.position().clone(), replica.state.part(part));
    for part in replica.state.parts(&slots) {
        let values = Checkpoint::fit(part, &encode);
        requests.send(WriteRequest::Put(values)).await.context("the writer of checkpoints ended")?;
    }
    drop(requests);
    let failed = writer.await.context("the writer of checkpoints")??;
    anyhow::ensure!(failed == 0, "{failed} checkpoints could not be written; run this again");
    Ok((reports, replica.state.len()))
}

/// Reads the rest of a closed log. Returns how many reports it had.
async fn read_to_end(
    js: &jetstream::Context,
    log: LogReader,
    position: LogPosition,
    replica: &mut Replica,
) -> anyhow::Result<u64> {
    let (events, mut received) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let _stop_reading = stop.clone().drop_guard();
    let reader = tokio::spawn(log.read(position, js.clone(), events, stop.clone()));
    let mut reports = 0;
    while !replica.is_caught_up() {
        let event = received.recv().await.context("the log's reader ended")?;
        if matches!(event, LogEvent::Recreated) {
            bail!("another process has created the stream again");
        }
        // What workers refuse is refused here, too.
        reports += replica.apply(event).reports;
    }
    stop.cancel();
    reader.await.context("the log's reader")?;
    Ok(reports)
}
