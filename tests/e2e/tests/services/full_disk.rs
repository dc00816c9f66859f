//! The broker's disk is full for a while: it is said, and it heals by itself.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::ensure;
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, tidemap},
};
use tidemap_wire::http::NodeJson;
use tokio::process::Command;

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until the host's own node is online, with a report of the last two seconds.
async fn measured(url: &str) {
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        ensure!(nodes.len() == 1 && nodes[0].age_ms < 2_000, "{nodes:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_disk_that_was_full_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().to_str().unwrap();
    // A disk of its own, which no other process sees.
    let script = format!("mount -t tmpfs -o size=64m tmpfs {disk} && exec \"$0\" \"$@\"");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script]).arg(tidemap().unwrap());
    let data_dir = format!("{disk}/data");
    let args = ["up", "--http", "127.0.0.1:0", "--data-dir", &data_dir];
    let mut up = Tidemap::start_by(unshare, &args).unwrap();
    let url = up.url().await.unwrap();
    measured(&url).await;

    let inside = PathBuf::from(format!("/proc/{}/root{disk}", up.pid()));
    let rest = inside.join("rest");
    let mut file = File::create(&rest).unwrap();
    let full = (0..).find_map(|_| file.write_all(&[0; 65_536]).err()).unwrap();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        ensure!(nodes.iter().all(|node| node.age_ms > 5_000), "{nodes:?}");
        ensure!(up.log().contains("the broker's disk is full"), "{}", up.log());
        Ok(())
    })
    .await
    .unwrap();

    drop(file);
    std::fs::remove_file(&rest).unwrap();
    measured(&url).await;
    eventually(EVENT_TIMEOUT, || async {
        ensure!(up.log().contains("has room again"), "{}", up.log());
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(up.terminate().await.unwrap().code(), Some(0), "{}", up.log());
}
