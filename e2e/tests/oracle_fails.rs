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
use tidemap_wire::{encode, http::NodeJson, subject};

const SOON: Duration = Duration::from_secs(20);

/// The nodes of which the api says something else than these samples say.
fn wrong(samples: &[Sample], seen: &[NodeJson]) -> Vec<String> {
    oracle::compare(&oracle::expect(samples), seen).into_iter().map(|mismatch| mismatch.node).collect()
}

#[tokio::test]
async fn the_oracle_tells_a_sample_that_was_dropped_doubled_or_changed_by_a_byte() {
    let cluster = Cluster::start().await.unwrap();
    let trial = Trial::start("nothing broken", &cluster.keys, &cluster.url, 1).await.unwrap();
    let mut fleet = trial.fleet(40, &["--samples", "8"]).await.unwrap();
    assert!(fleet.ended().await.unwrap().success(), "{}", fleet.log());
    trial.judge().await.unwrap().assert_held(SOON);
    let samples = trial.acknowledged().unwrap();
    let seen = trial.nodes().await.unwrap();
    assert_eq!(samples.len(), 40 * 8);

    for victim in [0, samples.len() / 2, samples.len() - 1] {
        let node = &samples[victim].node;
        let mut dropped = samples.clone();
        dropped.remove(victim);
        assert_eq!(wrong(&dropped, &seen), [node.as_str()], "without {victim}");
        let mut twice = samples.clone();
        twice.push(Sample { seq: 1_000, ..samples[victim].clone() });
        assert_eq!(wrong(&twice, &seen), [node.as_str()], "{victim} twice");
        for change in [
            |sample: &mut Sample| sample.rx_bytes += 1,
            |sample: &mut Sample| sample.tx_bytes += 1,
            |sample: &mut Sample| sample.elapsed_ms += 1,
            |sample: &mut Sample| sample.rx_sum += 1 << 40,
        ] {
            let mut changed = samples.clone();
            change(&mut changed[victim]);
            assert_eq!(wrong(&changed, &seen), [node.as_str()], "{victim} changed");
        }
        assert!(wrong(&[&samples[..], &samples[victim..=victim]].concat(), &seen).is_empty(), "a duplicate");
    }
    double_one(&trial, &cluster, &samples).await;
}

/// The same through the whole pipeline: a sample that is counted twice is told.
async fn double_one(trial: &Trial, cluster: &Cluster, samples: &[Sample]) {
    let victim = &samples[7];
    tell(cluster, &[Sample { seq: 9, ..victim.clone() }]).await;
    eventually(SOON, || async {
        let wrong = wrong(samples, &trial.nodes().await?);
        ensure!(wrong == [victim.node.as_str()], "{wrong:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Tells ingest of these samples, one after the other.
async fn tell(cluster: &Cluster, samples: &[Sample]) {
    let key = cluster.keys.simulator_seed_path();
    let client = NatsArgs::new(&cluster.url, Some(&key)).connect("teller", Some("_INBOX.simulator")).await;
    let js = jetstream::new(client.unwrap());
    for sample in samples {
        let report = sample.report().unwrap();
        js.publish(subject::sample(&report.node), encode(&report).into()).await.unwrap().await.unwrap();
    }
}

/// A host that slept for most of a minute and then goes on: its long sample and the next ones are in one bucket.
#[tokio::test]
async fn a_bucket_holds_a_long_sample_and_those_after_it_whole() {
    let cluster = Cluster::start().await.unwrap();
    let trial = Trial::start("a long sample", &cluster.keys, &cluster.url, 1).await.unwrap();
    let start_ms = 1_700_000_010_000;
    let sample = |seq: u64, elapsed_ms, rx_bytes| Sample {
        node: "sleeper".to_owned(),
        boot: 1,
        seq,
        at_ms: start_ms + seq as i64 * 1_000,
        elapsed_ms,
        rx_bytes,
        tx_bytes: seq,
        rx_sum: 1_000_000 * seq,
        tx_sum: seq * seq,
    };
    let samples: Vec<Sample> = (0..14)
        .map(|seq| if seq == 0 { sample(1, 58_000, 70_000) } else { sample(1 + seq, 1_000, 9_000) })
        .collect();
    tell(&cluster, &samples).await;
    eventually(SOON, || async {
        let wrong = oracle::compare(&oracle::expect(&samples), &trial.nodes().await?);
        ensure!(wrong.is_empty(), "{}", wrong[0]);
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
