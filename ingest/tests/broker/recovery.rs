//! The state that the next owner restores.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::stream::DiscardPolicy;
use tidemap_ingest::{
    Config,
    internals::{Checkpoint, CheckpointWriter, Content, LogPosition, Part, WriteRequest, load_checkpoints},
};
use tidemap_service::streams;
use tidemap_testkit::{eventually, machine::scaled, within};
use tidemap_wire::{NodeId, PartitionCount, Slot};
use tokio::{sync::mpsc, time::Instant};

use crate::harness::{Harness, TIMEOUT};

#[tokio::test]
async fn the_next_owner_needs_neither_the_one_before_nor_its_log() {
    let mut harness = Harness::start().await;
    let first = harness.worker(8);
    harness.known(8).await;
    harness.report(20, 0..40).await;
    assert_eq!(harness.known(8).await, harness.truth());
    first.stop().await;
    // The log is gone, but the checkpoints are not.
    for partition in PartitionCount::default().all() {
        harness.js.delete_stream(streams::name(partition)).await.unwrap();
    }
    let second = harness.worker(8);
    assert_eq!(harness.known(8).await, harness.truth());
    harness.report(20, 40..50).await;
    assert_eq!(harness.known(8).await, harness.truth());
    second.stop().await;
}

/// The bounds of all logs, once each has one.
async fn bounds(harness: &Harness) -> anyhow::Result<Vec<i64>> {
    let mut bounds = Vec::new();
    for partition in PartitionCount::default().all() {
        let stream = harness.js.get_stream(streams::name(partition)).await?;
        let bound = stream.cached_info().config.max_bytes;
        anyhow::ensure!(bound > 0, "{partition} is not bounded");
        bounds.push(bound);
    }
    Ok(bounds)
}

#[tokio::test]
async fn a_broker_that_has_lost_everything_gets_the_given_budget_again() {
    let harness = Harness::start().await;
    let disk_budget = Some("500MB".parse().unwrap());
    let worker = harness.worker_by(harness.access.clone(), Config { disk_budget, ..harness.config(8) });
    let first = eventually(TIMEOUT, || bounds(&harness)).await.unwrap();
    let logs = PartitionCount::default().all().map(streams::name);
    let buckets = [streams::LEASES, streams::CHECKPOINTS].map(streams::bucket_stream);
    for name in logs.chain(buckets) {
        harness.js.delete_stream(name).await.unwrap();
    }
    assert_eq!(eventually(TIMEOUT, || bounds(&harness)).await.unwrap(), first);
    worker.stop().await;
}

#[tokio::test]
async fn streams_are_bounded_whoever_creates_them() {
    let harness = Harness::start().await;
    // As an older worker makes them.
    harness.make_streams(8).await;
    let workers = [harness.worker(8), harness.worker(8)];
    let bounds = || bounds(&harness);
    let first = eventually(TIMEOUT, bounds).await.unwrap();
    assert!(first.iter().all(|bound| *bound == first[0]), "{first:?}");
    harness.js.delete_stream("TIDEMAP_3").await.unwrap();
    let again = eventually(TIMEOUT, bounds).await.unwrap();
    // Sizes are rounded.
    assert!(again.iter().all(|bound| bound.abs_diff(first[0]) < 1_000), "{first:?}, {again:?}");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_forgotten_node_stays_forgotten_although_the_log_has_its_reports() {
    let mut harness = Harness::start().await;
    let first = harness.worker(8);
    harness.known(8).await;
    harness.report(5, 0..5).await;
    harness.known(8).await;
    let gone = NodeId::from_name("node-3").unwrap();
    assert!(harness.forget(&gone).await);
    first.stop().await;
    let second = harness.worker(8);
    let (mut expected, _) = harness.truth();
    expected.remove(&gone);
    // Its samples are no longer counted, so `known` cannot wait for them.
    let snapshot_of_all = harness.settled(8).await;
    assert_eq!(snapshot_of_all, expected);
    second.stop().await;
    // No report has arrived meanwhile, so the third owner gets only what the second one wrote without having
    // read anything.
    let third = harness.worker(8);
    assert_eq!(harness.settled(8).await, expected);
    third.stop().await;
}

#[tokio::test]
async fn a_replaced_owner_cannot_overwrite_its_successors_checkpoints() {
    let harness = Harness::start().await;
    harness.make_streams(8).await;
    let bucket = harness.js.get_key_value(streams::CHECKPOINTS).await.unwrap();
    let slot = Slot::of(&NodeId::from_name("a").unwrap());
    let part = Part::all(slot, 0).next().unwrap();
    let writes = async |epoch: u64, revisions| {
        let (orders, todo) = mpsc::channel(1);
        let value = Checkpoint::encode(epoch, LogPosition::default(), std::iter::empty());
        orders.send(WriteRequest::Put(vec![(part, value.into())])).await.unwrap();
        drop(orders);
        CheckpointWriter::new(bucket.clone(), epoch, revisions).run(todo).await
    };
    let stream = streams::name(PartitionCount::default().of(slot));
    let before = load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap();
    // The owner of epoch 5 has written and was frozen; then the owner of epoch 6 took over and has written,
    // too.
    assert_eq!(writes(5, before.revisions).await.unwrap(), 0);
    let frozen = load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap();
    assert_eq!(writes(6, frozen.revisions.clone()).await.unwrap(), 0);
    let refused = writes(5, frozen.revisions).await.unwrap_err().to_string();
    assert!(refused.contains("epoch 6"), "{refused}");
    let kept = load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap();
    assert_eq!(kept.epoch, 6);
}

#[tokio::test]
async fn a_writer_whose_task_ends_waits_for_no_answer_that_was_lost() {
    let mut harness = Harness::start().await;
    harness.make_streams(8).await;
    let bucket = harness.js.get_key_value(streams::CHECKPOINTS).await.unwrap();
    let writer = CheckpointWriter::new(bucket, 1, BTreeMap::new());
    writer.hurry.cancel();
    let (orders, todo) = mpsc::channel(64);
    let parts: Vec<Part> = Slot::all().flat_map(|slot| Part::all(slot, 0)).take(8).collect();
    for part in &parts {
        let value = Checkpoint::encode(1, LogPosition::default(), std::iter::empty());
        orders.send(WriteRequest::Put(vec![(*part, value.into())])).await.unwrap();
    }
    drop(orders);
    harness.broker.server.kill().await.unwrap();
    // Each answer has half a second; usually it would have five.
    let begun = Instant::now();
    let failed = within(Duration::from_secs(60), writer.run(todo)).await.unwrap().unwrap();
    assert!(begun.elapsed() < scaled(Duration::from_secs(25)), "{:?}", begun.elapsed());
    assert_eq!(failed, 8);
}

#[tokio::test]
async fn parts_of_an_older_division_do_not_stay() {
    let harness = Harness::start().await;
    harness.make_streams(8).await;
    let bucket = harness.js.get_key_value(streams::CHECKPOINTS).await.unwrap();
    let slot = Slot::of(&NodeId::from_name("a").unwrap());
    let stream = streams::name(PartitionCount::default().of(slot));
    for nodes in [0, 1_000, 10] {
        let revisions =
            load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap().revisions;
        let (orders, todo) = mpsc::channel(64);
        let parts: Vec<Part> = Part::all(slot, nodes).collect();
        for part in &parts {
            let value = Checkpoint::encode(1, LogPosition::default(), std::iter::empty());
            orders.send(WriteRequest::Put(vec![(*part, value.into())])).await.unwrap();
        }
        orders.send(WriteRequest::Complete(parts.clone())).await.unwrap();
        drop(orders);
        assert_eq!(CheckpointWriter::new(bucket.clone(), 1, revisions).run(todo).await.unwrap(), 0);
        let kept = load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap();
        assert_eq!(kept.revisions.keys().copied().collect::<Vec<_>>(), parts);
    }
}

#[tokio::test]
async fn a_replaced_owner_cannot_remove_its_successors_checkpoints() {
    let harness = Harness::start().await;
    harness.make_streams(8).await;
    let bucket = harness.js.get_key_value(streams::CHECKPOINTS).await.unwrap();
    let slot = Slot::of(&NodeId::from_name("a").unwrap());
    let stream = streams::name(PartitionCount::default().of(slot));
    let (whole, halves): (Vec<Part>, Vec<Part>) =
        (Part::all(slot, 0).collect(), Part::all(slot, 200).collect());
    let load = async || load_checkpoints(&harness.js, &stream, &Content::Closed, &[slot]).await.unwrap();
    let writes = async |epoch: u64, revisions, parts: &[Part], complete: &[Part]| {
        let (orders, todo) = mpsc::channel(2);
        let value = Checkpoint::encode(epoch, LogPosition::default(), std::iter::empty());
        let values = parts.iter().map(|part| (*part, value.clone().into())).collect();
        orders.send(WriteRequest::Put(values)).await.unwrap();
        orders.send(WriteRequest::Complete(complete.to_vec())).await.unwrap();
        drop(orders);
        CheckpointWriter::new(bucket.clone(), epoch, revisions).run(todo).await
    };
    assert_eq!(writes(5, load().await.revisions, &halves, &halves).await.unwrap(), 0);
    let frozen = load().await.revisions;
    assert_eq!(writes(6, frozen.clone(), &halves, &halves).await.unwrap(), 0);
    // The frozen owner has one part instead of two, and takes the two for leftovers of its own.
    assert_eq!(writes(5, frozen, &[], &whole).await.unwrap(), 0);
    assert_eq!(load().await.revisions.into_keys().collect::<Vec<_>>(), halves);
}

#[tokio::test]
async fn messages_lost_by_the_log_are_counted_and_averages_marked_partial() {
    let mut harness = Harness::start().await;
    let first = harness.worker(1);
    harness.known(1).await;
    harness.report(4, 0..5).await;
    harness.known(1).await;
    first.stop().await;
    // No worker reads these 40 reports, and the log keeps the newest 10.
    harness.report(4, 5..15).await;
    let name = streams::name(PartitionCount::new(1).unwrap().all().next().unwrap());
    let mut config = harness.js.get_stream(&name).await.unwrap().cached_info().config.clone();
    config.max_messages = 10;
    config.discard = DiscardPolicy::Old;
    config.discard_new_per_subject = false;
    harness.js.update_stream(config.clone()).await.unwrap();
    config.max_messages = -1;
    harness.js.update_stream(config).await.unwrap();

    let second = harness.worker(1);
    let (stats, nodes) = harness.published(1, |stats| stats.total_samples == 30 && stats.lag == 0).await;
    assert_eq!(stats.refused.get("lost"), Some(&30));
    assert_eq!(nodes.iter().filter(|node| node.partial).count(), 4);
    second.stop().await;
}
