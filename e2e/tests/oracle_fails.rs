//! The oracle is no good if it cannot fail: what is wrong by one sample, or by one byte, is told.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::time::Duration;

use anyhow::ensure;
use async_nats::jetstream;
use tidemap_e2e::{
    cluster::Cluster,
    eventually,
    oracle::{self, Sample},
    process::run_to_end,
    trial::Trial,
};
use tidemap_service::nats::NatsArgs;
use tidemap_wire::{Bps, NodeId, Report, encode, http::NodeJson, subject};

/// The nodes of which the api says something else than these samples say.
fn wrong(samples: &[Sample], seen: &[NodeJson]) -> Vec<String> {
    oracle::compare(&oracle::expect(samples), seen).into_iter().map(|mismatch| mismatch.node).collect()
}

/// The same samples once more, as a report that ingest takes for a new one.
fn doubled(sample: &Sample, seq: u64) -> Report {
    let again = tidemap_wire::Sample {
        seq,
        at_ms: sample.at_ms,
        elapsed_ms: u32::try_from(sample.elapsed_ms).unwrap(),
        rx_bytes: sample.rx_sum,
        tx_bytes: sample.tx_sum,
        rx_bps: Bps::over(sample.rx_bytes, sample.elapsed_ms),
        tx_bps: Bps::over(sample.tx_bytes, sample.elapsed_ms),
        ..tidemap_wire::Sample::default()
    };
    let node = NodeId::from_name(&sample.node).unwrap();
    Report { node, boot: sample.boot, hello: None, samples: vec![again] }
}

#[tokio::test]
async fn the_oracle_tells_a_sample_that_was_dropped_doubled_or_changed_by_a_byte() {
    let cluster = Cluster::start().await.unwrap();
    let trial = Trial::start("nothing broken", &cluster.keys, &cluster.url, 1).await.unwrap();
    let mut fleet = trial.fleet(40, &["--samples", "8"]).await.unwrap();
    assert!(fleet.ended().await.unwrap().success(), "{}", fleet.log());
    trial.judge().await.unwrap().assert_held(Duration::from_secs(20));
    let samples = trial.acknowledged().unwrap();
    let seen = trial.nodes().await.unwrap();
    assert_eq!(samples.len(), 40 * 8);

    for victim in [0, samples.len() / 2, samples.len() - 1] {
        let node = samples[victim].node.clone();
        let mut dropped = samples.clone();
        dropped.remove(victim);
        assert_eq!(wrong(&dropped, &seen), [node.clone()], "without {victim}");
        let mut twice = samples.clone();
        twice.push(Sample { seq: 1_000, ..samples[victim].clone() });
        assert_eq!(wrong(&twice, &seen), [node.clone()], "{victim} twice");
        for change in [
            |sample: &mut Sample| sample.rx_bytes += 1,
            |sample: &mut Sample| sample.tx_bytes += 1,
            |sample: &mut Sample| sample.elapsed_ms += 1,
            |sample: &mut Sample| sample.rx_sum += 1 << 40,
        ] {
            let mut changed = samples.clone();
            change(&mut changed[victim]);
            assert_eq!(wrong(&changed, &seen), [node.clone()], "{victim} changed");
        }
        assert!(wrong(&[&samples[..], &samples[victim..=victim]].concat(), &seen).is_empty(), "a duplicate");
    }
    double_one(&trial, &cluster, &samples).await;
}

/// The same through the whole pipeline: a sample that is counted twice is told.
async fn double_one(trial: &Trial, cluster: &Cluster, samples: &[Sample]) {
    let key = cluster.keys.simulator_seed_path();
    let client = NatsArgs::new(&cluster.url, Some(&key)).connect("forger", Some("_INBOX.simulator")).await;
    let js = jetstream::new(client.unwrap());
    let victim = &samples[7];
    let report = doubled(victim, 9);
    js.publish(subject::sample(&report.node), encode(&report).into()).await.unwrap().await.unwrap();
    eventually(Duration::from_secs(20), || async {
        let wrong = wrong(samples, &trial.nodes().await?);
        ensure!(wrong == [victim.node.clone()], "{wrong:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_simulation_that_cannot_be_is_one_line_and_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("acks");
    let log = log.to_str().unwrap();
    for (args, told) in [
        (&["--duplicate", "2", "--ack-log", log][..], "--duplicate"),
        (&["--shuffle", "soon", "--ack-log", log], "--shuffle"),
        (&["--skew", "5"], "--ack-log"),
        (&["--leap", "5", "--restart-every", "3", "--ack-log", log], "--leap"),
        (&["--restart-every", "1", "--ack-log", log], "--restart-every"),
        (&["--churn", "0.5", "--ack-log", log], "--restart-every"),
        (&["--ack-log", "/no/such/folder/acks"], "--ack-log"),
        (&["--samples", "0"], "--samples"),
        (&["--duration", "0"], "--duration"),
    ] {
        let (code, stderr) = run_to_end(&[&["simulate"], args].concat()).await.unwrap();
        assert_eq!(code, Some(64), "{args:?}: {stderr}");
        assert!(stderr.contains(told) && stderr.trim().lines().count() == 1, "{args:?}: {stderr}");
    }
}
