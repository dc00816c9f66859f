//! The broker's streams and buckets: one stream per partition, one of minutes, and three key-value buckets.
//! Their names are joined here and nowhere else. The process that starts first creates them; creating is
//! idempotent.

mod budget;

use std::{collections::BTreeSet, error::Error, time::Duration};

use anyhow::{Context, bail};
use async_nats::jetstream::{
    self, ErrorCode,
    context::{
        CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError,
        RequestErrorKind,
    },
    kv, stream,
};
use tidemap_wire::{Pack, Partition, PartitionCount, Slot, subject, timing};
use tokio::time::Instant;

use crate::{causes::causes, cli::UsageError, deadline::within};

pub use budget::{DiskBudget, MAX_BYTES_OF_A_NODE, bound};

/// The bucket of leases and heartbeats: which worker owns which partition, and which workers are alive.
pub const LEASES: &str = "TIDEMAP_LEASES";
/// The bucket of checkpoints: each partition's state, for recovery.
pub const CHECKPOINTS: &str = "TIDEMAP_CHECKPOINTS";
/// The bucket of alerts: what is firing, which notices are to be delivered, and which station judges.
pub const ALERTS: &str = "TIDEMAP_ALERTS";
/// The stream of minutes, in which workers hand rows to the history.
pub const HISTORY: &str = "TIDEMAP_HISTORY";
/// How long the history may be away before it misses rows.
const HISTORY_MAX_AGE: Duration = Duration::from_hours(48);

/// The key in [`CHECKPOINTS`] that marks an unfinished change of the number of partitions.
pub const CHANGE: &str = "change";

/// How far back a partition's log reaches, and so how much of it a worker can replay.
const MAX_AGE: Duration = timing::LOG_RETENTION;
/// The largest message of the log: a relay's full pack. An agent's batches stay far below it.
const MAX_MESSAGE_BYTES: i32 = 64 * 1024;
const _: () = assert!(MAX_MESSAGE_BYTES as usize == Pack::MAX_BYTES);
/// The largest message of minutes.
const MAX_MINUTES_BYTES: i32 = 256 * 1024;
/// The most reports of one node that the log holds, so that no agent can fill the disk or displace other
/// nodes' reports. An agent needs a quarter of them, at its shortest interval; a relay's packs of one slot
/// share a subject and need nearly all. The broker rejects reports above the limit; if it dropped older ones
/// instead, readers would have to restart at every gap.
pub const MAX_REPORTS_OF_A_NODE: i64 = 10_000;
/// How long a broker may take to elect the streams' leaders.
const ENSURE_TIMEOUT: Duration = Duration::from_secs(30);
/// For one answer of the broker. A cluster that is creating the same stream for another client does not
/// answer, and a newly elected leader has not received the request, so the request is repeated soon.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What a broker lacks for so long is created again. While it still deletes a stream, it answers that there
/// is none, and takes away the files of another that is created under the same name: that one stores nothing
/// (nats-server 2.15.1).
pub const DELETION: Duration = Duration::from_millis(500);
/// Between attempts to open a bucket.
const OPEN_RETRY: Duration = Duration::from_millis(250);

/// The name of a partition's stream.
pub fn name(partition: Partition) -> String {
    format!("TIDEMAP_{partition}")
}

/// The name of the stream that holds a bucket's values.
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The subject of a bucket's key, or of several when `key` has wildcards.
pub fn bucket_subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// The key that a subject of this bucket names.
pub fn bucket_key<'a>(bucket: &str, subject: &'a str) -> Option<&'a str> {
    subject.strip_prefix("$KV.")?.strip_prefix(bucket)?.strip_prefix('.')
}

/// Creates the streams and buckets that are missing. Without the stream of minutes everything else works:
/// where the broker refuses it, those who write to it find it missing.
///
/// # Errors
///
/// When the broker refuses, does not answer, or has streams for another number of partitions.
pub async fn ensure(
    js: &jetstream::Context,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<()> {
    let mut js = js.clone();
    js.set_timeout(ANSWER_TIMEOUT);
    let js = &js;
    let ensured = async {
        ensure_bucket(js, CHECKPOINTS, replicas).await?;
        let checkpoints = js.get_key_value(CHECKPOINTS).await?;
        if checkpoints.get(CHANGE).await?.is_some() {
            bail!(UsageError(format!(
                "--partitions {}: a change of the number of partitions was begun and is not finished; run `tidemap \
                 repartition` again",
                partitions.get()
            )));
        }
        ensure_streams(js, partitions, replicas).await?;
        if let Err(error) = ensure_history(js, replicas).await {
            tracing::debug!("{}", causes(error.as_ref()));
        }
        // Last, so that its presence proves that everything else exists.
        ensure_bucket(js, LEASES, replicas).await
    };
    within(ENSURE_TIMEOUT, "the broker does not create streams: is JetStream enabled?", ensured).await
}

/// Creates again what the broker has lacked for a moment, while others read and write the rest.
///
/// # Errors
///
/// As [`ensure`], and when what is missing changes meanwhile.
pub async fn ensure_again(
    js: &jetstream::Context,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<()> {
    let before = missing(js, partitions).await?;
    if before.is_empty() {
        return Ok(());
    }
    tokio::time::sleep(DELETION).await;
    let missing = missing(js, partitions).await?;
    if missing.is_empty() {
        return Ok(());
    }
    if missing != before {
        bail!("streams are being created, or deleted");
    }
    ensure(js, partitions, replicas).await
}

/// The streams of partitions, minutes and buckets that the broker lacks.
async fn missing(js: &jetstream::Context, partitions: PartitionCount) -> anyhow::Result<BTreeSet<String>> {
    let mut js = js.clone();
    js.set_timeout(ANSWER_TIMEOUT);
    let others = [bucket_stream(LEASES), bucket_stream(CHECKPOINTS), HISTORY.to_owned()];
    let mut missing = BTreeSet::new();
    for name in partitions.all().map(name).chain(others) {
        match js.get_stream(&name).await {
            Ok(_) => {}
            Err(error) if is_missing(&error) => {
                missing.insert(name);
            }
            Err(error) => return Err(error).with_context(|| format!("cannot ask for the stream {name}")),
        }
    }
    Ok(missing)
}

/// Opens a bucket that was created. The servers of a cluster learn of a new stream one after the other, so
/// one of them may still answer that there is none, or not at all.
///
/// # Errors
///
/// When the broker does not have it after a while, or refuses.
pub async fn open_bucket(js: &jetstream::Context, bucket: &str) -> anyhow::Result<kv::Store> {
    let begun = Instant::now();
    loop {
        let error = match js.get_key_value(bucket).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        if !may_pass(&error) || begun.elapsed() >= ENSURE_TIMEOUT {
            return Err(error).with_context(|| format!("cannot open the bucket {bucket}"));
        }
        tracing::debug!(bucket, "cannot open the bucket yet: {error}");
        tokio::time::sleep(OPEN_RETRY).await;
    }
}

/// Whether a bucket could not be opened because the broker has not created it yet, or did not answer.
fn may_pass(error: &(dyn Error + 'static)) -> bool {
    if let Some(GetStreamErrorKind::JetStream(error)) =
        error.downcast_ref::<GetStreamError>().map(GetStreamError::kind)
    {
        // A cluster without a leader answers 503.
        return error.error_code() == ErrorCode::STREAM_NOT_FOUND || error.code() == 503;
    }
    if let Some(error) = error.downcast_ref::<RequestError>() {
        return matches!(error.kind(), RequestErrorKind::TimedOut | RequestErrorKind::NoResponders);
    }
    error.source().is_some_and(may_pass)
}

/// Creates the streams that are missing.
///
/// # Errors
///
/// When the broker refuses, does not answer, or has streams for another number of partitions.
pub async fn ensure_streams(
    js: &jetstream::Context,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<()> {
    for partition in partitions.all() {
        ensure_stream(js, partitions, partition, replicas).await?;
    }
    Ok(())
}

/// Creates the stream of minutes if it is missing. Its oldest rows go when it is full, so it refuses none.
///
/// # Errors
///
/// When the broker refuses or does not answer.
pub async fn ensure_history(js: &jetstream::Context, replicas: usize) -> anyhow::Result<()> {
    let config = stream::Config {
        name: HISTORY.to_owned(),
        subjects: vec![subject::ALL_MINUTES.to_owned()],
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        discard: stream::DiscardPolicy::Old,
        max_age: HISTORY_MAX_AGE,
        max_message_size: MAX_MINUTES_BYTES,
        num_replicas: replicas,
        deny_delete: true,
        deny_purge: true,
        ..stream::Config::default()
    };
    let stream = js.get_or_create_stream(config).await;
    stream.with_context(|| format!("cannot create the stream {HISTORY}"))?;
    Ok(())
}

/// Creates the bucket of alerts if it is missing, with as many copies as that of the leases has.
///
/// # Errors
///
/// When the broker refuses, does not answer, or has no bucket of leases yet.
pub async fn ensure_alerts(js: &jetstream::Context) -> anyhow::Result<()> {
    let leases = js.get_stream(bucket_stream(LEASES)).await.context("there are no leases yet")?;
    ensure_bucket(js, ALERTS, leases.cached_info().config.num_replicas).await
}

/// The number of partitions that the broker's streams were created for; `None` when there are none, or when
/// they are being replaced.
///
/// # Errors
///
/// When the broker does not answer.
pub async fn count(js: &jetstream::Context) -> anyhow::Result<Option<u16>> {
    // Partition 0 exists whatever the number of partitions.
    let Some(first) = PartitionCount::default().all().next() else { return Ok(None) };
    let name = name(first);
    match js.get_stream(&name).await {
        Ok(stream) => {
            let subjects = &stream.cached_info().config.subjects;
            let is_closed = subjects.iter().any(|subject| subject::is_closed(subject));
            Ok((!is_closed).then(|| partitions_with(subjects)))
        }
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot ask for the stream {name}")),
    }
}

/// Whether the broker has no stream with the requested name.
pub fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Whether a stream captures the samples of exactly these slots, and packs of no others. A stream that an
/// older Tidemap has created captures no packs yet.
pub fn is_cut_for(stream: &stream::Info, slots: &[Slot]) -> bool {
    let (packs, samples): (BTreeSet<&str>, BTreeSet<&str>) =
        stream.config.subjects.iter().map(String::as_str).partition(|subject| subject::is_pack(subject));
    let wanted: Vec<String> = slots.iter().map(|slot| subject::samples_of(*slot)).collect();
    let packed: Vec<String> = slots.iter().map(|slot| subject::packs_of(*slot)).collect();
    samples == wanted.iter().map(String::as_str).collect()
        && packs.is_subset(&packed.iter().map(String::as_str).collect())
}

/// How many partitions there are if one stream has these subjects.
fn partitions_with(subjects: &[String]) -> u16 {
    let slots = subjects.iter().filter(|subject| !subject::is_pack(subject)).count();
    tidemap_wire::SLOTS / u16::try_from(slots).unwrap_or(1).max(1)
}

async fn ensure_stream(
    js: &jetstream::Context,
    partitions: PartitionCount,
    partition: Partition,
    replicas: usize,
) -> anyhow::Result<()> {
    let wanted = config(partitions, partition, replicas);
    let stream = js.get_or_create_stream(wanted.clone()).await;
    let stream = stream.map_err(|error| {
        let what = || format!("the stream {}: was the broker used with another --partitions?", wanted.name);
        not_created(error, replicas, what)
    })?;
    let slots: Vec<Slot> = partitions.slots(partition).collect();
    if !is_cut_for(stream.cached_info(), &slots) {
        bail!(UsageError(format!(
            "--partitions {}: the broker's streams were created for {} partitions; `tidemap repartition` changes that",
            partitions.get(),
            partitions_with(&stream.cached_info().config.subjects)
        )));
    }
    upgrade(js, stream.cached_info().config.clone(), wanted).await
}

/// Upgrades a stream that an older Tidemap has created: adds the subjects of packs and the limit of reports
/// per node. Keeps everything else, which the operator may have changed.
async fn upgrade(
    js: &jetstream::Context,
    mut held: stream::Config,
    wanted: stream::Config,
) -> anyhow::Result<()> {
    if held.max_messages_per_subject == MAX_REPORTS_OF_A_NODE && held.subjects.len() == wanted.subjects.len()
    {
        return Ok(());
    }
    held.subjects = wanted.subjects;
    held.discard = stream::DiscardPolicy::New;
    held.discard_new_per_subject = true;
    held.max_messages_per_subject = MAX_REPORTS_OF_A_NODE;
    let name = held.name.clone();
    js.update_stream(held).await.with_context(|| format!("cannot upgrade the stream {name}"))?;
    Ok(())
}

fn config(partitions: PartitionCount, partition: Partition, replicas: usize) -> stream::Config {
    let samples = partitions.slots(partition).map(subject::samples_of);
    let packs = partitions.slots(partition).map(subject::packs_of);
    stream::Config {
        name: name(partition),
        subjects: samples.chain(packs).collect(),
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        discard: stream::DiscardPolicy::New,
        discard_new_per_subject: true,
        max_messages_per_subject: MAX_REPORTS_OF_A_NODE,
        max_age: MAX_AGE,
        max_message_size: MAX_MESSAGE_BYTES,
        num_replicas: replicas,
        deny_delete: true,
        deny_purge: true,
        ..stream::Config::default()
    }
}

async fn ensure_bucket(js: &jetstream::Context, bucket: &str, replicas: usize) -> anyhow::Result<()> {
    if js.get_key_value(bucket).await.is_ok() {
        return Ok(());
    }
    let config = kv::Config {
        bucket: bucket.to_owned(),
        history: 1,
        storage: stream::StorageType::File,
        num_replicas: replicas,
        ..kv::Config::default()
    };
    // Another process may have created it meanwhile.
    match js.create_key_value(config).await {
        Ok(_) => Ok(()),
        Err(error) => match js.get_key_value(bucket).await {
            Ok(_) => Ok(()),
            Err(_) => Err(not_created(error, replicas, || format!("the bucket {bucket}"))),
        },
    }
}

/// Why something could not be created. A server that is in no cluster keeps one copy until it is started with
/// another configuration, so waiting is of no use then.
fn not_created(
    error: impl Error + Send + Sync + 'static,
    replicas: usize,
    what: impl FnOnce() -> String,
) -> anyhow::Error {
    if is_without_cluster(&error) {
        let alone = format!(
            "--replicas {replicas}: the broker is a single server, which keeps 1 copy: use --replicas 1, or make it a \
             server of a cluster"
        );
        return UsageError(alone).into();
    }
    anyhow::Error::new(error).context(format!("cannot create {}", what()))
}

fn is_without_cluster(error: &(dyn Error + 'static)) -> bool {
    let created = error.downcast_ref::<CreateStreamError>().map(CreateStreamError::kind);
    let refused = matches!(created, Some(CreateStreamErrorKind::JetStream(refused))
        if refused.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED);
    refused || error.source().is_some_and(is_without_cluster)
}
