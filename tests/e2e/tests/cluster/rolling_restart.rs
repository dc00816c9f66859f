//! All processes are restarted, one after the other, while the page is open: no acknowledged sample is
//! missing, and the page stands still only briefly. Prints how long, for each step. `TIDEMAP_ROUNDS=3`
//! restarts each of the three servers three times.

use std::time::Duration;

use anyhow::{Context, ensure};
use tidemap_e2e::scenario::{Scenario, TAKEOVER};
use tidemap_testkit::{
    cluster::{Edge, TestCluster},
    eventually, is_long,
    machine::{self, StallWatch},
    port::free_ports,
    process::Tidemap,
    undisturbed,
    viewer::Viewer,
};
use tokio::time::Instant;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const WORKERS: usize = 4;
/// Enough nodes that something changes in each partition at every tick.
const NODES: u64 = 240;

/// How long the page may stand still at any step, on a machine of usual speed.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(2);
/// The page changes in steps of a quarter of a second, both the owners' and the API's.
const TICKS: Duration = Duration::from_millis(500);

/// How many of several equal processes are restarted: one in the short form.
fn turns(all: usize) -> usize {
    if is_long() { all } else { 1 }
}

/// How often each server is restarted.
fn rounds() -> usize {
    std::env::var("TIDEMAP_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// An API at an address that it keeps.
struct Api {
    process: Tidemap,
    address: String,
}

impl Api {
    async fn start(cluster: &TestCluster, address: &str) -> Self {
        let key = cluster.keys.service_seed_path();
        let broker = ["--nats-url", &cluster.url(), "--creds", key.to_str().unwrap()];
        let process = Tidemap::start(&[&["api", "--http", address], &broker[..]].concat()).unwrap();
        let url = eventually(START_TIMEOUT, || async {
            let log = process.log();
            let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
            url.with_context(|| format!("no address: {log}"))
        });
        let address = url.await.unwrap().replace("http://", "");
        Self { process, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn restart(&mut self, cluster: &TestCluster) {
        assert!(self.process.terminate().await.unwrap().success(), "{}", self.process.log());
        *self = Self::start(cluster, &self.address).await;
    }
}

/// How each step affected the page.
struct Steps {
    begun: Instant,
    viewer: Viewer,
    stalls: StallWatch,
    longest: Duration,
}

impl Steps {
    /// Waits until everything works again after a step. Fails if the page stood still for too long, as it
    /// does too when a server or the owner of a partition stands still by chance: then the step is repeated.
    async fn done(&mut self, step: &str, scenario: &Scenario) -> anyhow::Result<()> {
        scenario.all_fresh().await.with_context(|| step.to_owned()).unwrap();
        let standstill = self.viewer.longest_standstill().await.with_context(|| step.to_owned()).unwrap();
        let stalled = self.stalls.take();
        eprintln!(
            "rolling restart, {:.1} s, {step}: the page stood still for at most {:.2} s, the machine for {:.2} s",
            self.begun.elapsed().as_secs_f64(),
            standstill.as_secs_f64(),
            stalled.as_secs_f64(),
        );
        let bound = machine::scaled_again(LONGEST_STANDSTILL) + TICKS + stalled;
        ensure!(standstill <= bound, "{step}: the page stood still for {standstill:.2?}, not {bound:.2?}");
        self.longest = self.longest.max(standstill);
        Ok(())
    }
}

#[tokio::test]
async fn everything_is_restarted_in_turn_without_loss_or_long_standstill() {
    let mut cluster = TestCluster::start().await.unwrap();
    let mut edge = Edge::start(&cluster).unwrap();
    let url = cluster.url();
    let mut scenario =
        Scenario::start_with("rolling restart", &cluster.keys, (&url, &url), WORKERS, &["--replicas", "3"])
            .await
            .unwrap();
    let mut relays = vec![edge.relay().unwrap(), edge.relay().unwrap()];
    let fleet = scenario.fleet_at((&edge.url, &edge.keys), NODES, &[]).await.unwrap();
    // In addition to the scenario's own API, which the oracle reads.
    let addresses = free_ports(2).unwrap().into_iter().map(|port| format!("127.0.0.1:{port}"));
    let [one, other] = addresses.collect::<Vec<_>>().try_into().unwrap();
    let mut apis = [Api::start(&cluster, &one).await, Api::start(&cluster, &other).await];
    let viewer = Viewer::start_among(apis.iter().map(Api::url).collect());
    cluster.healed().await.unwrap();
    viewer.longest_standstill().await.unwrap();
    let mut steps =
        Steps { begun: Instant::now(), viewer, stalls: StallWatch::start(), longest: Duration::ZERO };
    undisturbed(async || steps.done("nothing yet", &scenario).await).await.unwrap();
    for number in (0..3).cycle().take(3 * rounds()) {
        let restarts = async || {
            cluster.retire(number).await?;
            let gone = steps.done(&format!("server {number} gone"), &scenario).await;
            cluster.restart(number)?;
            cluster.healed().await?;
            if is_long() {
                steps.done(&format!("server {number} back"), &scenario).await?;
            }
            gone
        };
        undisturbed(restarts).await.unwrap();
    }
    let restarts = async || {
        edge.restart().await?;
        steps.done("the edge's server", &scenario).await
    };
    undisturbed(restarts).await.unwrap();
    for number in 0..turns(WORKERS) {
        let restarts = async || {
            let mut leaving = scenario.workers.remove(0);
            ensure!(leaving.terminate().await?.success(), "{}", leaving.log());
            scenario.add_worker()?;
            steps.done(&format!("worker {number}"), &scenario).await
        };
        undisturbed(restarts).await.unwrap();
    }
    for number in 0..turns(relays.len()) {
        let restarts = async || {
            let mut leaving = relays.remove(0);
            ensure!(leaving.terminate().await?.success(), "{}", leaving.log());
            relays.push(edge.relay()?);
            steps.done(&format!("relay {number}"), &scenario).await
        };
        undisturbed(restarts).await.unwrap();
    }
    for (number, api) in apis.iter_mut().enumerate().take(turns(2)) {
        let restarts = async || {
            api.restart(&cluster).await;
            steps.done(&format!("api {number}"), &scenario).await
        };
        undisturbed(restarts).await.unwrap();
    }
    let Steps { viewer, longest, .. } = steps;
    let snapshots = viewer.snapshots();
    scenario.end(fleet).await.unwrap().assert_held(TAKEOVER);
    eprintln!("rolling restart: at most {longest:.2?}, {snapshots} snapshots");
}
