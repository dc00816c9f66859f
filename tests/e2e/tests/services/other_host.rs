//! A node on another host: the line that `tidemap enroll` prints is all that it needs.

use std::{process::Stdio, time::Duration};

use anyhow::ensure;
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    eventually,
    http::get_json,
    namespace::Namespace,
    process::{Tidemap, tidemap},
};
use tidemap_wire::{Status, http::NodeJson};

const EVENT_TIMEOUT: Duration = Duration::from_secs(15);

#[tokio::test]
async fn the_line_that_enroll_prints_starts_an_agent_on_another_host() {
    let host = Namespace::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let listen = format!("{}:0", host.here);
    let advertise = host.here.to_string();
    let args = ["up", "--http", "127.0.0.1:0", "--data-dir", data, "--listen", &listen];
    let args = [&args[..], &["--advertise", &advertise]].concat();
    let mut up = Tidemap::start_by(host.command_here(tidemap().unwrap()), &args).unwrap();
    let url = up.url().await.unwrap();
    let mut enroll = Tidemap::start(&["enroll", "edge-7", "--data-dir", data]).unwrap();
    let line = enroll.line().await.unwrap();
    assert!(line.contains("tls://") && line.contains("--nats-ca"), "{line}");

    let there = tempfile::tempdir().unwrap();
    // One program is installed there: the small one, where it has been built.
    let installed = tempfile::tempdir().unwrap();
    let whole = tidemap().unwrap();
    let small = whole.with_file_name("tidemap-agent");
    let program = if small.exists() { small } else { whole };
    println!("on PATH: {}", program.display());
    std::os::unix::fs::symlink(&program, installed.path().join(program.file_name().unwrap())).unwrap();
    let programs = installed.path().to_str().unwrap();
    let mut agent = host
        .command("bash")
        .args(["-c", &format!("cd {} && PATH={programs}:$PATH && {}", there.path().display(), exec(&line))])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let node = async || {
        let node: NodeJson = get_json(format!("{url}/api/nodes/edge-7")).await?;
        ensure!(node.status == Status::Online, "{:?}", node.status);
        let sends = node.network_tx_bytes_per_sec.is_some_and(|rate| rate.get() > 0.0);
        ensure!(sends, "its own reports at least: {node:?}");
        Ok(())
    };
    eventually(EVENT_TIMEOUT, node).await.unwrap_or_else(|error| panic!("{error:#}\n{}", up.log()));
    agent.kill().await.unwrap();

    // A client without encryption, or without trust in the authority, is refused.
    let broker = std::fs::read_to_string(folder.path().join("endpoint")).unwrap();
    let key = there.path().join("tidemap.nk");
    for url in [broker.replace("tls://", "nats://"), broker] {
        let plain = NatsArgs::new(&url, Some(&key)).connect("plain", Some("_INBOX.edge-7")).await.unwrap();
        assert!(tidemap_service::nats::reached(&plain, Duration::from_secs(2)).await.is_err(), "{url}");
    }
}

/// The line with its last command in place of the shell, so that ending the shell ends the agent.
fn exec(line: &str) -> String {
    line.replace("&& $(command", "&& exec $(command")
}
