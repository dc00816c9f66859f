//! Three servers with three copies of each stream: after the loss of any one, no acknowledged sample is
//! missing.

use tidemap_e2e::scenario::{Scenario, TAKEOVER_AFTER_OUTAGE, lasting};
use tidemap_testkit::{
    cluster::{Edge, TestCluster},
    endure,
};

#[tokio::test]
async fn killing_or_cutting_off_any_one_loses_nothing() {
    let mut cluster = TestCluster::start().await.unwrap();
    let mut edge = Edge::start(&cluster).unwrap();
    let url = cluster.url();
    let mut scenario =
        Scenario::start_with("three servers", &cluster.keys, (&url, &url), 2, &["--replicas", "3"])
            .await
            .unwrap();
    let mut relays = [edge.relay().unwrap(), edge.relay().unwrap()];
    let fleet = scenario.fleet_at((&edge.url, &edge.keys), 60, &[]).await.unwrap();
    let stream = "TIDEMAP_0";
    let lasting = lasting(60, 0);

    let leader = cluster.leader_of(stream).await.unwrap();
    cluster.kill(leader).await.unwrap();
    scenario.all_fresh().await.unwrap();
    endure(lasting).await;
    cluster.restart(leader).unwrap();
    cluster.healed().await.unwrap();

    // It keeps its connections open, so no client notices at once, and the site's server last.
    let frozen = edge.connected_to(&cluster).unwrap();
    cluster.freeze(frozen).unwrap();
    scenario.all_fresh().await.unwrap();
    endure(lasting).await;
    cluster.thaw(frozen).unwrap();
    cluster.healed().await.unwrap();

    relays[0].kill().await.unwrap();
    relays[0] = edge.relay().unwrap();
    scenario.workers.remove(0).kill().await.unwrap();
    scenario.add_worker().unwrap();
    edge.kill_and_restart().await.unwrap();
    scenario.all_fresh().await.unwrap();

    // A stream elects a leader within some seconds, too.
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER_AFTER_OUTAGE * 2);
}
