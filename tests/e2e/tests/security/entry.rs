//! A process whose key is refused logs one line that says what to do, and logs it once.

use std::time::Duration;

use anyhow::ensure;
use tidemap_broker::keys;
use tidemap_testkit::{broker::TestBroker, eventually, observe, process::Tidemap};
use tidemap_wire::NodeId;
use tokio::time::Instant;

use crate::EVENT_TIMEOUT;

/// For how long a refused agent's attempts are counted. Spinning would be an attempt too many, and that none
/// comes is no event.
const WATCHED: Duration = Duration::from_secs(4);

/// Waits until a process has logged these words, and returns the line.
async fn logged(process: &Tidemap, words: &str) -> String {
    eventually(EVENT_TIMEOUT, || async {
        let log = process.log();
        let line = log.lines().find(|line| line.contains(words)).map(str::to_owned);
        line.ok_or_else(|| anyhow::anyhow!("no {words:?} in {log}"))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_revoked_agent_says_so_and_tries_on_without_spinning() {
    let broker = TestBroker::start().await.unwrap();
    let agent = broker.agent("a", &[]).unwrap();
    logged(&agent, "connected to the broker").await;
    let service_seed = broker.keys.service_seed_path();
    let folder = service_seed.ancestors().nth(2).unwrap();
    let revoked = Instant::now();
    assert!(keys::revoke(folder, &NodeId::from_name("a").unwrap()).unwrap());
    assert_eq!(tidemap_broker::reload_running(folder).await.unwrap(), tidemap_broker::Reload::Confirmed);
    let line = logged(&agent, "refuses this key").await;
    println!("revoked → after {} ms: {line}", revoked.elapsed().as_millis());
    assert!(line.contains("was it revoked") && line.contains("--creds"), "{line}");

    // It keeps trying with growing pauses, and logs the refusal once.
    let broker_log = || std::fs::read_to_string(folder.join("nats-server.log")).unwrap();
    let attempts = || broker_log().matches("authentication error").count();
    eventually(EVENT_TIMEOUT, || async {
        ensure!(attempts() >= 4, "{} attempts", attempts());
        Ok(())
    })
    .await
    .unwrap();
    observe(WATCHED.saturating_sub(revoked.elapsed())).await;
    let (attempts, elapsed) = (attempts(), revoked.elapsed().as_secs_f64());
    println!("{attempts} attempts in {elapsed:.1} s");
    // The first seven waits take a tenth of a second and more; later ones approach ten seconds.
    assert!(attempts < 10 + 2 * (elapsed as usize), "{attempts} attempts in {elapsed} s");
    let log = agent.log();
    assert_eq!(
        log.lines().filter(|line| line.contains("refuse") || line.contains("violation")).count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn every_station_tells_a_wrong_key_in_one_line() {
    let broker = TestBroker::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join("stranger.nk");
    std::fs::write(&stranger, nkeys::KeyPair::new_user().seed().unwrap()).unwrap();
    let stranger = stranger.to_str().unwrap();
    for station in [
        &["ingest"][..],
        &["api", "--http", "127.0.0.1:0"],
        &["agent", "--node", "a"],
        &["simulate", "--nodes", "1"],
    ] {
        let with_key = ["--nats-url", &broker.url, "--creds", stranger];
        let process = Tidemap::start(&[station, &with_key[..]].concat()).unwrap();
        let line = logged(&process, "refuses this key").await;
        println!("{}: {line}", station[0]);
        assert!(line.contains(&broker.url) && line.contains(stranger), "{line}");
        let process = Tidemap::start(&[station, &["--nats-url", &broker.url][..]].concat()).unwrap();
        let line = logged(&process, "asks for a key").await;
        assert!(line.contains("--creds"), "{line}");
    }
}

#[tokio::test]
async fn a_key_of_the_wrong_kind_is_reported_by_what_it_may_not_do() {
    let broker = TestBroker::start().await.unwrap();
    let app = broker.keys.app_seed_path();
    let args = ["ingest", "--nats-url", &broker.url, "--creds", app.to_str().unwrap()];
    let ingest = Tidemap::start(&args).unwrap();
    let line = logged(&ingest, "denies this key a permission").await;
    println!("{line}");
    assert!(line.contains("Permissions Violation") && line.contains("--creds"), "{line}");
}
