//! Invites where brokers trust an operator's signatures: an enroller of its own signs, and brokers need not
//! be asked.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, ensure};
use tidemap_testkit::{eventually, process::Tidemap};

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
    let joining = run(&join);
    let enrolling = async {
        let command = ["enroller", "--operator", &operator, "--nats-url", &nats];
        Tidemap::start(&command).unwrap()
    };
    let (joined, enroller) = tokio::join!(joining, enrolling);
    assert_eq!(joined.code, Some(0), "{}\n{}", joined.err, enroller.log());
    let creds = fs::read_to_string(Path::new(&there).join("agent.nk")).unwrap();
    assert!(creds.contains("NATS USER JWT") && creds.contains("USER NKEY SEED"), "{creds}");
    assert_eq!(fs::read(format!("{operator}/broker/nats.conf")).unwrap(), before, "brokers need nothing new");
    let first = agent(Path::new(&there));
    is_online(&url, "edge", &[("site", "fra")]).await;

    // The same name with another key: refused, and with an invite that allows it the first key ends.
    let other = path("other");
    let again = ["agent", "join", &url, word, "--node", "edge", "--config-dir", &other];
    let refused = run(&again).await;
    assert!(refused.code == Some(1) && refused.err.contains("enrolled with another key"), "{}", refused.err);
    let line = run(&["invite", "--operator", &operator, "--api-url", &url, "--rejoin"]).await.out;
    let word = line.trim().split(' ').next_back().unwrap();
    let rejoined = run(&["agent", "join", &url, word, "--node", "edge", "--config-dir", &other]).await;
    assert_eq!(rejoined.code, Some(0), "{}", rejoined.err);
    refuses(&first).await;
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
    eventually(EVENT_TIMEOUT, async || {
        let log = agent.log();
        ensure!(log.contains("refuses this key"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}
