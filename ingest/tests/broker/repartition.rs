//! One partition becomes eight, and eight become thirty-two.

use tidemap_ingest::repartition;
use tidemap_service::streams;
use tidemap_wire::{PartitionCount, subject};

use crate::harness::Harness;

#[tokio::test]
async fn partitions_become_more_and_fewer_and_nothing_is_lost() {
    let mut harness = Harness::start().await;
    let mut second = 0;
    for count in [1, 8, 32, 4] {
        if second > 0 {
            let to = PartitionCount::new(count).unwrap();
            let recut = repartition::run(&harness.js, to, 1).await.unwrap().unwrap();
            assert_eq!((recut.to, recut.nodes), (count, 30));
            println!("{recut:?}");
            assert_eq!(repartition::run(&harness.js, to, 1).await.unwrap(), None);
        }
        let worker = harness.worker(count);
        harness.known(count).await;
        harness.report(30, second..second + 10).await;
        assert_eq!(harness.known(count).await, harness.truth());
        worker.stop().await;
        // No worker has read these yet.
        harness.report(30, second + 10..second + 15).await;
        harness.report_packed(30, second + 15..second + 20).await;
        second += 20;
    }
}

#[tokio::test]
async fn a_running_worker_prevents_a_repartition() {
    let harness = Harness::start().await;
    let worker = harness.worker(8);
    harness.known(8).await;
    let refused = repartition::run(&harness.js, PartitionCount::new(16).unwrap(), 1).await.unwrap_err();
    assert!(refused.to_string().contains("stop all workers"), "{refused}");
    worker.stop().await;
}

#[tokio::test]
async fn no_worker_starts_before_a_change_is_finished() {
    let harness = Harness::start().await;
    harness.make_streams(8).await;
    let marks = harness.js.get_key_value("TIDEMAP_CHECKPOINTS").await.unwrap();
    marks.put("change", r#"{"from":8,"to":32,"kept":false}"#.into()).await.unwrap();
    let refused = harness.worker(32).ended().await.unwrap_err().to_string();
    assert!(refused.contains("tidemap repartition"), "{refused}");
    let wrong = repartition::run(&harness.js, PartitionCount::new(16).unwrap(), 1).await.unwrap_err();
    assert!(wrong.to_string().contains("a change to 32 was begun"), "{wrong}");
    repartition::run(&harness.js, PartitionCount::new(32).unwrap(), 1).await.unwrap().unwrap();
    let worker = harness.worker(32);
    harness.known(32).await;
    worker.stop().await;
}

#[tokio::test]
async fn streams_of_an_older_version_are_upgraded_for_packs() {
    let mut harness = Harness::start().await;
    harness.make_streams(4).await;
    harness.report(10, 0..2).await;
    for partition in PartitionCount::new(4).unwrap().all() {
        let stream = harness.js.get_stream(streams::name(partition)).await.unwrap();
        let mut config = stream.cached_info().config.clone();
        config.subjects.retain(|subject| subject.contains(".sample."));
        assert_eq!(config.subjects.len(), 64);
        harness.js.update_stream(config).await.unwrap();
    }
    assert_eq!(streams::count(&harness.js).await.unwrap(), Some(4));
    let worker = harness.worker(4);
    harness.known(4).await;
    let stream = harness.js.get_stream("TIDEMAP_0").await.unwrap();
    assert!(stream.cached_info().config.subjects.contains(&subject::packs_of("4".parse().unwrap())));
    assert_eq!(streams::count(&harness.js).await.unwrap(), Some(4));
    harness.report_packed(10, 2..4).await;
    assert_eq!(harness.known(4).await, harness.truth());
    worker.stop().await;
}
