//! Relays between a fleet and its broker: everything that they acknowledge is stored, whatever happens to
//! them.

use std::path::PathBuf;

use tidemap_broker::keys::{self, RelaySide};
use tidemap_e2e::scenario::{Scenario, TAKEOVER, TAKEOVER_AFTER_OUTAGE, lasting};
use tidemap_testkit::{broker::TestBroker, endure, is_long, process::Tidemap};
use tidemap_wire::NodeId;

const NODES: usize = 200;

/// The server near the agents, and a relay's keys for both sides. It has no streams, so only relays
/// acknowledge.
struct Edge {
    server: TestBroker,
    keys: [PathBuf; 2],
    broker_url: String,
}

impl Edge {
    async fn start(broker: &TestBroker) -> Self {
        let server = TestBroker::start().await.unwrap();
        let relay = NodeId::from_name("edge").unwrap();
        let enrolled = [(&server, RelaySide::Reports), (broker, RelaySide::Packs)].map(|(side, role)| {
            let enrolled = keys::enroll_relay(side.folder(), &relay, role).unwrap();
            side.server.reload().unwrap();
            enrolled.seed_path
        });
        Self { server, keys: enrolled, broker_url: broker.url.clone() }
    }

    fn relay(&self) -> Tidemap {
        let [local_key, broker_key] = self.keys.each_ref().map(|path| path.to_str().unwrap());
        let near = ["--local-url", &self.server.url, "--local-creds", local_key];
        let far = ["--nats-url", &self.broker_url, "--creds", broker_key];
        Tidemap::start(&[&["relay", "--name", "edge"], &near[..], &far[..]].concat()).unwrap()
    }

    async fn fleet(&self, scenario: &Scenario) -> Tidemap {
        let there = (self.server.url.as_str(), &self.server.keys);
        scenario.fleet_at(there, NODES as u64, &["--duplicate", "0.05"]).await.unwrap()
    }
}

#[tokio::test]
async fn relays_that_are_killed_lose_nothing_that_they_acknowledged() {
    let broker = TestBroker::start().await.unwrap();
    let edge = Edge::start(&broker).await;
    let mut relays = vec![edge.relay(), edge.relay()];
    let scenario = Scenario::start("relays killed", &broker.keys, &broker.url, 2).await.unwrap();
    let fleet = edge.fleet(&scenario).await;
    for _ in 0..if is_long() { 10 } else { 3 } {
        // All reports so far have been stored, and more are in flight.
        scenario.reported(NODES).await.unwrap();
        relays.remove(0).kill().await.unwrap();
        relays.push(edge.relay());
    }
    // A relay that is asked to stop completes what it has accepted.
    let mut last = relays.remove(0);
    assert!(last.terminate().await.unwrap().success(), "{}", last.log());
    scenario.all_fresh().await.unwrap();
    let verdict = scenario.end(fleet).await.unwrap();
    assert!(verdict.duplicates > 0, "{verdict}");
    verdict.assert_held(TAKEOVER);
}

#[tokio::test]
async fn while_the_broker_is_away_a_relay_acknowledges_nothing_and_then_goes_on() {
    let mut broker = TestBroker::start().await.unwrap();
    let edge = Edge::start(&broker).await;
    let _relay = edge.relay();
    let scenario = Scenario::start("broker away from a relay", &broker.keys, &broker.url, 2).await.unwrap();
    let fleet = edge.fleet(&scenario).await;
    for _ in 0..if is_long() { 5 } else { 2 } {
        broker.server.kill().await.unwrap();
        endure(lasting(20, 3)).await;
        broker.server.restart().await.unwrap();
        scenario.all_fresh().await.unwrap();
    }
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER_AFTER_OUTAGE);
}
