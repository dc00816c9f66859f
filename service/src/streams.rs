//! What the broker keeps: one stream a partition, and two buckets. Made idempotently by whoever comes first.

use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::jetstream::{self, kv, stream};
use tidemap_wire::{Partition, PartitionCount, subject};

use crate::cli::UsageError;

/// Which worker owns which partition, and which workers live.
pub const LEASES: &str = "TIDEMAP_LEASES";
/// Partitions' states, for recovery.
pub const CHECKPOINTS: &str = "TIDEMAP_CHECKPOINTS";

/// How long the log reaches back: what a worker can replay.
const MAX_AGE: Duration = Duration::from_secs(600);
/// The largest report; an agent's batch of a backlog is far smaller.
const MAX_MESSAGE_BYTES: i32 = 64 * 1024;
/// How long a broker may take to elect a leader for a stream before we give up.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let made = async {
        for partition in partitions.all() {
            ensure_stream(js, partitions, partition, replicas).await?;
        }
        for bucket in [LEASES, CHECKPOINTS] {
            ensure_bucket(js, bucket, replicas).await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, made)
        .await
        .context("the broker does not make streams: is JetStream on?")?
}

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
    let held = &stream.cached_info().config.subjects;
    if *held != wanted.subjects {
        bail!(UsageError(format!(
            "--partitions {}: the broker's streams are cut for {} partitions",
            partitions.get(),
            usize::from(tidemap_wire::SLOTS) / held.len().max(1)
        )));
    }
    Ok(())
}

fn config(partitions: PartitionCount, partition: Partition, replicas: usize) -> stream::Config {
    stream::Config {
        name: name(partition),
        subjects: partitions.slots(partition).map(subject::samples_of).collect(),
        storage: stream::StorageType::File,
        retention: stream::RetentionPolicy::Limits,
        discard: stream::DiscardPolicy::Old,
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
