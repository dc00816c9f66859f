//! Invites where brokers trust an operator's signatures: an enroller of its own signs, and brokers need not
//! be asked.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use tidemap_testkit::{eventually, process::Tidemap};
use tokio::process::Command;

use crate::{
    invites::{agent, is_online, run},
    operator::start_broker,
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_enroller_signs_for_the_keys_of_hosts_that_join() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let operator = path("operator");
    assert_eq!(run(&["operator", "init", &operator]).await.code, Some(0));
    let (_broker, nats) = start_broker(Path::new(&operator), &folder.path().join("broker")).await;
    let service = format!("{operator}/creds/service.creds");
    let with_key = ["--nats-url", &nats, "--creds", &service];
    let _ingest = Tidemap::start(&[&["ingest"], &with_key[..]].concat()).unwrap();
    let api = Tidemap::start(&[&["api", "--http", "127.0.0.1:0"], &with_key[..]].concat()).unwrap();
    let url = eventually(EVENT_TIMEOUT, async || {
        let log = api.log();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        url.with_context(|| format!("no address: {log}"))
    });
    let url = url.await.unwrap();
    // An image may name a data folder in its environment: the operator's counts.
    let both = run(&["invites", "--operator", &operator, "--data-dir", &path("none")]).await;
    assert_eq!(both.code, Some(0), "{}", both.err);
    let of = ["--operator", &operator];
    let missing = run(&[&["invite"], &of[..]].concat()).await;
    assert!(missing.code == Some(64) && missing.err.contains("--api-url"), "{}", missing.err);
    let args = ["invite", "--operator", &operator, "--api-url", &url, "--uses", "2", "--label", "site=fra"];
    let line = run(&args).await.out;
    let word = line.trim().split(' ').next_back().unwrap();
    let (there, before) = (path("there"), fs::read(format!("{operator}/broker/nats.conf")).unwrap());
    let join = ["agent", "join", &url, word, "--node", "edge", "--config-dir", &there];

    // The host waits for an enroller, which comes a little later.
    let enroller = ["enroller", "--operator", &operator, "--nats-url", &nats];
    let mut joining = Tidemap::start(&join).unwrap();
    says(&joining, "no enroller runs").await;
    let mut enrolling = Tidemap::start(&enroller).unwrap();
    assert!(joining.ended().await.unwrap().success(), "{}\n{}", joining.log(), enrolling.log());
    let creds = fs::read_to_string(Path::new(&there).join("agent.nk")).unwrap();
    assert!(creds.contains("NATS USER JWT") && creds.contains("USER NKEY SEED"), "{creds}");
    assert_eq!(fs::read(format!("{operator}/broker/nats.conf")).unwrap(), before, "brokers need nothing new");
    let first = agent(Path::new(&there));
    is_online(&url, "edge", &[("site", "fra")]).await;

    // A node that is revoked in another copy of the folder.
    let (copy, kept) = (path("copy"), path("gone.creds"));
    assert!(Command::new("cp").args(["-r", &operator, &copy]).status().await.unwrap().success());
    let of_copy = ["--operator", &copy, "--nats-url", &nats];
    assert_eq!(run(&[&["enroll", "gone"], &of_copy[..]].concat()).await.code, Some(0));
    fs::copy(format!("{copy}/agents/gone.creds"), &kept).unwrap();
    assert_eq!(run(&[&["revoke", "gone"], &of_copy[..]].concat()).await.code, Some(0));

    // The same name with another key: refused, and with an invite that allows it the first key ends.
    let other = path("other");
    let again = ["agent", "join", &url, word, "--node", "edge", "--config-dir", &other];
    let refused = run(&again).await;
    assert!(refused.code == Some(1) && refused.err.contains("enrolled with another key"), "{}", refused.err);
    let line = run(&["invite", "--operator", &operator, "--api-url", &url, "--rejoin"]).await.out;
    let word = line.trim().split(' ').next_back().unwrap();
    // Also when the nothing can be published at first, and the enroller is another one when they can.
    let (creds, away) = (format!("{operator}/creds/sys.creds"), path("away"));
    fs::rename(&creds, &away).unwrap();
    let again = ["agent", "join", &url, word, "--node", "edge", "--config-dir", &other];
    let mut rejoining = Tidemap::start(&again).unwrap();
    says(&enrolling, "nodes cannot join").await;
    enrolling.kill().await.unwrap();
    fs::rename(&away, &creds).unwrap();
    let _enrolling = Tidemap::start(&enroller).unwrap();
    assert!(rejoining.ended().await.unwrap().success(), "{}", rejoining.log());
    refuses(&first).await;
    let gone = Tidemap::start(&["agent", "--creds", &kept, "--nats-url", &nats, "--node", "gone"]).unwrap();
    refuses(&gone).await;
    let second = agent(Path::new(&other));
    is_online(&url, "edge", &[]).await;

    // Its key was never here; it is revoked by its name, and its name can be enrolled again.
    let revoked = run(&["revoke", "edge", "--operator", &operator, "--nats-url", &nats]).await;
    assert!(
        revoked.code == Some(0) && revoked.err.contains("edge is revoked; 1 broker updated"),
        "{}",
        revoked.err
    );
    refuses(&second).await;
    let enrolled = run(&["enroll", "edge", "--operator", &operator, "--nats-url", &nats]).await;
    assert_eq!(enrolled.code, Some(0), "{}", enrolled.err);
}

async fn refuses(agent: &Tidemap) {
    says(agent, "refuses this key").await;
}

async fn says(process: &Tidemap, text: &str) {
    eventually(EVENT_TIMEOUT, async || {
        let log = process.log();
        ensure!(log.contains(text), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}
