//! The heartbeats of workers in the bucket of leases.

use futures_util::TryStreamExt;

use crate::harness::{Harness, until};

#[tokio::test]
async fn a_worker_that_ended_leaves_no_heartbeat() {
    let harness = Harness::start().await;
    let staying = harness.worker(4);
    harness.known(4).await;
    let own = heartbeats(&harness).await.unwrap();
    let leaving = harness.worker(4);
    until(async || Ok(heartbeats(&harness).await?.len() == 2)).await;
    leaving.stop().await;
    assert_eq!(heartbeats(&harness).await.unwrap().len(), 2, "the worker reports its end");
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
