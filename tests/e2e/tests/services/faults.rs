//! The services recover from faults without help.

use std::time::Duration;

use anyhow::ensure;
use tidemap_service::{clock, streams};
use tidemap_testkit::{broker::TestBroker, eventually, http::get_json, process::Tidemap, watch::Watch};
use tidemap_wire::{
    PartitionCount, Status,
    http::{NodeJson, StatsJson},
};

/// Agents and workers come back to a broker within 10 s, and a lost lease takes 5 s more.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(40);

/// One agent named `here` and its pipeline.
struct Scene {
    url: String,
    // Dropped before the broker, because without one they take long to end.
    _stations: Vec<Tidemap>,
    broker: TestBroker,
}

impl Scene {
    async fn open(workers: usize) -> Self {
        let broker = TestBroker::start().await.unwrap();
        let mut stations: Vec<Tidemap> = (0..workers).map(|_| broker.ingest(&[]).unwrap()).collect();
        let (api, url) = broker.api().await.unwrap();
        fresh(&url, 8).await;
        stations.extend([api, broker.agent("here", &[]).unwrap()]);
        let scene = Self { url, _stations: stations, broker };
        scene.reported_since(0.0).await;
        scene
    }

    /// Waits for a report that the broker stored after this time.
    async fn reported_since(&self, seen_s: f64) {
        eventually(RECOVERY_TIMEOUT, || async {
            let node: NodeJson = get_json(format!("{}/api/nodes/here", self.url)).await?;
            ensure!(node.last_seen_timestamp > seen_s && node.status == Status::Online, "{node:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// Waits until the API follows the owners of this many partitions.
async fn fresh(url: &str, partitions: u16) {
    eventually(RECOVERY_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.partitions_fresh == partitions, "{stats:?}");
        Ok(())
    })
    .await
    .unwrap();
}

fn now_s() -> f64 {
    clock::unix_ms() as f64 / 1_000.0
}

#[tokio::test]
async fn all_stations_recover_from_a_killed_broker() {
    let mut scene = Scene::open(1).await;
    scene.broker.server.kill().await.unwrap();
    scene.broker.server.restart().await.unwrap();
    scene.reported_since(now_s()).await;
}

#[tokio::test]
async fn a_broker_that_has_lost_its_disk_gets_its_streams_back_and_the_nodes_with_them() {
    let mut scene = Scene::open(2).await;
    scene.broker.lose_disk().await.unwrap();
    let watch = Watch::start(scene.broker.connect().await.unwrap()).await.unwrap();
    scene.reported_since(now_s()).await;
    eventually(RECOVERY_TIMEOUT, || async {
        let spoken = watch.seen().epochs().len();
        ensure!(spoken == 8, "owners of {spoken} partitions have spoken since");
        Ok(())
    })
    .await
    .unwrap();
    fresh(&scene.url, 8).await;
}

#[tokio::test]
async fn a_new_worker_starts_with_a_log_whose_messages_have_expired() {
    let broker = TestBroker::start().await.unwrap();
    let mut first = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    fresh(&url, 8).await;
    let mut fleet = broker.simulate(40).unwrap();
    eventually(RECOVERY_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.total_nodes == 40, "{}", stats.total_nodes);
        Ok(())
    })
    .await
    .unwrap();
    assert!(fleet.terminate().await.unwrap().success());
    assert!(first.terminate().await.unwrap().success());

    // Simulates ten minutes: all logged messages expire, and numbers continue.
    let js = tidemap_testkit::broker::jetstream(broker.connect().await.unwrap());
    for partition in PartitionCount::default().all() {
        let name = streams::name(partition);
        let mut config = js.get_stream(&name).await.unwrap().cached_info().config.clone();
        config.max_age = Duration::from_secs(1);
        config.duplicate_window = Duration::from_millis(500);
        js.update_stream(config).await.unwrap();
        eventually(RECOVERY_TIMEOUT, || async {
            let stream = js.get_stream(&name).await?;
            let state = &stream.cached_info().state;
            ensure!(state.messages == 0 && state.last_sequence > 0, "{state:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    // No owner publishes any more.
    fresh(&url, 0).await;
    let _second = broker.ingest(&[]).unwrap();
    fresh(&url, 8).await;
}
