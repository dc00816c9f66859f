//! Tests of the oracle itself: it must report a node that is wrong by one sample, or by one byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::ensure;
use async_nats::jetstream::{self, publish::PublishAck, stream::DiscardPolicy};
use tidemap_e2e::{
    oracle::{self, AckedSample},
    scenario::{Audit, Kept, Scenario},
};
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{broker::TestBroker, eventually, process::run_to_end};
use tidemap_wire::{encode, http::NodeJson, subject};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The nodes whose values in the API differ from those of these samples.
fn wrong(samples: &[AckedSample], seen: &[NodeJson]) -> Vec<String> {
    oracle::compare(&oracle::expect(samples), seen).into_iter().map(|mismatch| mismatch.node).collect()
}

#[tokio::test]
async fn the_oracle_detects_a_sample_that_was_dropped_doubled_shifted_or_changed_by_a_byte() {
    let broker = TestBroker::start().await.unwrap();
    let mut scenario = Scenario::start("nothing broken", &broker.keys, &broker.url, 1).await.unwrap();
    let mut fleet = scenario.fleet(40, &["--samples", "8"]).await.unwrap();
    assert!(fleet.ended().await.unwrap().success(), "{}", fleet.log());
    scenario.judge().await.unwrap().assert_held(EVENT_TIMEOUT);
    let samples = scenario.acknowledged().unwrap();
    let (seen, kept) = (scenario.nodes().await.unwrap(), scenario.leave().await.unwrap());
    assert_eq!(samples.len(), 40 * 8);

    for victim in [0, samples.len() / 2, samples.len() - 1] {
        let node = &samples[victim].node;
        let mut fewer = samples.clone();
        fewer.remove(victim);
        assert_eq!(wrong(&fewer, &seen), [node.as_str()], "without {victim}");
        let more = [&samples[..], &[AckedSample { seq: 1_000, ..samples[victim].clone() }]].concat();
        assert_eq!(wrong(&more, &seen), [node.as_str()], "{victim} twice");
        for change in [
            |sample: &mut AckedSample| sample.rx_bytes += 1,
            |sample: &mut AckedSample| sample.tx_bytes += 1,
            |sample: &mut AckedSample| sample.elapsed_ms += 1,
            |sample: &mut AckedSample| sample.rx_sum += 1 << 40,
            // Out of the minute, however far apart the fleet has reported.
            |sample: &mut AckedSample| sample.at_ms -= 60_000,
        ] {
            let mut changed = samples.clone();
            change(&mut changed[victim]);
            assert_eq!(wrong(&changed, &seen), [node.as_str()], "{victim} changed");
        }
        let again = [&samples[..], &samples[victim..=victim]].concat();
        assert!(wrong(&again, &seen).is_empty() && balance(&again, &kept) == ([].into(), [].into()));
    }
    // A surplus at one node does not make up for missing samples, at this node or another.
    let (boot, extra) = (samples[0].boot, AckedSample { seq: 1_000, ..samples[0].clone() });
    let missing = BTreeMap::from([((samples[0].node.clone(), boot), 1)]);
    for victim in [0, samples.iter().position(|sample| sample.node != extra.node).unwrap()] {
        let mut exchanged = samples.clone();
        let removed = exchanged.remove(victim);
        exchanged.push(extra.clone());
        let surplus = BTreeMap::from([(removed.node, 1)]);
        assert_eq!(balance(&exchanged, &kept), (missing.clone(), surplus));
    }
    double_one_and_drop_one(scenario, &broker, &samples).await;
}

/// The missing samples by node and run, and the surplus ones by node.
fn balance(samples: &[AckedSample], kept: &Kept) -> (BTreeMap<(String, u64), u64>, BTreeMap<String, u64>) {
    let audit = Audit::new(samples, kept).unwrap();
    (audit.missing, audit.surplus)
}

/// The same through the whole pipeline: one sample is published twice under two numbers, and one that the
/// broker has acknowledged is lost before a worker reads it.
async fn double_one_and_drop_one(mut scenario: Scenario, broker: &TestBroker, samples: &[AckedSample]) {
    let (doubled, last) =
        (&samples[7], samples.iter().rfind(|sample| sample.node != samples[7].node).unwrap());
    let next = |after: i64| AckedSample {
        seq: last.seq + 10 + after as u64,
        at_ms: last.at_ms + after,
        ..last.clone()
    };
    let acks = tell(broker, &[next(1), next(2)]).await;
    keep_newest(&tidemap_testkit::broker::jetstream(scenario.connect().await.unwrap()), &acks[1].stream)
        .await;
    tell(broker, &[AckedSample { seq: 9, ..doubled.clone() }]).await;
    scenario.add_worker().unwrap();

    let acknowledged = [samples, &[next(1), next(2)]].concat();
    let victims = BTreeSet::from([doubled.node.as_str(), last.node.as_str()]);
    eventually(EVENT_TIMEOUT, || async {
        let nodes = scenario.nodes().await?;
        ensure!(
            wrong(&acknowledged[..acknowledged.len() - 2], &nodes).len() == 2,
            "the API does not show all yet"
        );
        let wrong = wrong(&acknowledged, &nodes);
        ensure!(wrong.iter().map(String::as_str).collect::<BTreeSet<_>>() == victims, "{wrong:?}");
        Ok(())
    })
    .await
    .unwrap();
    let missing = BTreeMap::from([((last.node.clone(), last.boot), 1)]);
    let surplus = BTreeMap::from([(doubled.node.clone(), 1)]);
    assert_eq!(balance(&acknowledged, &scenario.leave().await.unwrap()), (missing, surplus));
}

/// Makes a stream drop everything but its newest message.
async fn keep_newest(js: &jetstream::Context, stream: &str) {
    let mut config = js.get_stream(stream).await.unwrap().cached_info().config.clone();
    (config.discard, config.discard_new_per_subject) = (DiscardPolicy::Old, false);
    for most in [1, -1] {
        config.max_messages = most;
        js.update_stream(config.clone()).await.unwrap();
    }
}

/// Publishes these samples to ingest, one after the other.
pub(crate) async fn tell(broker: &TestBroker, samples: &[AckedSample]) -> Vec<PublishAck> {
    let key = broker.keys.simulator_seed_path();
    let client = NatsArgs::new(&broker.url, Some(&key)).connect("teller", Some("_INBOX.simulator")).await;
    let js = tidemap_testkit::broker::jetstream(client.unwrap());
    let mut acks = Vec::new();
    for sample in samples {
        let report = sample.report().unwrap();
        let ack = js.publish(subject::sample(&report.node), encode(&report).into()).await.unwrap();
        acks.push(ack.await.unwrap());
    }
    acks
}

/// A host that slept for most of a minute and continues: its long sample and the next ones fall into one
/// bucket.
#[tokio::test]
async fn a_bucket_holds_a_long_sample_and_those_after_it_whole() {
    let broker = TestBroker::start().await.unwrap();
    let scenario = Scenario::start("a long sample", &broker.keys, &broker.url, 1).await.unwrap();
    let start_ms = 1_700_000_010_000;
    let sample = |seq: u64, elapsed_ms, rx_bytes| AckedSample {
        node: "sleeper".to_owned(),
        boot: 1,
        seq,
        // Every other sample is read just before the end of a second, as a bucket ends exactly there.
        at_ms: start_ms + seq as i64 * 1_000 - i64::from(seq % 2 == 1),
        elapsed_ms,
        rx_bytes,
        tx_bytes: seq,
        rx_sum: 1_000_000 * seq,
        tx_sum: seq * seq,
    };
    let samples: Vec<AckedSample> = (0..14)
        .map(|seq| if seq == 0 { sample(1, 58_000, 70_000) } else { sample(1 + seq, 1_000, 9_000) })
        .collect();
    tell(&broker, &samples).await;
    eventually(EVENT_TIMEOUT, || async {
        let wrong = oracle::compare(&oracle::expect(&samples), &scenario.nodes().await?);
        ensure!(wrong.is_empty(), "{}", wrong[0]);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_impossible_simulation_is_one_line_and_exit_code_64() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("acks");
    let log = log.to_str().unwrap();
    for (args, message) in [
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
        assert!(stderr.contains(message) && stderr.trim().lines().count() == 1, "{args:?}: {stderr}");
    }
}
