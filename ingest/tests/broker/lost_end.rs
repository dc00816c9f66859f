//! A broker's machine loses power: messages that were not synced are gone, and their numbers are used again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::Harness;

/// More runs than a node remembers, so reading any of them again would be noticed.
const RUNS: std::ops::Range<u64> = 1..12;

#[tokio::test]
async fn an_owner_continues_where_the_log_was_cut() {
    let mut harness = Harness::start().await;
    let worker = harness.worker(1);
    harness.known(1).await;
    report_runs(&mut harness, RUNS).await;
    assert_eq!(harness.known(1).await, harness.truth());
    let on_disk = OnDisk::now(&mut harness).await;
    report_runs(&mut harness, 12..15).await;
    assert_eq!(harness.known(1).await, harness.truth());

    on_disk.lose_the_rest(&mut harness).await;
    report_runs(&mut harness, 15..22).await;
    assert_eq!(harness.known(1).await, harness.truth());
    worker.stop().await;
}

#[tokio::test]
async fn the_next_owner_reads_only_what_replaced_the_lost_end() {
    let mut harness = Harness::start().await;
    harness.make_streams(1).await;
    report_runs(&mut harness, RUNS).await;
    let on_disk = OnDisk::now(&mut harness).await;
    let first = harness.worker(1);
    report_runs(&mut harness, 12..15).await;
    assert_eq!(harness.known(1).await, harness.truth());
    first.stop().await;

    // The checkpoints were synced, but the messages with the last numbers that they contain were not.
    on_disk.lose_the_rest(&mut harness).await;
    report_runs(&mut harness, 15..22).await;
    let second = harness.worker(1);
    assert_eq!(harness.known(1).await, harness.truth());
    second.stop().await;
}

/// The one agent reports for three seconds in each run, and another node in every run.
async fn report_runs(harness: &mut Harness, runs: std::ops::Range<u64>) {
    for run in runs {
        for second in run * 3..run * 3 + 3 {
            harness.publish("unsteady", run, second).await;
            harness.publish("steady", 1, second).await;
        }
    }
}

/// The log's files as they were on disk at some moment.
struct OnDisk {
    stream: PathBuf,
    copy: tempfile::TempDir,
}

impl OnDisk {
    async fn now(harness: &mut Harness) -> Self {
        harness.broker.server.stop().await.unwrap();
        let stream = harness.broker.folder().join("jetstream/TIDEMAP/streams/TIDEMAP_0");
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&stream, copy.path());
        harness.broker.server.restart().await.unwrap();
        Self { stream, copy }
    }

    async fn lose_the_rest(self, harness: &mut Harness) {
        harness.broker.server.kill().await.unwrap();
        fs::remove_dir_all(&self.stream).unwrap();
        copy_folder(self.copy.path(), &self.stream);
        harness.broker.server.restart().await.unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if from.is_dir() {
            copy_folder(&from, &to.join(name));
        } else {
            fs::copy(&from, to.join(name)).unwrap();
        }
    }
}
