//! A limit of the size of files (`ulimit -f`): the system's signal about it ends no program.

use std::{fs::File, process::Stdio, time::Duration};

use anyhow::ensure;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::get,
    port::free_port,
    process::{Tidemap, tidemap},
};
use tokio::process::Command;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// `tidemap` in a shell that allows files of this many blocks of 512 bytes.
fn limited(blocks: u32) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(tidemap().unwrap());
    shell
}

#[tokio::test]
async fn a_spool_that_reaches_the_limit_is_left_and_sampling_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let args = [
        "agent",
        "--interval",
        "0.25",
        "--nats-url",
        "nats://127.0.0.1:1",
        "--spool",
        spool.to_str().unwrap(),
    ];
    let mut agent = Tidemap::start_by(limited(8), &args).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        ensure!(agent.log().contains("samples wait in memory alone"), "{}", agent.log());
        Ok(())
    })
    .await
    .unwrap();
    assert!(agent.log().contains("File too large"), "{}", agent.log());
    assert_eq!(agent.terminate().await.unwrap().code(), Some(0), "{}", agent.log());
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = || File::create(dir.path().join("out")).unwrap();
    for args in [&["agent", "--explain"][..], &["agent", "--dry-run"], &["up", "--help"]] {
        let mut command = limited(0);
        command.args(args).stdout(file()).stderr(Stdio::piped());
        let ended = command.spawn().unwrap().wait_with_output().await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((ended.status.code(), errors.len()), (Some(1), 1), "{args:?}: {said}");
        assert!(errors[0].contains("cannot write to standard output: File too large"), "{said}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let broker = TestBroker::start().await.unwrap();
    let key = broker.folder().join("keys/service.nk");
    let metrics = format!("127.0.0.1:{}", free_port().unwrap());
    let args = ["ingest", "--metrics", &metrics, "--nats-url", &broker.url, "--creds", key.to_str().unwrap()];
    let mut worker = Tidemap::start_by(limited(0), &args).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let text = get(format!("http://{metrics}/metrics")).await?.body;
        ensure!(text.contains("tidemap_ingest_partitions 8"), "{text}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(worker.log(), "");
    assert_eq!(worker.terminate().await.unwrap().code(), Some(0));
}
