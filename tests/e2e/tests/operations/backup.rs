//! A backup is made beside a fleet that runs, the folder is lost, and the fleet comes back elsewhere.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

use anyhow::ensure;
use serde_json::Value;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::connect_to_up,
    eventually,
    history::{has_stored, newest_message, publish_minutes},
    http::{get, get_json},
    process::{Tidemap, clean, tidemap},
};
use tidemap_wire::{MinuteRow, NodeId, Status, http::HistoryJson};
use tokio::process::Command;

use crate::{EVENT_TIMEOUT, agent, becomes, done, endpoint, enrolled, ran, text};

/// Minutes of an hour ago, each with other bytes.
fn rows() -> Vec<MinuteRow> {
    let first = u32::try_from(unix_ms() / 60_000).unwrap() - 60;
    let row = |number: u32| MinuteRow {
        minute: first + number,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: u64::from(number) * 1_000_003 + 1,
        tx_bytes: u64::from(number) * 77 + 5,
        ..MinuteRow::default()
    };
    (0..30).map(row).collect()
}

#[tokio::test]
async fn a_fleet_comes_back_from_a_backup_with_its_keys_its_history_and_its_silences() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("first"), root.path().join("second"));
    fs::create_dir(&first).unwrap();
    let (mut up, url) = Tidemap::up(&first, &["--node", "here"]).await.unwrap();
    let broker = endpoint(&first);
    let seeds = root.path().join("seeds");
    fs::create_dir(&seeds).unwrap();
    let mut agents = Vec::new();
    for node in ["web-01", "web-02", "gone"] {
        // On their own hosts.
        let key = seeds.join(node);
        fs::copy(enrolled(&first, node).await, &key).unwrap();
        agents.push(agent(node, &broker, &key, &[]));
    }
    for (node, agent) in ["web-01", "web-02", "gone"].iter().zip(&agents) {
        becomes(&url, node, Status::Online, &|| agent.log()).await;
    }
    assert!(agents.pop().unwrap().terminate().await.unwrap().success());
    becomes(&url, "gone", Status::Offline, &|| up.log()).await;
    let services = connect_to_up(&first).await.unwrap();
    publish_minutes(&services, &NodeId::from_name("web-01").unwrap(), &rows()).await.unwrap();
    has_stored(&services, newest_message(&services).await.unwrap()).await.unwrap();
    drop(services);
    let token = first.join("keys/api.token");
    let api = ["--url", &url, "--api-token-file", text(&token)];
    let silence = ["alerts", "silence", "--node", "gone", "--for", "2h", "--why", "moved", "--who", "tests"];
    eventually(EVENT_TIMEOUT, async || {
        let made = ran(&[&silence[..], &api].concat()).await;
        ensure!(made.status.success(), "{made:?}");
        Ok(())
    })
    .await
    .unwrap();

    let range = format!("from={}&to={}&step=1m", unix_ms() - 7_200_000, unix_ms() - 600_000);
    let history = async |url: &str| -> HistoryJson {
        get_json(format!("{url}/api/nodes/web-01/history?{range}")).await.unwrap()
    };
    let before = history(&url).await;
    assert_eq!(
        before.rx_bytes.iter().flatten().sum::<u64>(),
        rows().iter().map(|row| row.rx_bytes).sum::<u64>()
    );
    // Each node's state is written every 10 s: until then a backup has the one before.
    let backup = root.path().join("fleet.backup");
    let looks = root.path().join("looks");
    eventually(EVENT_TIMEOUT, async || {
        done(&["backup", text(&backup), "--data-dir", text(&first)]).await;
        fs::remove_dir_all(&looks).ok();
        done(&["restore", text(&backup), "--data-dir", text(&looks)]).await;
        let parts = fs::read_dir(looks.join("buckets/TIDEMAP_CHECKPOINTS"))?;
        let mut all = Vec::new();
        for part in parts {
            all.extend(fs::read(part?.path())?);
        }
        let known = |node: &str| all.windows(node.len()).any(|bytes| bytes == node.as_bytes());
        ensure!(known("gone") && known("web-02"), "not yet in a checkpoint");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);

    assert!(up.terminate().await.unwrap().success(), "{}", up.log());
    fs::remove_dir_all(&first).unwrap();
    done(&["restore", text(&backup), "--data-dir", text(&second)]).await;
    let refused = ran(&["restore", text(&backup), "--data-dir", text(&second)]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");

    let (up, url) = Tidemap::up(&second, &["--node", "here"]).await.unwrap();
    assert_eq!(endpoint(&second), broker, "agents look for it there");
    for (node, agent) in ["web-01", "web-02"].iter().zip(&agents) {
        becomes(&url, node, Status::Online, &|| format!("{}{}", agent.log(), up.log())).await;
    }
    becomes(&url, "gone", Status::Offline, &|| up.log()).await;
    eventually(EVENT_TIMEOUT, async || {
        let after: HistoryJson = get_json(format!("{url}/api/nodes/web-01/history?{range}")).await?;
        ensure!(
            (&after.rx_bytes, &after.tx_bytes) == (&before.rx_bytes, &before.tx_bytes),
            "{after:?} {before:?}"
        );
        let silences: Value = get_json(format!("{url}/api/alerts/silences")).await?;
        ensure!(silences.to_string().contains("moved"), "{silences}");
        Ok(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}: {}", up.log()));
    assert!(!second.join("buckets").exists());
    assert_eq!(get(format!("{url}/readyz")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_backup_that_would_lack_something_is_not_made_in_silence() {
    let root = tempfile::tempdir().unwrap();
    let (dir, history) = (root.path().join("data"), root.path().join("big"));
    fs::create_dir(&dir).unwrap();
    let (mut up, _) = Tidemap::up(&dir, &["--node", "here", "--history-dir", text(&history)]).await.unwrap();
    let file = root.path().join("backup");
    // Its options are known to a service manager alone.
    eventually(EVENT_TIMEOUT, async || {
        let made = ran(&["backup", text(&file), "--data-dir", text(&dir)]).await;
        ensure!(made.status.success(), "{made:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert!(up.terminate().await.unwrap().success(), "{}", up.log());
    let saved = fs::read(&file).unwrap();
    let to = [root.path().join("usual"), root.path().join("moved"), root.path().join("there")];
    let said = done(&["restore", text(&file), "--data-dir", text(&to[0])]).await;
    assert!(
        to[0].join("history/history.sqlite").is_file() && said.contains("without --history-dir"),
        "{said}"
    );
    done(&["restore", text(&file), "--data-dir", text(&to[1]), "--history-dir", text(&to[2])]).await;
    assert!(to[2].join("history.sqlite").is_file() && !to[1].join("history").exists());

    for (more, code, why) in [
        (&[][..], 1, "--without-broker"),
        (&["--without-broker", "--history-dir", text(root.path())], 64, "there is no history in it"),
    ] {
        let refused = ran(&[&["backup", text(&file), "--data-dir", text(&dir)], more].concat()).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(code) && said.contains(why), "{said}");
        assert!(fs::read(&file).unwrap() == saved, "the one of before stays");
    }
    let within = ran(&["backup", text(&dir.join("x")), "--data-dir", text(&dir), "--without-broker"]).await;
    let said = String::from_utf8_lossy(&within.stderr);
    assert!(within.status.code() == Some(64) && said.contains("is in the data folder"), "{said}");

    // Where nothing else can be written to, as in a container.
    let nowhere = root.path().join("nowhere");
    let mut piped = Command::new(tidemap().unwrap());
    clean(&mut piped);
    piped.args(["backup", "-", "--data-dir", text(&dir), "--without-broker"]).env("TMPDIR", &nowhere);
    let piped = piped.stdin(Stdio::null()).output().await.unwrap();
    assert!(piped.status.success(), "{piped:?}");
    let mut restore = Command::new(tidemap().unwrap());
    clean(&mut restore);
    fs::write(&file, &piped.stdout).unwrap();
    let last = root.path().join("last");
    restore.args(["restore", "-", "--data-dir", text(&last)]).env("TMPDIR", &nowhere);
    let restored = restore.stdin(fs::File::open(&file).unwrap()).output().await.unwrap();
    assert!(restored.status.success() && last.join("history/history.sqlite").is_file(), "{restored:?}");
    let left = fs::read_dir(&history).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".tmp")));
}

#[tokio::test]
async fn a_folder_that_is_not_empty_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let refused = ran(&["restore", "/no/such/backup", "--data-dir", text(folder.path())]).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");
    assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
