//! What an operator does in a year: starts again, moves, saves, restores, looks for what is wrong, upgrades.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod backup;
mod doctor;
mod names;
mod nodes;
mod tokens;
mod upgrade;

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::ensure;
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, clean, tidemap},
};
use tidemap_wire::{Status, http::NodeJson};
use tokio::process::Command;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command to its end.
async fn ran(args: &[&str]) -> Output {
    let mut command = Command::new(tidemap().unwrap());
    clean(&mut command);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

/// What a command has printed and said, if it has succeeded.
async fn done(args: &[&str]) -> String {
    let output = ran(args).await;
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).join("");
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

/// How the broker of a data folder is reached.
fn endpoint(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("endpoint")).unwrap()
}

/// Enrolls a node; returns its key.
async fn enrolled(dir: &Path, node: &str) -> PathBuf {
    done(&["enroll", node, "--data-dir", text(dir)]).await;
    dir.join(format!("keys/agents/{node}.nk"))
}

/// Starts an agent.
fn agent(node: &str, url: &str, key: &Path, more: &[&str]) -> Tidemap {
    agent_of(&tidemap().unwrap(), node, url, key, more)
}

/// The same of another version.
fn agent_of(program: &Path, node: &str, url: &str, key: &Path, more: &[&str]) -> Tidemap {
    let args = ["agent", "--node", node, "--nats-url", url, "--creds", text(key), "--interval", "0.25"];
    Tidemap::start_by(Command::new(program), &[&args, more].concat()).unwrap()
}

/// Waits until a node has this status.
async fn becomes(url: &str, node: &str, status: Status, log: &dyn Fn() -> String) {
    let is_so = async || {
        let found: NodeJson = get_json(format!("{url}/api/nodes/{node}")).await?;
        ensure!(found.status == status, "{node}: {:?}", found.status);
        Ok(())
    };
    let became = eventually(EVENT_TIMEOUT, is_so).await;
    became.map_err(|error| format!("{error:#}: {}", log())).unwrap();
}
