//! The whole way of a minute: reports, worker, stream, station, file, answers.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
};
use futures_util::StreamExt;
use tidemap_e2e::{
    history::{Answers, KnownClocks, Moved, Station, Truth, expect},
    oracle::AckedSample,
    scenario::Scenario,
};
use tidemap_service::{clock, streams};
use tidemap_testkit::{broker::TestBroker, eventually};
use tidemap_wire::{MinuteRow, Minutes, NodeId, Slot, decode, encode, subject};

use crate::wrong_samples::tell;

/// A minute's rows are published within a minute, and the machine may be busy.
const PUBLISHED_TIMEOUT: Duration = Duration::from_secs(150);

/// Samples of minutes that are over, in the order of time: of ten nodes, six a minute. Each node has a gap.
fn samples() -> Vec<AckedSample> {
    let begin_ms = clock::unix_ms() / 60_000 * 60_000 - 600_000;
    let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut samples = Vec::new();
    for seq in 1..=48_u64 {
        for node in 0..10_u64 {
            let (rx_bytes, tx_bytes) = (1_000 + seq * 37 % 11 + node, 10 * node + seq % 7);
            let sum = sums.entry(node).or_default();
            *sum = (sum.0 + rx_bytes, sum.1 + tx_bytes);
            samples.push(AckedSample {
                node: format!("node-{node}"),
                boot: 1,
                seq,
                at_ms: begin_ms + seq as i64 * 10_000 - node as i64 - 1,
                elapsed_ms: if seq == 20 + node { 70_000 } else { 10_000 },
                rx_bytes,
                tx_bytes,
                rx_sum: sum.0,
                tx_sum: sum.1,
            });
        }
    }
    samples
}

/// The rows in the stream, joined. Bytes of gaps are not there.
async fn published(js: &jetstream::Context) -> anyhow::Result<BTreeMap<String, BTreeMap<i64, Moved>>> {
    let mut stream = js.get_stream(streams::HISTORY).await?;
    let count = usize::try_from(stream.info().await?.state.messages)?;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let mut messages = stream.create_consumer(config).await?.messages().await?.take(count);
    let mut joined: BTreeMap<(String, u32), MinuteRow> = BTreeMap::new();
    while let Some(message) = messages.next().await {
        for (node, row) in decode::<Minutes>(&message?.payload)?.rows()? {
            joined.entry((node.text(), row.minute)).or_default().join(&row);
        }
    }
    let mut nodes: BTreeMap<String, BTreeMap<i64, Moved>> = BTreeMap::new();
    for ((node, minute), row) in joined {
        let MinuteRow { rx_bytes, tx_bytes, covered_ms, .. } = row;
        let moved = Moved { rx_bytes, tx_bytes, covered_ms: covered_ms.into() };
        nodes.entry(node).or_default().insert(minute.into(), moved);
    }
    Ok(nodes)
}

/// Waits until the workers have published at least these nodes' minutes, without being asked to.
async fn publish_all(js: &jetstream::Context, truth: &BTreeMap<String, Truth>) {
    eventually(PUBLISHED_TIMEOUT, || async {
        let published = published(js).await?;
        let is_there = |(node, truth): &(&String, &Truth)| published.get(*node) == truth.minutes.as_ref();
        let there = truth.iter().filter(is_there).count();
        ensure!(there == truth.len(), "{there} of {} nodes", truth.len());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_minutes_of_all_nodes_outlive_killed_workers_and_stations_and_stations_agree() {
    let broker = TestBroker::start().await.unwrap();
    let mut scenario = Scenario::start("history", &broker.keys, &broker.url, 1).await.unwrap();
    let js = jetstream::new(scenario.connect().await.unwrap());
    let samples = samples();
    let (first, rest) = samples.split_at(samples.len() / 2 + 7);
    tell(&broker, first).await;
    eventually(PUBLISHED_TIMEOUT, || async {
        ensure!(!published(&js).await?.is_empty(), "nothing is published");
        Ok(())
    })
    .await
    .unwrap();
    scenario.workers.remove(0).kill().await.unwrap();
    scenario.station.kill().await.unwrap();
    tell(&broker, rest).await;
    scenario.add_worker().unwrap();
    scenario.station.start().unwrap();

    let now_ms = samples[samples.len() - 1].at_ms;
    let truth = expect(&samples, KnownClocks::Right);
    publish_all(&js, &truth).await;
    scenario.workers.remove(0).kill().await.unwrap();
    let answers = scenario.station.answers(&truth, now_ms).await.unwrap();
    assert!(answers.differences(&truth).is_empty(), "{:?}", answers.differences(&truth));
    let gaps: u64 = answers.unplaced.values().map(|(rx, _)| rx).sum();
    let true_gaps = samples.iter().filter(|sample| sample.elapsed_ms == 70_000).map(|sample| sample.rx_bytes);
    assert_eq!(gaps, true_gaps.sum::<u64>());

    // The next owner, and a station that goes on, change nothing; a station that begins says the same.
    scenario.add_sole_worker().await.unwrap();
    scenario.leave().await.unwrap();
    assert_eq!(scenario.station.answers(&truth, now_ms).await.unwrap(), answers);
    let folder = tempfile::tempdir().unwrap();
    let mut other = Station::new(&broker.url, &broker.keys, folder.path().join("other"));
    assert_eq!(other.answers(&truth, now_ms).await.unwrap(), answers);

    one_sample_decides(&samples, now_ms, &answers);
    one_byte_too_much_is_found(&js, &samples[9], &answers).await;
    let wrong = scenario.station.answers(&truth, now_ms).await.unwrap().differences(&truth);
    assert!(wrong.len() == 1 && wrong[0].starts_with("node-9:"), "{wrong:?}");
}

/// A sample that was dropped, doubled or changed by a byte is found at its node, and a row likewise that is
/// of another minute.
fn one_sample_decides(samples: &[AckedSample], now_ms: i64, answers: &Answers) {
    for victim in [0, samples.len() / 2, samples.len() - 1] {
        let (mut dropped, mut changed) = (samples.to_vec(), samples.to_vec());
        dropped.remove(victim);
        changed[victim].tx_bytes += 1;
        let doubled = [samples, &[AckedSample { seq: 0, ..samples[victim].clone() }]].concat();
        let node = &samples[victim].node;
        let is_found = |found: Vec<String>| {
            assert!(found.len() == 1 && found[0].starts_with(&format!("{node}:")), "{victim}: {found:?}");
        };
        for wrong in [dropped, changed, doubled] {
            is_found(answers.differences(&expect(&wrong, KnownClocks::Right)));
        }
        let mut shifted = answers.clone();
        let minutes = shifted.minutes.get_mut(node).unwrap();
        let row = minutes.remove(&(samples[victim].at_ms / 60_000)).unwrap();
        minutes.insert(now_ms / 60_000 + 1, row);
        is_found(shifted.differences(&expect(samples, KnownClocks::Right)));
    }
}

/// Publishes a row that has a byte more than it should.
async fn one_byte_too_much_is_found(js: &jetstream::Context, sample: &AckedSample, answers: &Answers) {
    let node = NodeId::from_name(&sample.node).unwrap();
    let minute = sample.at_ms / 60_000;
    let row = MinuteRow {
        minute: u32::try_from(minute).unwrap(),
        rx_bytes: answers.minutes[&sample.node][&minute].rx_bytes + 1,
        ..MinuteRow::default()
    };
    let mut minutes = Minutes::new(1, clock::unix_ms());
    minutes.push(&node, &row);
    let subject = subject::minutes(Slot::of(&node), 1, 0);
    js.publish(subject, encode(&minutes).into()).await.unwrap().await.unwrap();
}
