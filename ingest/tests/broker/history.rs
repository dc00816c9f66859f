//! Rows of minutes: they come to the history's stream whatever fails, and wait where it takes none.

use std::collections::BTreeMap;

use anyhow::ensure;
use async_nats::jetstream::{
    consumer::{AckPolicy, pull},
    stream::{Config as StreamConfig, DiscardPolicy},
};
use futures_util::StreamExt;
use tidemap_ingest::internals::{Content, load_checkpoints};
use tidemap_service::{clock, streams};
use tidemap_wire::{Bps, MinuteRow, Minutes, NodeId, PartitionCount, Report, Sample, Slot, decode, subject};

use crate::harness::{Harness, eventually};

/// Rows by node and minute: samples, bytes received and sent.
type Rows = BTreeMap<(NodeId, u32), (u32, u64, u64)>;

/// Nodes that report for minutes that are over.
struct Fleet {
    begin_ms: i64,
    rows: Rows,
}

impl Fleet {
    fn new() -> Self {
        Self { begin_ms: clock::unix_ms() / 60_000 * 60_000 - 600_000, rows: Rows::new() }
    }

    /// Reports of each node, one for every seventh of these seconds.
    async fn report(&mut self, harness: &mut Harness, nodes: &[&str], seconds: std::ops::Range<u64>) {
        for second in seconds.step_by(7) {
            for node in nodes {
                let report = self.sample(node, second);
                harness.publish_report(&report).await;
            }
        }
    }

    fn sample(&mut self, node: &str, second: u64) -> Report {
        let node = NodeId::from_name(node).unwrap();
        let at_ms = self.begin_ms + i64::try_from(second).unwrap() * 1_000;
        let bytes = [700 + second, 7 * (second % 13)];
        let row = self.rows.entry((node.clone(), u32::try_from(at_ms / 60_000).unwrap())).or_default();
        *row = (row.0 + 1, row.1 + bytes[0], row.2 + bytes[1]);
        let sample = Sample {
            seq: second + 1,
            at_ms,
            elapsed_ms: 7_000,
            rx_bytes: second * 1_000,
            tx_bytes: second * 100,
            rx_bps: Bps::over(bytes[0], 7_000),
            tx_bps: Bps::over(bytes[1], 7_000),
            ..Sample::default()
        };
        Report { node, boot: 5, hello: None, samples: vec![sample] }
    }
}

/// What the stream's messages come to.
async fn stored(harness: &Harness) -> anyhow::Result<Rows> {
    let mut stream = harness.js.get_stream(streams::HISTORY).await?;
    let messages = usize::try_from(stream.info().await?.state.messages)?;
    let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let mut joined: BTreeMap<(NodeId, u32), MinuteRow> = BTreeMap::new();
    let mut received = consumer.messages().await?.take(messages);
    while let Some(message) = received.next().await {
        let message = message?;
        let minutes: Minutes = decode(&message.payload)?;
        ensure!(minutes.late()?.is_empty(), "nothing was late");
        for (node, row) in minutes.rows()? {
            ensure!(message.subject == subject::minutes(Slot::of(node), 1, 0).into(), "{}", message.subject);
            joined.entry((node.clone(), row.minute)).or_default().join(&row);
        }
    }
    let sums = |row: MinuteRow| (row.samples, row.rx_bytes, row.tx_bytes);
    Ok(joined.into_iter().map(|(place, row)| (place, sums(row))).collect())
}

/// Waits until the stream has exactly these rows.
async fn arrive(harness: &Harness, rows: &Rows) {
    eventually(async || {
        let stored = stored(harness).await?;
        ensure!(stored == *rows, "{} of {} rows: {stored:?}", stored.len(), rows.len());
        Ok(())
    })
    .await;
}

/// How many rows the nodes in checkpoints have that were not acknowledged.
async fn unacknowledged(harness: &Harness) -> usize {
    let mut rows = 0;
    for partition in PartitionCount::default().all() {
        let slots: Vec<Slot> = PartitionCount::default().slots(partition).collect();
        let content = Content::Samples(slots.clone());
        let restored =
            load_checkpoints(&harness.js, &streams::name(partition), &content, &slots).await.unwrap();
        rows += restored.nodes.iter().map(|(_, node)| node.untold(u32::MAX).rows.len()).sum::<usize>();
    }
    rows
}

/// Lets the stream take so many messages, and refuse those beyond.
async fn limit(harness: &Harness, messages: i64) {
    let config = harness.js.get_stream(streams::HISTORY).await.unwrap().cached_info().config.clone();
    let config = StreamConfig { discard: DiscardPolicy::New, max_messages: messages, ..config };
    harness.js.update_stream(config).await.unwrap();
}

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[tokio::test]
async fn each_row_arrives_and_a_killed_or_stopped_worker_changes_nothing() {
    let mut harness = Harness::start().await;
    let mut fleet = Fleet::new();
    let worker = harness.worker(8);
    harness.known(8).await;
    fleet.report(&mut harness, &NODES, 0..250).await;
    arrive(&harness, &fleet.rows).await;
    fleet.report(&mut harness, &NODES, 250..400).await;
    worker.kill().await;

    let worker = harness.worker(8);
    assert_eq!(harness.known(8).await, harness.truth());
    arrive(&harness, &fleet.rows).await;
    // The last minute is not over yet.
    let now_s = u64::try_from((clock::unix_ms() - fleet.begin_ms) / 1_000).unwrap();
    fleet.report(&mut harness, &NODES[..2], now_s..now_s + 1).await;
    assert_eq!(harness.known(8).await, harness.truth());
    worker.stop().await;
    assert_eq!(stored(&harness).await.unwrap(), fleet.rows);
    assert_eq!(unacknowledged(&harness).await, 0);
}

#[tokio::test]
async fn what_the_stream_refuses_waits_for_the_next_owner_and_the_live_view_goes_on() {
    let mut harness = Harness::start().await;
    let mut fleet = Fleet::new();
    harness.make_streams(8).await;
    limit(&harness, 1).await;
    let worker = harness.worker(8);
    fleet.report(&mut harness, &NODES, 0..400).await;
    assert_eq!(harness.known(8).await, harness.truth());
    eventually(async || {
        ensure!(!stored(&harness).await?.is_empty(), "nothing is stored");
        Ok(())
    })
    .await;
    worker.stop().await;
    // A row may be stored before its last samples came, and its acknowledgement may have come too late.
    let stored = stored(&harness).await.unwrap();
    let missing = fleet.rows.iter().filter(|(place, row)| stored.get(*place) != Some(*row)).count();
    let waiting = unacknowledged(&harness).await;
    assert!((missing..=fleet.rows.len()).contains(&waiting), "{waiting} wait, {missing} are not stored");

    let worker = harness.worker(8);
    limit(&harness, -1).await;
    arrive(&harness, &fleet.rows).await;
    assert_eq!(harness.known(8).await, harness.truth());
    worker.stop().await;
}

/// As of an older Tidemap, or of a broker that has lost its disk.
#[tokio::test]
async fn a_broker_without_the_stream_gets_one() {
    let mut harness = Harness::start().await;
    let mut fleet = Fleet::new();
    harness.make_streams(8).await;
    harness.js.delete_stream(streams::HISTORY).await.unwrap();
    let worker = harness.worker(8);
    fleet.report(&mut harness, &NODES[..1], 0..100).await;
    arrive(&harness, &fleet.rows).await;
    harness.js.delete_stream(streams::HISTORY).await.unwrap();
    let before = std::mem::take(&mut fleet.rows);
    fleet.report(&mut harness, &NODES[1..], 0..100).await;
    arrive(&harness, &fleet.rows).await;
    assert_eq!(before.len(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn the_rows_of_a_node_that_is_forgotten_at_once_arrive() {
    let mut harness = Harness::start().await;
    let mut fleet = Fleet::new();
    let worker = harness.worker(8);
    harness.known(8).await;
    fleet.report(&mut harness, &NODES, 0..200).await;
    assert_eq!(harness.known(8).await, harness.truth());
    for node in NODES {
        assert!(harness.forget(&NodeId::from_name(node).unwrap()).await);
    }
    arrive(&harness, &fleet.rows).await;
    worker.stop().await;
}
