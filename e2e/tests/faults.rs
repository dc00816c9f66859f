//! What breaks, mends itself.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::time::Duration;

use anyhow::ensure;
use async_nats::jetstream;
use tidemap_e2e::{cluster::Cluster, eventually, http::get_json};
use tidemap_service::streams;
use tidemap_wire::{
    PartitionCount, Status,
    http::{NodeJson, StatsJson},
};

/// Agents and workers come back to a broker within 10 s, and a lost lease takes 5 s more.
const RECOVERY: Duration = Duration::from_secs(40);

async fn all_fresh(url: &str) {
    eventually(RECOVERY, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_that_was_killed_is_missed_by_nobody_for_long() {
    let mut cluster = Cluster::start().await.unwrap();
    let _ingest = cluster.ingest(&[]).unwrap();
    let (_api, url) = cluster.api().await.unwrap();
    let _agent = cluster.agent("here", &[]).unwrap();
    let node = async || get_json::<NodeJson>(format!("{url}/api/nodes/here")).await;
    let before = eventually(RECOVERY, node).await.unwrap();

    cluster.broker.kill().await.unwrap();
    cluster.broker.restart().await.unwrap();
    eventually(RECOVERY, || async {
        let node = node().await?;
        ensure!(node.last_seen_timestamp > before.last_seen_timestamp + 2.0, "{node:?}");
        ensure!(node.status == Status::Online, "{:?}", node.status);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_broker_that_has_lost_its_disk_gets_its_streams_back_and_the_nodes_with_them() {
    let mut cluster = Cluster::start().await.unwrap();
    let _workers = [cluster.ingest(&[]).unwrap(), cluster.ingest(&[]).unwrap()];
    let (_api, url) = cluster.api().await.unwrap();
    let _agent = cluster.agent("here", &[]).unwrap();
    let node = async || get_json::<NodeJson>(format!("{url}/api/nodes/here")).await;
    let before = eventually(RECOVERY, node).await.unwrap();

    cluster.lose_disk().await.unwrap();
    eventually(RECOVERY, || async {
        let node = node().await?;
        ensure!(node.last_seen_timestamp > before.last_seen_timestamp + 2.0, "{node:?}");
        ensure!(node.status == Status::Online, "{:?}", node.status);
        Ok(())
    })
    .await
    .unwrap();
    all_fresh(&url).await;
}

#[tokio::test]
async fn a_log_that_has_emptied_by_age_is_no_riddle_to_a_new_worker() {
    let cluster = Cluster::start().await.unwrap();
    let mut first = cluster.ingest(&[]).unwrap();
    let (_api, url) = cluster.api().await.unwrap();
    all_fresh(&url).await;
    let mut fleet = cluster.simulate(40).unwrap();
    eventually(RECOVERY, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.total_nodes == 40, "{}", stats.total_nodes);
        Ok(())
    })
    .await
    .unwrap();
    assert!(fleet.terminate().await.unwrap().success());
    assert!(first.terminate().await.unwrap().success());

    // Ten minutes in a second: what was logged ages away, and the numbers stay.
    let js = jetstream::new(cluster.connect().await.unwrap());
    for partition in PartitionCount::default().all() {
        let name = streams::name(partition);
        let mut config = js.get_stream(&name).await.unwrap().cached_info().config.clone();
        config.max_age = Duration::from_secs(1);
        config.duplicate_window = Duration::from_millis(500);
        js.update_stream(config).await.unwrap();
        eventually(RECOVERY, || async {
            let stream = js.get_stream(&name).await?;
            let state = &stream.cached_info().state;
            ensure!(state.messages == 0 && state.last_sequence > 0, "{state:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    eventually(RECOVERY, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.partitions_fresh == 0, "nobody speaks any more: {stats:?}");
        Ok(())
    })
    .await
    .unwrap();
    let _second = cluster.ingest(&[]).unwrap();
    all_fresh(&url).await;
}
