//! What is not heard is said to be unknown, and what is missing comes back while everything runs.

use std::time::Duration;

use anyhow::{bail, ensure};
use tidemap_service::streams;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{events, get, get_json},
    machine, undisturbed, within,
};
use tidemap_wire::{
    PartitionCount, Status,
    http::{NodeJson, StatsJson},
};
use tokio::time::Instant;

const NODES: u32 = 40;
const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A partition's nodes are unknown at the latest this long after its worker was last heard.
const UNKNOWN_AFTER: Duration = Duration::from_secs(5);
/// What is missing is back within this time.
const MENDED_AFTER: Duration = Duration::from_secs(10);
/// Warnings that a worker may log about it.
const WARNINGS: usize = 25;

async fn stats(url: &str) -> anyhow::Result<StatsJson> {
    get_json(format!("{url}/api/stats")).await
}

async fn ready(url: &str) -> anyhow::Result<u16> {
    Ok(get(format!("{url}/readyz")).await?.status)
}

/// Waits until all nodes are known again.
async fn heard(url: &str) -> anyhow::Result<()> {
    eventually(EVENT_TIMEOUT, || async {
        let stats = stats(url).await?;
        ensure!(stats.unknown_nodes == 0 && stats.online_nodes > 0, "{stats:?}");
        ensure!(ready(url).await? == 200, "not ready");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn nodes_of_a_worker_that_is_not_heard_are_unknown_everywhere_and_in_no_sum() {
    let broker = TestBroker::start().await.unwrap();
    let ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.known_fleet(NODES, &url).await.unwrap();
    let mut stream = events(format!("{url}/api/stream"), None);

    // An API that stands still itself says it later.
    let falls_silent = async || {
        heard(&url).await?;
        ingest.freeze()?;
        let silent = Instant::now();
        let unknown = eventually(UNKNOWN_AFTER, || async {
            let stats = stats(&url).await?;
            ensure!(stats.unknown_nodes == u64::from(NODES), "{stats:?}");
            ensure!((stats.lag_messages, stats.lag_ms) == (None, None), "{stats:?}");
            Ok(silent.elapsed())
        });
        let after = unknown.await?;
        println!("unknown after {:.1} s", after.as_secs_f64());
        if after > machine::scaled_again(UNKNOWN_AFTER) {
            ingest.thaw()?;
            bail!("unknown after {after:?}");
        }
        Ok(())
    };
    undisturbed(falls_silent).await.unwrap();
    let stats = stats(&url).await.unwrap();
    assert_eq!((stats.total_nodes, stats.online_nodes, stats.partitions_fresh), (u64::from(NODES), 0, 0));
    assert_eq!((stats.total_network_rx_bytes_per_sec, stats.total_network_tx_bytes_per_sec), (0.0, 0.0));
    assert_eq!((stats.top_rx.len(), stats.top_tx.len()), (0, 0));
    assert_eq!(ready(&url).await.unwrap(), 503);
    let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes?status=unknown")).await.unwrap();
    assert_eq!(nodes.len(), NODES as usize);
    assert!(nodes.iter().all(|node| node.status == Status::Unknown), "{nodes:?}");
    let metrics = get(format!("{url}/metrics")).await.unwrap().body;
    assert!(metrics.contains(&format!("tidemap_nodes{{status=\"unknown\"}} {NODES}\n")), "{metrics}");
    assert!(metrics.contains("tidemap_partition_fresh{partition=\"0\"} 0\n"), "{metrics}");
    let said = async {
        while let Some(event) = stream.recv().await {
            if event.name == "stats" && event.data["unknown_nodes"] == NODES {
                return true;
            }
        }
        false
    };
    assert!(within(EVENT_TIMEOUT, said).await.unwrap(), "the stream ended");

    ingest.thaw().unwrap();
    heard(&url).await.unwrap();
}

#[tokio::test]
async fn a_stream_or_bucket_that_vanishes_comes_back_with_what_is_known() {
    let broker = TestBroker::start().await.unwrap();
    let workers = [broker.ingest(&[]).unwrap(), broker.ingest(&[]).unwrap()];
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.known_fleet(NODES, &url).await.unwrap();
    let js = tidemap_testkit::broker::jetstream(broker.connect().await.unwrap());
    let warnings = || workers.each_ref().map(|worker| worker.log().matches(" WARN ").count());

    let third = PartitionCount::default().partition(3).unwrap();
    for missing in [
        streams::name(third),
        streams::bucket_stream(streams::CHECKPOINTS),
        streams::bucket_stream(streams::LEASES),
    ] {
        let before = warnings();
        js.delete_stream(&missing).await.unwrap();
        let gone = Instant::now();
        eventually(MENDED_AFTER, || async {
            let stream = js.get_stream(&missing).await?;
            // Reports arrive in it, or checkpoints, or leases.
            ensure!(stream.cached_info().state.messages > 0, "it is empty");
            let stats = stats(&url).await?;
            ensure!(stats.total_nodes == u64::from(NODES) && stats.unknown_nodes == 0, "{stats:?}");
            ensure!(ready(&url).await? == 200, "not ready");
            Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("{missing}: {error:#}\n{}", workers[0].log()));
        let more: Vec<usize> = warnings().iter().zip(before).map(|(after, before)| after - before).collect();
        println!("{missing}: back after {:.1} s, {more:?} warnings", gone.elapsed().as_secs_f64());
        assert!(more.iter().all(|count| *count <= WARNINGS), "{}\n{}", workers[0].log(), workers[1].log());
    }
}
