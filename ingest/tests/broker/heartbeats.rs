//! The heartbeats of workers in the bucket of leases.

use async_nats::jetstream::kv::Operation;
use futures_util::TryStreamExt;
use tidemap_service::streams;

use crate::harness::{Harness, until};

#[tokio::test]
async fn a_worker_that_ended_leaves_no_heartbeat() {
    let harness = Harness::start().await;
    let staying = harness.worker(4);
    harness.known(4).await;
    let own = heartbeats(&harness).await.unwrap();
    let leaving = harness.worker(4);
    until(async || Ok(heartbeats(&harness).await?.len() == 2)).await;
    let both = heartbeats(&harness).await.unwrap();
    let key = both.iter().find(|subject| !own.contains(subject)).unwrap();
    let key = streams::bucket_key(streams::LEASES, key).unwrap();
    let bucket = harness.js.get_key_value(streams::LEASES).await.unwrap();
    leaving.stop().await;
    // Other workers remove what shows its end, after ten seconds.
    let last = bucket.entry(key).await.unwrap();
    assert!(last.is_none_or(|entry| entry.operation == Operation::Purge), "the worker reports its end");
    until(async || Ok(heartbeats(&harness).await? == own)).await;
    staying.stop().await;
}

/// All subjects of heartbeats, those of workers that have ended included.
async fn heartbeats(harness: &Harness) -> anyhow::Result<Vec<String>> {
    let bucket = harness.js.get_stream("KV_TIDEMAP_LEASES").await?;
    let info = bucket.info_with_subjects("$KV.TIDEMAP_LEASES.w.>").await?;
    let mut subjects: Vec<String> = info.map_ok(|(subject, _)| subject).try_collect().await?;
    subjects.sort();
    Ok(subjects)
}
