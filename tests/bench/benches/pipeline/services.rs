//! The services under test: a broker, one worker and one API, each a process of its own, and changing fleets.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use tidemap_broker::keys::{self, RelaySide};
use tidemap_testkit::{broker::TestBroker, counters::Counters, eventually, http::get_json, process::Tidemap};
use tidemap_wire::{NodeId, http::StatsJson};
use tokio::time::{Instant, sleep};

use crate::tally::Tally;

/// For a whole fleet to be known.
const FLEET_TIMEOUT: Duration = Duration::from_secs(90);
/// When nothing has been applied for this long, nothing more will be.
const QUIET: Duration = Duration::from_secs(8);
/// The simulator's name when it packs as a relay.
const RELAY: &str = "bench";

/// How reports go to the broker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Each report by itself, and acknowledged, as from agents.
    Acknowledged,
    /// Each report by itself, without waiting for acknowledgements.
    Unanswered,
    /// In packs, and acknowledged, as from relays.
    Packed,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "each acknowledged",
            Self::Unanswered => "without acks",
            Self::Packed => "in a relay's packs",
        }
    }
}

/// Everything that runs while something is measured.
pub(crate) struct Services {
    pub(crate) ingest: Tidemap,
    pub(crate) api: Tidemap,
    pub(crate) url: String,
    pub(crate) counters: Counters,
    pub(crate) tally: Tally,
    pub(crate) broker: TestBroker,
    relay_key: PathBuf,
}

/// A fleet that reports.
pub(crate) struct Fleet {
    pub(crate) process: Tidemap,
    /// Samples that had been applied before.
    before: u64,
}

/// What happened to a fleet's reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// Reports that the simulator counts as published, or as acknowledged if it waits for that.
    pub(crate) published: u64,
    /// What ingest has applied since the fleet began.
    pub(crate) applied: u64,
}

impl Account {
    /// Reports that were published and never applied.
    pub(crate) fn lost(&self) -> u64 {
        self.published.saturating_sub(self.applied)
    }
}

impl Services {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let broker = TestBroker::start().await?;
        let relay = NodeId::from_name(RELAY)?;
        let relay_key = keys::enroll_relay(broker.folder(), &relay, RelaySide::Packs)?.seed_path;
        broker.server.reload()?;
        let ingest = broker.ingest(&[])?;
        let (api, url) = broker.api().await?;
        let counters = Counters::open(&broker.url, &broker.keys).await?;
        let tally = Tally::start(broker.connect().await?).await?;
        eventually(FLEET_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}");
            Ok(())
        })
        .await?;
        Ok(Self { ingest, api, url, counters, tally, broker, relay_key })
    }

    /// Starts a fleet and returns when all of its nodes are known.
    pub(crate) async fn fleet(&self, nodes: u32, interval_s: f64, way: Way) -> anyhow::Result<Fleet> {
        let simulator = self.broker.keys.simulator_seed_path();
        let (key, more): (_, &[&str]) = match way {
            Way::Acknowledged => (&simulator, &[]),
            Way::Unanswered => (&simulator, &["--no-acks"]),
            Way::Packed => (&self.relay_key, &["--relay", RELAY]),
        };
        let (nodes_text, interval) = (nodes.to_string(), interval_s.to_string());
        let key = key.to_str().context("a readable path")?;
        let args = ["simulate", "--nodes", &nodes_text, "--interval", &interval];
        let there = ["--nats-url", &self.broker.url, "--creds", key];
        let before = self.tally.sums().samples;
        let process = Tidemap::start(&[&args, more, &there].concat())?;
        eventually(FLEET_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.url)).await?;
            ensure!(stats.total_nodes >= u64::from(nodes), "{} nodes: {}", stats.total_nodes, process.log());
            Ok(())
        })
        .await?;
        Ok(Fleet { process, before })
    }

    /// Ends a fleet, waits until all of its samples are applied, and counts. `besides` is the number of
    /// samples that other nodes have sent.
    pub(crate) async fn settle(&self, mut fleet: Fleet, besides: u64) -> anyhow::Result<Account> {
        let ended = fleet.process.terminate().await?;
        let log = fleet.process.log();
        ensure!(ended.success(), "{log}");
        let published = log.split_whitespace().find_map(|word| word.strip_prefix("reports="));
        let published = published.with_context(|| format!("no count: {log}"))?.parse()?;
        let (mut applied, mut since) = (0, Instant::now());
        while applied < published && since.elapsed() < QUIET {
            let now = self.tally.sums().samples - fleet.before - besides;
            if now > applied {
                (applied, since) = (now, Instant::now());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(Account { published, applied })
    }
}
