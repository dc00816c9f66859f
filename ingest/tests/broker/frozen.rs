//! Partitions are assigned again while a worker's process is frozen, which others cannot tell from a dead
//! one.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use tidemap_ingest::repartition;
use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_wire::PartitionCount;

use crate::harness::{Harness, TIMEOUT};
use tidemap_testkit::{is_long, within};

#[tokio::test]
async fn a_worker_frozen_during_a_repartition_does_no_harm_and_ends() {
    let mut harness = Harness::start().await;
    let mut frozen = Process::start(&harness, 4);
    harness.known(4).await;
    harness.report(20, 0..5).await;
    assert_eq!(harness.known(4).await, harness.truth());
    frozen.signal("STOP");
    harness.report(20, 5..10).await;
    let to = PartitionCount::new(8).unwrap();
    let recut = repartition::run(&harness.js, to, 1).await.unwrap().unwrap();
    assert_eq!((recut.from, recut.to, recut.nodes), (4, 8, 20));
    if is_long() {
        // It still believes in its leases, and learns only now that the partitions have changed.
        frozen.signal("CONT");
        let words = frozen.stderr_until_end().await;
        assert!(words.contains("has been divided into 8 meanwhile"), "{words}");
    } else {
        frozen.0.kill().unwrap();
    }
    let next = harness.worker(8);
    harness.report(20, 10..12).await;
    assert_eq!(harness.known(8).await, harness.truth());
    next.stop().await;
}

/// A worker as a process of its own, killed on drop.
struct Process(Child, #[expect(dead_code, reason = "it is dropped after the child")] ChildWatchdog);

impl Process {
    fn start(harness: &Harness, partitions: u16) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tidemap-ingest"));
        let child = Command::new(program)
            .args([
                "--partitions",
                &partitions.to_string(),
                "--nats-url",
                &harness.access.nats_url,
                "--creds",
            ])
            .arg(harness.access.creds.as_ref().unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.unwrap();
        let watchdog = ChildWatchdog::of_process(child.id()).unwrap();
        Self(child, watchdog)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.0.id())]).status();
        assert!(status.unwrap().success());
    }

    /// Its error output until it has ended, which it must do with the code for a wrong command line.
    async fn stderr_until_end(&mut self) -> String {
        let mut said = self.0.stderr.take().unwrap();
        let reading = tokio::task::spawn_blocking(move || std::io::read_to_string(&mut said).unwrap());
        // It closes its output when it ends.
        let words = within(TIMEOUT, reading).await.unwrap().unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), Some(64), "{words}");
        words
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
