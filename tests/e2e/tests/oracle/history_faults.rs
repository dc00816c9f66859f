//! Faults of the history alone: the minutes of all nodes are what was acknowledged, and never were more.

use tidemap_e2e::scenario::{Scenario, TAKEOVER, TAKEOVER_AFTER_OUTAGE};
use tidemap_testkit::{broker::TestBroker, is_long};

/// The size of fleets here; each node reports once a second.
const NODES: usize = 100;

#[tokio::test]
async fn a_station_that_is_killed_and_loses_its_disk_says_the_same_again() {
    let broker = TestBroker::start().await.unwrap();
    let mut scenario =
        Scenario::start("station killed, its disk wiped", &broker.keys, &broker.url, 2).await.unwrap();
    let fleet = scenario.fleet(NODES as u64, &["--duplicate", "0.1"]).await.unwrap();
    for _ in 0..if is_long() { 5 } else { 1 } {
        // Some minutes end meanwhile, so that there are rows to lose.
        scenario.reported(70 * NODES).await.unwrap();
        scenario.station.kill().await.unwrap();
        scenario.station.start().unwrap();
        scenario.reported(10 * NODES).await.unwrap();
        scenario.station.lose_disk().await.unwrap();
    }
    scenario.reported(5 * NODES).await.unwrap();
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER);
}

#[tokio::test]
async fn a_fleet_that_is_divided_again_keeps_every_minute() {
    let broker = TestBroker::start().await.unwrap();
    let mut scenario = Scenario::start("8, 16, 8 partitions", &broker.keys, &broker.url, 2).await.unwrap();
    let fleet = scenario.fleet(NODES as u64, &[]).await.unwrap();
    scenario.reported(20 * NODES).await.unwrap();
    scenario.repartition(16).await.unwrap();
    scenario.reported(20 * NODES).await.unwrap();
    scenario.repartition(8).await.unwrap();
    scenario.spread().await.unwrap();
    scenario.all_fresh().await.unwrap();
    // A partition of the same number has nobody to speak for it meanwhile.
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER_AFTER_OUTAGE * 3);
}
