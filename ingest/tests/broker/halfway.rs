//! A repartitioning that is killed half-way is finished by the next worker.

use async_nats::jetstream::stream;
use futures_util::future::join_all;
use tidemap_ingest::repartition;
use tidemap_wire::PartitionCount;

use tidemap_testkit::is_long;

use crate::{
    harness::{Harness, until},
    proxy::Proxy,
};

/// A kind of request, and after how many of them the change from two partitions to four is killed.
const STEPS: [(&str, usize); 11] = [
    // The marker is written; the old streams are closed.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 1),
    ("STREAM.UPDATE", 1),
    ("STREAM.UPDATE", 2),
    // The first part is written, then some, then all, and then the marker says so.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 1),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 200),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 256),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 2),
    // The old streams are deleted, the new ones created.
    ("STREAM.DELETE", 1),
    ("STREAM.DELETE", 2),
    ("STREAM.CREATE", 3),
    // The marker is removed.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 3),
];

#[tokio::test]
async fn a_change_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    let steps = STEPS.iter().skip(if is_long() { 0 } else { 1 }).step_by(if is_long() { 1 } else { 4 });
    join_all(steps.map(|(kind, count)| killed_after(kind, *count))).await;
}

async fn killed_after(kind: &'static str, count: usize) {
    let mut harness = Harness::start().await;
    let first = harness.worker(2);
    harness.known(2).await;
    harness.report(20, 0..5).await;
    assert_eq!(harness.known(2).await, harness.truth());
    first.stop().await;
    harness.report(20, 5..10).await;

    let proxy = Proxy::until(&harness, kind, count).await;
    let js =
        tidemap_testkit::broker::jetstream(proxy.access(&harness).connect("killed", None).await.unwrap());
    let to = PartitionCount::new(4).unwrap();
    tokio::select! {
        biased;
        // The last request has passed. A run that has waited for its answer in vain ends, too.
        () = proxy.ended() => {}
        // The request has not come.
        ended = repartition::run(&js, to, 1) => panic!("{kind} {count} never came: {ended:?}"),
    }
    drop(js);
    // If everything was done and only the answer was missing, nothing is left to do.
    let again = repartition::run(&harness.js, to, 1).await.unwrap();
    assert_eq!(again.is_none(), (kind, count) == STEPS[10], "{kind} {count}: {again:?}");
    let second = harness.worker(4);
    assert_eq!(harness.known(4).await, harness.truth(), "{kind} {count}");
    harness.report(20, 10..12).await;
    assert_eq!(harness.known(4).await, harness.truth(), "{kind} {count}");
    second.stop().await;
}

#[tokio::test]
async fn the_next_worker_creates_the_streams_that_one_left_out() {
    // The bucket of checkpoints is the first, then come four streams, and the bucket of leases is the last.
    join_all([1, 3, 5].map(goes_on_after)).await;
}

async fn goes_on_after(made: usize) {
    let mut harness = Harness::start().await;
    let proxy = Proxy::until(&harness, "STREAM.CREATE", made).await;
    let first = harness.worker_by(proxy.access(&harness), harness.config(4));
    proxy.ended().await;
    first.kill().await;
    until(async || Ok(harness.streams().await?.len() == made)).await;
    let second = harness.worker(4);
    harness.known(4).await;
    harness.report(10, 0..3).await;
    assert_eq!(harness.known(4).await, harness.truth());
    assert_eq!(harness.streams().await.unwrap().len(), 7);
    second.stop().await;
}

#[tokio::test]
async fn a_worker_waits_until_the_broker_can_create_all_streams() {
    let mut harness = Harness::start().await;
    // This stream captures a subject that the last partition's stream needs.
    let subjects = vec!["tidemap.v1.sample.3.*".to_owned()];
    let config = stream::Config { name: "OTHER".to_owned(), subjects, ..stream::Config::default() };
    harness.js.create_stream(config).await.unwrap();
    let worker = harness.worker(4);
    until(async || Ok(harness.streams().await?.contains(&"TIDEMAP_2".to_owned()))).await;
    // After this many requests it must have been refused.
    for _ in 0..100 {
        assert!(!harness.streams().await.unwrap().contains(&"TIDEMAP_3".to_owned()));
    }
    harness.js.delete_stream("OTHER").await.unwrap();
    harness.known(4).await;
    harness.report(10, 0..3).await;
    assert_eq!(harness.known(4).await, harness.truth());
    worker.stop().await;
}
