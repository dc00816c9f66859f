//! What a backup keeps of the broker's buckets: nodes with their last minutes, what fires, and silences. The
//! logs are left out: agents and workers have what is in them, or the history has it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use async_nats::jetstream;
use futures_util::TryStreamExt;
use tidemap_broker::{
    data_dir::archive::{Extra, ExtraContent},
    keys,
};
use tidemap_service::{deadline::within, streams};
use tidemap_wire::PartitionCount;

use crate::operator::BrokersArgs;

/// Epochs in leases follow the clock, so leases need not be kept.
const KEPT: [&str; 2] = [streams::CHECKPOINTS, streams::ALERTS];
/// In the data folder, from a restore until the next start.
const FOLDER: &str = "buckets";
/// For the broker to answer; it may have 50 MB to send.
const TIMEOUT: Duration = Duration::from_secs(120);

/// All values, as files of the backup.
pub(super) async fn read(brokers: &BrokersArgs, dir: &Path) -> anyhow::Result<Vec<Extra>> {
    let reading = async {
        let client = brokers.reach(&keys::service_seed_path(dir)).await?;
        let js = jetstream::new(client);
        let mut found = Vec::new();
        for bucket in KEPT {
            let store = js.get_key_value(bucket).await.context(bucket)?;
            let keys: Vec<String> = store.keys().await.context(bucket)?.try_collect().await?;
            for key in keys.into_iter().filter(|key| key != streams::CHANGE) {
                // It may have been removed meanwhile.
                if let Some(value) = store.get(&key).await.context(bucket)? {
                    let name = Path::new(FOLDER).join(bucket).join(key);
                    found.push(Extra { name, content: ExtraContent::Bytes(value.into()) });
                }
            }
        }
        anyhow::Ok(found)
    };
    within(TIMEOUT, "it does not answer in time", reading).await
}

/// Puts what a restore has left in the data folder into the broker, before any station starts. Returns how
/// many values these were.
pub(crate) async fn put_back(
    js: &jetstream::Context,
    dir: &Path,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<usize> {
    let folder = dir.join(FOLDER);
    let putting = put_all(js, &folder, partitions, replicas).await;
    putting.with_context(|| {
        format!("what was restored is not with the broker; without {} it is left out", folder.display())
    })
}

async fn put_all(
    js: &jetstream::Context,
    folder: &Path,
    partitions: PartitionCount,
    replicas: usize,
) -> anyhow::Result<usize> {
    let mut count = 0;
    for bucket in KEPT {
        let values = files(&folder.join(bucket))?;
        if values.is_empty() {
            continue;
        }
        streams::ensure(js, partitions, replicas).await?;
        streams::ensure_alerts(js).await?;
        let store = js.get_key_value(bucket).await.context(bucket)?;
        for path in values {
            let key = path.file_name().and_then(|name| name.to_str()).context("a key")?;
            store.put(key, fs::read(&path)?.into()).await.with_context(|| format!("{bucket} {key}"))?;
            count += 1;
        }
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("the restored buckets"),
        _ => Ok(count),
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
