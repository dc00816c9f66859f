//! What the broker keeps: one stream a partition, and two buckets. Made idempotently by whoever comes first.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, bail};
use async_nats::jetstream::{
    self, ErrorCode,
    context::{GetStreamError, GetStreamErrorKind},
    kv, stream,
};
use tidemap_wire::{Partition, PartitionCount, Slot, subject, timing};

use crate::cli::UsageError;

/// Which worker owns which partition, and which workers live.
pub const LEASES: &str = "TIDEMAP_LEASES";
/// Partitions' states, for recovery.
pub const CHECKPOINTS: &str = "TIDEMAP_CHECKPOINTS";

/// The key in [`CHECKPOINTS`] under which a change of the number of partitions stands until it is finished.
pub const CHANGE: &str = "change";

/// How long the log reaches back: what a worker can replay.
const MAX_AGE: Duration = timing::LOG_RETENTION;
/// The largest report; an agent's batch of a backlog is far smaller.
const MAX_MESSAGE_BYTES: i32 = 64 * 1024;
/// How many reports of one node the log holds, so that no agent fills the disk or buries the others: more than a
/// node sends in `MAX_AGE` at ten reports a second. Those above it are refused, not exchanged for older ones: a log
/// with holes would make its readers stumble. A relay's packs of one slot share a subject and stay below it too.
pub const MAX_REPORTS_OF_A_NODE: i64 = 10_000;
/// How long a broker may take to elect a leader for a stream before we give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// For one answer. A cluster that is just having the same stream made for somebody else gives none at all, and one that
/// elects its leader has not heard the question: it is put again soon.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// The name of a partition's stream.
pub fn name(partition: Partition) -> String {
    format!("TIDEMAP_{partition}")
}

/// Makes the streams and buckets that are missing.
///
/// # Errors
///
/// When the broker refuses, does not answer, or holds streams that were cut for another number of partitions.
pub async fn ensure(
    js: &jetstream::Context,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<()> {
    let mut impatient = js.clone();
    impatient.set_timeout(ANSWER_PATIENCE);
    let js = &impatient;
    let made = async {
        ensure_bucket(js, CHECKPOINTS, replicas).await?;
        let marks = js.get_key_value(CHECKPOINTS).await?;
        if marks.get(CHANGE).await?.is_some() {
            bail!(UsageError(format!(
                "--partitions {}: a change of the number of partitions was begun and is not finished; run `tidemap \
                 repartition` again",
                partitions.get()
            )));
        }
        ensure_streams(js, partitions, replicas).await?;
        // Last: when it is there, everything is.
        ensure_bucket(js, LEASES, replicas).await
    };
    tokio::time::timeout(PATIENCE, made)
        .await
        .context("the broker does not make streams: is JetStream on?")?
}

/// Makes the streams that are missing.
///
/// # Errors
///
/// When the broker refuses, or holds streams that were cut for another number of partitions.
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

/// For how many partitions the broker's streams are cut; `None` when it has none, or is having them cut anew.
///
/// # Errors
///
/// When the broker does not answer.
pub async fn count(js: &jetstream::Context) -> anyhow::Result<Option<u16>> {
    match js.get_stream("TIDEMAP_0").await {
        Ok(stream) => {
            let subjects = &stream.cached_info().config.subjects;
            Ok((!subjects.iter().any(|subject| subject::is_closed(subject))).then(|| cut(subjects)))
        }
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error).context("cannot ask for the stream TIDEMAP_0"),
    }
}

/// Whether the broker has no stream of the name that was asked for.
pub fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// Whether a stream takes the samples of just these slots, and packs of no others. One that an older Tidemap has made
/// takes no packs yet.
pub fn is_cut_for(stream: &stream::Info, slots: &[Slot]) -> bool {
    let (packs, samples): (BTreeSet<&str>, BTreeSet<&str>) =
        stream.config.subjects.iter().map(String::as_str).partition(|subject| subject.starts_with(PACKS));
    let wanted: Vec<String> = slots.iter().map(|slot| subject::samples_of(*slot)).collect();
    let packed: Vec<String> = slots.iter().map(|slot| subject::packs_of(*slot)).collect();
    samples == wanted.iter().map(String::as_str).collect()
        && packs.is_subset(&packed.iter().map(String::as_str).collect())
}

/// How many partitions there are when one stream has these subjects.
fn cut(subjects: &[String]) -> u16 {
    let slots = subjects.iter().filter(|subject| !subject.starts_with(PACKS)).count();
    tidemap_wire::SLOTS / u16::try_from(slots).unwrap_or(1).max(1)
}

/// How subjects of packs begin.
const PACKS: &str = "tidemap.v1.pack.";

async fn ensure_stream(
    js: &jetstream::Context,
    partitions: PartitionCount,
    partition: Partition,
    replicas: usize,
) -> anyhow::Result<()> {
    let wanted = config(partitions, partition, replicas);
    let stream = js.get_or_create_stream(wanted.clone()).await;
    let stream = stream.with_context(|| {
        format!("cannot make the stream {}: was the broker used with another --partitions?", wanted.name)
    })?;
    let slots: Vec<Slot> = partitions.slots(partition).collect();
    if !is_cut_for(stream.cached_info(), &slots) {
        bail!(UsageError(format!(
            "--partitions {}: the broker's streams are cut for {} partitions; `tidemap repartition` changes that",
            partitions.get(),
            cut(&stream.cached_info().config.subjects)
        )));
    }
    bring_up_to_date(js, stream.cached_info().config.clone(), wanted).await
}

/// Has a stream that an older Tidemap has made take packs too, and bounds what one node may put into it. All else stays
/// as its operator wants it.
async fn bring_up_to_date(
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
    js.update_stream(held).await.with_context(|| format!("cannot bring the stream {name} up to date"))?;
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
    // Another process may have made it since we looked.
    match js.create_key_value(config).await {
        Ok(_) => Ok(()),
        Err(error) => match js.get_key_value(bucket).await {
            Ok(_) => Ok(()),
            Err(_) => Err(error).with_context(|| format!("cannot make the bucket {bucket}")),
        },
    }
}
