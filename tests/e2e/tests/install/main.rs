//! Tidemap installed as `cargo xtask dist` hands it out: on fresh Debian systems that boot.
//!
//! These tests need root and what `dist` has made, whose folder `$TIDEMAP_DIST` names; without them they are
//! skipped, and say so.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod chart;
mod emulated;
mod image;
mod invited;
mod left;
mod packages;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_testkit::{
    booted::{self, Host},
    eventually,
};
use tidemap_wire::{Status, http::NodeJson};

/// For a node to be online once its agent runs.
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// The folder with what `cargo xtask dist` has made; `None`, and a line that says so, where these tests
/// cannot run.
fn dist() -> Option<PathBuf> {
    let named = std::env::var_os("TIDEMAP_DIST").filter(|path| !path.is_empty());
    let dist =
        named.ok_or_else(|| "`cargo xtask dist` has made nothing (TIDEMAP_DIST is not set)".to_owned());
    match dist.and_then(|dist| booted::missing().map_or(Ok(dist), Err)) {
        Ok(dist) => Some(dist.into()),
        Err(why) => {
            eprintln!("\n*** SKIPPED: nothing is installed anywhere: {why} ***\n");
            None
        }
    }
}

/// The one file in `dist` whose name begins and ends so.
fn made(dist: &Path, begin: &str, end: &str) -> anyhow::Result<PathBuf> {
    let files = std::fs::read_dir(dist).with_context(|| dist.display().to_string())?;
    let found: Vec<PathBuf> = files
        .flatten()
        .filter(|file| {
            file.file_name().to_str().is_some_and(|name| name.starts_with(begin) && name.ends_with(end))
        })
        .map(|file| file.path())
        .collect();
    ensure!(found.len() == 1, "{} has these {begin}*{end}: {found:?}", dist.display());
    Ok(found[0].clone())
}

/// Returns once the API at `url`, asked on this host, says that the node is online and sends.
async fn is_online(host: &Host, url: &str, node: &str) -> anyhow::Result<()> {
    let ask = format!("curl -fsS {url}/api/nodes/{node}");
    eventually(EVENT_TIMEOUT, || async {
        let node: NodeJson = serde_json::from_str(&host.must(&ask).await?)?;
        ensure!(node.status == Status::Online, "{:?}", node.status);
        Ok(())
    })
    .await
}

/// Command lines of Tidemap's on a host, and of its broker's.
async fn processes(host: &Host) -> anyhow::Result<String> {
    let all = "for process in /proc/[0-9]*; do tr '\\0' ' ' <$process/cmdline; echo; done";
    host.must(&format!("{{ {all}; }} 2>/dev/null | grep -E '[t]idemap|[n]ats-server' || true")).await
}
