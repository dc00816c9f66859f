//! What is killed half-way is finished by whoever comes next.

use async_nats::jetstream::{self, stream};
use futures_util::future::join_all;
use tidemap_ingest::repartition;
use tidemap_wire::PartitionCount;

use crate::{
    fleet::{Fleet, is_long, until},
    proxy::Proxy,
};

/// A kind of request, and after how many of it the change of two partitions to four is killed.
const STEPS: [(&str, usize); 11] = [
    // Begun; the old streams closed.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 1),
    ("STREAM.UPDATE", 1),
    ("STREAM.UPDATE", 2),
    // The first part kept, some of them, all of them, and that written down.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 1),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 200),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.s.", 256),
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 2),
    // The old streams gone, the new ones made.
    ("STREAM.DELETE", 1),
    ("STREAM.DELETE", 2),
    ("STREAM.CREATE", 3),
    // Crossed off.
    ("PUB $KV.TIDEMAP_CHECKPOINTS.change", 3),
];

#[tokio::test]
async fn a_change_that_is_killed_after_any_step_is_finished_by_the_next_run() {
    let steps = STEPS.iter().skip(if is_long() { 0 } else { 1 }).step_by(if is_long() { 1 } else { 4 });
    join_all(steps.map(|(kind, count)| killed_after(kind, *count))).await;
}

async fn killed_after(kind: &'static str, count: usize) {
    let mut fleet = Fleet::start().await;
    let first = fleet.worker(2);
    fleet.known(2).await;
    fleet.report(20, 0..5).await;
    assert_eq!(fleet.known(2).await, fleet.truth());
    first.stop().await;
    fleet.report(20, 5..10).await;

    let proxy = Proxy::until(&fleet, kind, count).await;
    let js = jetstream::new(proxy.access(&fleet).connect("killed", None).await.unwrap());
    let to = PartitionCount::new(4).unwrap();
    tokio::select! {
        ended = repartition::run(&js, to, 1) => panic!("{kind} {count} never came: {ended:?}"),
        () = proxy.ended() => {}
    }
    drop(js);
    // When all was done but to hear that it was, there is nothing left to do.
    let again = repartition::run(&fleet.js, to, 1).await.unwrap();
    assert_eq!(again.is_none(), (kind, count) == STEPS[10], "{kind} {count}: {again:?}");
    let second = fleet.worker(4);
    assert_eq!(fleet.known(4).await, fleet.truth(), "{kind} {count}");
    fleet.report(20, 10..12).await;
    assert_eq!(fleet.known(4).await, fleet.truth(), "{kind} {count}");
    second.stop().await;
}

#[tokio::test]
async fn what_a_worker_has_not_made_of_the_streams_the_next_one_makes() {
    // The bucket of checkpoints is the first, then come four streams, and the bucket of leases is the last.
    join_all([1, 3, 5].map(goes_on_after)).await;
}

async fn goes_on_after(made: usize) {
    let mut fleet = Fleet::start().await;
    let proxy = Proxy::until(&fleet, "STREAM.CREATE", made).await;
    let first = fleet.worker_by(proxy.access(&fleet), fleet.config(4));
    proxy.ended().await;
    first.kill().await;
    until(async || Ok(fleet.streams().await?.len() == made)).await;
    let second = fleet.worker(4);
    fleet.known(4).await;
    fleet.report(10, 0..3).await;
    assert_eq!(fleet.known(4).await, fleet.truth());
    assert_eq!(fleet.streams().await.unwrap().len(), 6);
    second.stop().await;
}

#[tokio::test]
async fn a_worker_waits_for_a_broker_that_cannot_make_all_streams_yet() {
    let mut fleet = Fleet::start().await;
    // What this one takes is in the way of the last partition's.
    let subjects = vec!["tidemap.v1.sample.3.*".to_owned()];
    let config = stream::Config { name: "OTHER".to_owned(), subjects, ..stream::Config::default() };
    fleet.js.create_stream(config).await.unwrap();
    let worker = fleet.worker(4);
    until(async || Ok(fleet.streams().await?.contains(&"TIDEMAP_2".to_owned()))).await;
    // It has been refused when so much has been asked and answered since.
    for _ in 0..100 {
        assert!(!fleet.streams().await.unwrap().contains(&"TIDEMAP_3".to_owned()));
    }
    fleet.js.delete_stream("OTHER").await.unwrap();
    fleet.known(4).await;
    fleet.report(10, 0..3).await;
    assert_eq!(fleet.known(4).await, fleet.truth());
    worker.stop().await;
}
