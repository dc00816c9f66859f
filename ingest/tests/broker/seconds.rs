//! Sums by the second: they come to the history's stream whoever owns the nodes.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use futures_util::StreamExt;
use tidemap_service::{clock, streams};
use tidemap_wire::{Bps, Minutes, NodeId, Report, Sample, SecondSums, decode, history_query::HistorySeries};

use crate::harness::Harness;

/// A span of seconds, what passes until it is added up, and a takeover.
const SPAN_TIMEOUT: Duration = Duration::from_secs(90);
const NODES: u32 = 9;
/// Powers of two come back as they were.
const NODE_BPS: u64 = 1 << 20;

/// The fleet's sum in each second, of all partitions, as the stream has it.
async fn stored(harness: &Harness) -> anyhow::Result<BTreeMap<i64, u64>> {
    let mut stream = harness.js.get_stream(streams::HISTORY).await?;
    let messages = usize::try_from(stream.info().await?.state.messages)?;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let mut received = stream.create_consumer(config).await?.messages().await?.take(messages);
    let mut joined: BTreeMap<(i64, u16), u64> = BTreeMap::new();
    while let Some(message) = received.next().await {
        let message = message?;
        let minutes: Minutes = decode(&message.payload)?;
        for SecondSums { partition, group, minute, first, rx_bps, .. } in minutes.seconds()? {
            ensure!(group == HistorySeries::Fleet, "no node is of another group");
            ensure!(
                message.subject.starts_with("tidemap.v1.history.minutes.groups.8."),
                "{}",
                message.subject
            );
            for (second, rx_bps) in (i64::from(minute) * 60 + i64::from(first)..).zip(rx_bps) {
                let known = joined.entry((second, partition)).or_default();
                *known = rx_bps.max(*known);
            }
        }
    }
    let mut sums = BTreeMap::new();
    for ((second, _), sum) in joined.into_iter().filter(|(_, sum)| *sum > 0) {
        *sums.entry(second).or_default() += sum;
    }
    Ok(sums)
}

/// Some nodes move so much in each of the last ten seconds, and their owners know it. Adds the sums.
async fn burst(harness: &mut Harness, name: &str, sums: &mut BTreeMap<i64, u64>) {
    let now_ms = clock::unix_ms();
    for number in 0..NODES {
        let node = NodeId::from_name(&format!("{name}-{number}")).unwrap();
        let sample = |back: u64| Sample {
            seq: 10 - back,
            at_ms: now_ms - back.cast_signed() * 1_000,
            elapsed_ms: 1_000,
            rx_bps: Bps::new(NODE_BPS as f64),
            tx_bps: Bps::new(0.0),
            ..Sample::default()
        };
        let samples = (0..10).rev().map(sample).collect();
        harness.publish_report(&Report { node, boot: 5, hello: None, samples }).await;
    }
    for back in 0..10 {
        *sums.entry(now_ms / 1_000 - back).or_default() += u64::from(NODES) * NODE_BPS;
    }
    assert_eq!(harness.known(8).await, harness.truth());
}

async fn arrive(harness: &Harness, sums: &BTreeMap<i64, u64>) {
    tidemap_testkit::eventually(SPAN_TIMEOUT, || async {
        let stored = stored(harness).await?;
        ensure!(stored == *sums, "{stored:?} of {sums:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_an_owner_did_not_tell_of_seconds_the_next_one_does() {
    let mut harness = Harness::start().await;
    let mut sums = BTreeMap::new();
    let worker = harness.worker(8);
    harness.known(8).await;
    burst(&mut harness, "first", &mut sums).await;
    worker.kill().await;
    let worker = harness.worker(8);
    arrive(&harness, &sums).await;
    // One that ends in order tells at once what it knows.
    burst(&mut harness, "second", &mut sums).await;
    worker.stop().await;
    arrive(&harness, &sums).await;
}
