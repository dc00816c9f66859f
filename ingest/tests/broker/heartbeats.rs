//! The heartbeats of workers in the bucket of leases.

use futures_util::{StreamExt, TryStreamExt};
use tidemap_testkit::within;

use crate::harness::{Harness, TIMEOUT, until};

#[tokio::test]
async fn a_worker_that_ended_leaves_no_heartbeat() {
    let harness = Harness::start().await;
    let staying = harness.worker(4);
    harness.known(4).await;
    let own = heartbeats(&harness).await.unwrap();
    let leaving = harness.worker(4);
    until(async || Ok(heartbeats(&harness).await?.len() == 2)).await;
    let mut written = harness.client.subscribe("$KV.TIDEMAP_LEASES.w.>").await.unwrap();
    harness.client.flush().await.unwrap();
    leaving.stop().await;
    let reported = async {
        loop {
            let headers = written.next().await.unwrap().headers.unwrap_or_default();
            if headers.get("KV-Operation").is_some_and(|operation| operation.as_str() == "PURGE") {
                return;
            }
        }
    };
    within(TIMEOUT, reported).await.unwrap();
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
