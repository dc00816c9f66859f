//! Workers are added and removed under load, and garbage is sent: no acknowledged sample is missing or
//! counted twice.

use std::time::Duration;

use anyhow::ensure;
use async_nats::Client;
use tidemap_broker::keys::{self, RelaySide};
use tidemap_e2e::scenario::{Scenario, TAKEOVER, lasting};
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{broker::TestBroker, endure, eventually, is_long, process::Tidemap, watch::Watch};
use tidemap_wire::{NodeId, Report, Sample, encode, subject};
use tokio::time::interval;

#[tokio::test]
async fn workers_that_come_and_go_lose_nothing() {
    let broker = TestBroker::start().await.unwrap();
    let mut scenario = Scenario::start("1, 4, 2 workers", &broker.keys, &broker.url, 1).await.unwrap();
    let fleet = scenario.fleet(200, &[]).await.unwrap();
    for _ in 0..3 {
        scenario.add_worker().unwrap();
    }
    scenario.spread().await.unwrap();
    endure(lasting(60, 0)).await;
    for _ in 0..2 {
        let mut leaving = scenario.workers.swap_remove(0);
        assert!(leaving.terminate().await.unwrap().success(), "{}", leaving.log());
    }
    scenario.spread().await.unwrap();
    endure(lasting(60, 0)).await;
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER);
}

/// Sends messages that no agent sends, each kind once.
async fn send_garbage(client: &Client, number: u64) -> anyhow::Result<()> {
    let js = tidemap_testkit::broker::jetstream(client.clone());
    let node = NodeId::from_name("web-01")?;
    let good = subject::sample(&node);
    let report = |seq, at_ms| {
        let sample = Sample { seq, at_ms, elapsed_ms: 1_000, ..Sample::default() };
        encode(&Report { node: node.clone(), boot: 1, hello: None, samples: vec![sample] })
    };
    let noise: Vec<u8> = (0..fastrand::usize(..2_000)).map(|_| fastrand::u8(..)).collect();
    // With this first byte, random bytes are never a valid report.
    let noise = [&[0xc1][..], &noise].concat();
    let torn = report(number, 1).split_at(20).0.to_vec();
    let strange =
        encode(&Report { node: NodeId::from_name("other")?, boot: 1, hello: None, samples: vec![] });
    for (subject, payload) in [
        (good.clone(), noise),
        (good.clone(), torn),
        (good.clone(), Vec::new()),
        (good.clone(), strange),
        (good.clone(), report(0, 1)),
        (good.clone(), report(number, i64::MAX)),
        ("tidemap.v1.sample.7.web-01".to_owned(), report(number, 1)),
    ] {
        js.publish(subject, payload.into()).await?.await?;
    }
    Ok(())
}

#[tokio::test]
async fn garbage_among_the_samples_is_counted_and_changes_nothing() {
    let broker = TestBroker::start().await.unwrap();
    let scenario = Scenario::start("garbage", &broker.keys, &broker.url, 2).await.unwrap();
    let fleet = scenario.fleet(100, &[]).await.unwrap();
    let key = broker.keys.simulator_seed_path();
    let stranger = NatsArgs::new(&broker.url, Some(&key)).connect("stranger", Some("_INBOX.simulator")).await;
    let stranger = stranger.unwrap();
    let rounds = if is_long() { 1_000 } else { 50 };
    let mut pace = interval(Duration::from_millis(100));
    for number in 1..=rounds {
        pace.tick().await;
        send_garbage(&stranger, number).await.unwrap();
    }
    for (reason, each) in [("garbage", 3), ("node-mismatch", 1), ("implausible", 2), ("subject", 1)] {
        eventually(TAKEOVER, || async {
            let counted = scenario.refused(reason);
            // Whoever takes over a partition reads again what its checkpoint does not contain yet.
            let is_counted = match scenario.successions() {
                0 => counted == rounds * each,
                _ => counted >= rounds * each,
            };
            ensure!(is_counted, "{reason}: {counted}");
            Ok(())
        })
        .await
        .unwrap();
    }
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER);
}

#[tokio::test]
async fn a_fleet_without_an_ack_log_ends_by_itself_too_when_all_is_acknowledged() {
    let broker = TestBroker::start().await.unwrap();
    let watch = Watch::start(broker.connect().await.unwrap()).await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let mut fleet = broker.simulate_with(300, &["--samples", "3", "--connections", "2"]).unwrap();
    assert!(fleet.ended().await.unwrap().success(), "{}", fleet.log());
    // The log may hold a report twice if its acknowledgement was late, so the applied samples are counted.
    eventually(TAKEOVER, || async {
        let applied = watch.seen().applied();
        ensure!(applied == 300 * 3, "{applied} samples");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_fleet_in_packs_is_known_sample_by_sample() {
    let broker = TestBroker::start().await.unwrap();
    let scenario = Scenario::start("fleet in packs", &broker.keys, &broker.url, 1).await.unwrap();
    let relay = NodeId::from_name("bench").unwrap();
    let key = keys::enroll_relay(broker.folder(), &relay, RelaySide::Packs).unwrap().seed_path;
    broker.server.reload().unwrap();
    let key = key.to_str().unwrap();
    let there = ["--nats-url", &broker.url, "--creds", key, "--relay", "bench"];
    let mut fleet =
        Tidemap::start(&[&["simulate", "--nodes", "300", "--samples", "3"], &there[..]].concat()).unwrap();
    assert!(fleet.ended().await.unwrap().success(), "{}", fleet.log());
    assert!(fleet.log().contains("reports=900"), "{}", fleet.log());
    eventually(Duration::from_secs(60), || async {
        let applied = scenario.applied();
        ensure!(applied == 300 * 3, "{applied} samples are known");
        Ok(())
    })
    .await
    .unwrap();
}
