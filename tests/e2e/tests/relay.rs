//! Relays between a fleet and its broker: what they acknowledge is stored, whatever becomes of them.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::path::PathBuf;

use tidemap_broker::keys::{self, RelaySide};
use tidemap_e2e::{
    cluster::Cluster,
    is_long,
    process::Tidemap,
    trial::{TAKEOVER, TAKEOVER_AFTER_OUTAGE, Trial, lasting},
};
use tidemap_wire::NodeId;
use tokio::time::sleep;

/// The server near the agents, and the keys of a relay at both sides. No stream is there: only relays answer.
struct Edge {
    server: Cluster,
    keys: [PathBuf; 2],
    broker_url: String,
}

impl Edge {
    async fn start(cluster: &Cluster) -> Self {
        let server = Cluster::start().await.unwrap();
        let relay = NodeId::from_name("edge").unwrap();
        let enrolled = [(&server, RelaySide::Reports), (cluster, RelaySide::Packs)].map(|(side, role)| {
            let enrolled = keys::enroll_relay(side.folder(), &relay, role).unwrap();
            side.broker.reload().unwrap();
            enrolled.seed_path
        });
        Self { server, keys: enrolled, broker_url: cluster.url.clone() }
    }

    fn relay(&self) -> Tidemap {
        let [local_key, broker_key] = self.keys.each_ref().map(|path| path.to_str().unwrap());
        let near = ["--local-url", &self.server.url, "--local-creds", local_key];
        let far = ["--nats-url", &self.broker_url, "--creds", broker_key];
        Tidemap::start(&[&["relay", "--name", "edge"], &near[..], &far[..]].concat()).unwrap()
    }

    async fn fleet(&self, trial: &Trial) -> Tidemap {
        let there = (self.server.url.as_str(), &self.server.keys);
        trial.fleet_at(there, 200, &["--duplicate", "0.05"]).await.unwrap()
    }
}

#[tokio::test]
async fn relays_that_are_killed_lose_nothing_that_they_acknowledged() {
    let cluster = Cluster::start().await.unwrap();
    let edge = Edge::start(&cluster).await;
    let mut relays = vec![edge.relay(), edge.relay()];
    let trial = Trial::start("relays killed", &cluster.keys, &cluster.url, 2).await.unwrap();
    let fleet = edge.fleet(&trial).await;
    for _ in 0..if is_long() { 10 } else { 3 } {
        sleep(lasting(10, 3)).await;
        relays.remove(0).kill().await.unwrap();
        relays.push(edge.relay());
    }
    // One that is asked to leave brings what it has taken to its end.
    let mut last = relays.remove(0);
    assert!(last.terminate().await.unwrap().success(), "{}", last.log());
    trial.all_fresh().await.unwrap();
    let verdict = trial.end(fleet).await.unwrap();
    assert!(verdict.duplicates > 0, "{verdict}");
    verdict.assert_held(TAKEOVER);
}

#[tokio::test]
async fn while_the_broker_is_away_a_relay_acknowledges_nothing_and_then_goes_on() {
    let mut cluster = Cluster::start().await.unwrap();
    let edge = Edge::start(&cluster).await;
    let _relay = edge.relay();
    let trial = Trial::start("broker away from a relay", &cluster.keys, &cluster.url, 2).await.unwrap();
    let fleet = edge.fleet(&trial).await;
    for _ in 0..if is_long() { 5 } else { 2 } {
        cluster.broker.kill().await.unwrap();
        sleep(lasting(20, 3)).await;
        cluster.broker.restart().await.unwrap();
        trial.all_fresh().await.unwrap();
    }
    trial.end(fleet).await.unwrap().assert_held(TAKEOVER_AFTER_OUTAGE);
}
