//! A trial: a fleet whose truth is written down, a fault, and the oracle's verdict.

mod steadiness;
mod verdict;

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use tempfile::TempDir;
use tidemap_service::{keys::Keys, nats::NatsArgs, streams};
use tidemap_wire::{
    Delta, PartitionCount, encode,
    http::{NodeJson, StatsJson},
};

use crate::{
    eventually,
    http::{get, get_json},
    oracle,
    process::Tidemap,
    watch::Watch,
};
use steadiness::Steadiness;
pub use verdict::Verdict;

/// Workers find a broker again within 10 s, a lost lease takes 5 s more, and the machine may be busy.
const RECOVERY: Duration = Duration::from_secs(60);

/// For the api to hear of what the owners know.
const TOLD: Duration = Duration::from_secs(10);

/// A pipeline under trial: workers, an api, and a reader of the bus.
pub struct Trial {
    name: &'static str,
    folder: TempDir,
    keys: Keys,
    url: String,
    workers_url: String,
    ingest: Vec<String>,
    /// The ingest workers; tests kill, freeze, add and drop them.
    pub workers: Vec<Tidemap>,
    _api: Tidemap,
    api_url: String,
    watch: Watch,
    steadiness: Steadiness,
}

impl Trial {
    /// Starts workers and an api at the broker at `url`, and waits until every partition is served.
    ///
    /// # Errors
    ///
    /// When they do not come up.
    pub async fn start(name: &'static str, keys: &Keys, url: &str, workers: usize) -> anyhow::Result<Self> {
        Self::start_with(name, keys, (url, url), workers, &[]).await
    }

    /// The same with `more` arguments for workers, which reach the broker at the second address.
    ///
    /// # Errors
    ///
    /// When they do not come up.
    pub async fn start_with(
        name: &'static str,
        keys: &Keys,
        (url, workers_url): (&str, &str),
        workers: usize,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let service = keys.service_seed_path();
        let watch = Watch::start(NatsArgs::new(url, Some(&service)).connect("watch", None).await?).await?;
        let mut api = station(&["api", "--http", "127.0.0.1:0"], url, &service)?;
        let ingest = [&["ingest"], more].concat().into_iter().map(str::to_owned).collect();
        let api_url = served_at(&mut api).await?;
        let mut trial = Self {
            name,
            folder: tempfile::tempdir()?,
            keys: keys.clone(),
            url: url.to_owned(),
            workers_url: workers_url.to_owned(),
            ingest,
            workers: Vec::new(),
            _api: api,
            steadiness: Steadiness::start(&api_url),
            api_url,
            watch,
        };
        for _ in 0..workers {
            trial.add_worker()?;
        }
        trial.all_fresh().await?;
        Ok(trial)
    }

    /// Starts another worker.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn add_worker(&mut self) -> anyhow::Result<()> {
        let url = self.workers_url.clone();
        self.add_worker_at(&url)
    }

    /// Starts another worker, which reaches the broker at another address than the others.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn add_worker_at(&mut self, url: &str) -> anyhow::Result<()> {
        let args: Vec<&str> = self.ingest.iter().map(String::as_str).collect();
        self.workers.push(station(&args, url, &self.keys.service_seed_path())?);
        Ok(())
    }

    /// Starts a fleet whose acknowledged samples are written down, and waits until its nodes are known.
    ///
    /// # Errors
    ///
    /// When it does not come up.
    pub async fn fleet(&self, nodes: u64, more: &[&str]) -> anyhow::Result<Tidemap> {
        let log = self.folder.path().join("acks");
        let nodes_text = nodes.to_string();
        let log = log.to_str().context("a readable path")?;
        let args = [&["simulate", "--nodes", &nodes_text, "--ack-log", log], more].concat();
        let fleet = station(&args, &self.url, &self.keys.simulator_seed_path())?;
        eventually(RECOVERY, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.api_url)).await?;
            ensure!(stats.total_nodes >= nodes, "{} nodes: {}", stats.total_nodes, fleet.log());
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// Waits until the api follows an owner of every partition.
    ///
    /// # Errors
    ///
    /// When that takes too long.
    pub async fn all_fresh(&self) -> anyhow::Result<()> {
        eventually(RECOVERY, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.api_url)).await?;
            ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}");
            Ok(())
        })
        .await
    }

    /// A connection with the services' rights.
    ///
    /// # Errors
    ///
    /// When the key cannot be read.
    pub async fn connect(&self) -> anyhow::Result<async_nats::Client> {
        NatsArgs::new(&self.url, Some(&self.keys.service_seed_path())).connect("test", None).await
    }

    /// Says once more, as late as can be, what owners said last that have been outranked since, and what they might
    /// have gone on to say. Returns how much that was, once the api has refused all of it.
    ///
    /// # Errors
    ///
    /// When there is nothing to say, or the api does not refuse it.
    pub async fn speak_out_of_turn(&self) -> anyhow::Result<u64> {
        let client = self.connect().await?;
        let before = self.stale_deltas().await?;
        let deltas = self.watch.seen().outranked_deltas();
        ensure!(!deltas.is_empty(), "nobody was outranked");
        for delta in &deltas {
            let (partition, seq) = (delta.partition, delta.seq);
            for seq in [seq, seq + 1, seq + 1_000_000] {
                let late = Delta { seq, ..delta.clone() };
                client.publish(format!("tidemap.v1.delta.{partition}"), encode(&late).into()).await?;
            }
        }
        let told = 3 * deltas.len() as u64;
        eventually(TOLD, || async {
            let refused = self.stale_deltas().await? - before;
            ensure!(refused >= told, "{refused} of {told} were refused");
            Ok(told)
        })
        .await
    }

    /// Deltas that the api has refused because they were old.
    async fn stale_deltas(&self) -> anyhow::Result<u64> {
        let metrics = get(format!("{}/metrics", self.api_url)).await?.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix("tidemap_api_deltas_stale_total "));
        Ok(value.context("the api does not count stale deltas")?.parse()?)
    }

    /// Messages that workers have refused for `reason`.
    pub fn refused(&self, reason: &str) -> u64 {
        self.watch.seen().sum(|stats| stats.refused.get(reason).copied().unwrap_or(0))
    }

    /// Ends the fleet, and judges.
    ///
    /// # Errors
    ///
    /// When the fleet's truth is not known, or as [`Self::judge`].
    pub async fn end(&self, mut fleet: Tidemap) -> anyhow::Result<Verdict> {
        let ended = fleet.terminate().await?;
        ensure!(ended.success(), "{}: {}", self.name, fleet.log());
        self.judge().await
    }

    /// Waits until everything that the broker has is applied, and holds the api's answer against the oracle. Prints the
    /// verdict in a line.
    ///
    /// # Errors
    ///
    /// When the streams are not drained in time, or the api does not answer.
    pub async fn judge(&self) -> anyhow::Result<Verdict> {
        let truth = oracle::expect(&self.acknowledged()?);
        self.drained().await.with_context(|| self.name)?;
        // The owners tell readers within a tick or two.
        let mismatches =
            eventually(TOLD, || self.compare(&truth)).await.err().map(|error| format!("{error:#}"));
        let seen = self.watch.seen();
        let verdict = Verdict::new(self.name, &truth, &seen, self.steadiness.regressions(), mismatches);
        verdict.print();
        Ok(verdict)
    }

    /// What the simulator says that the broker has acknowledged.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn acknowledged(&self) -> anyhow::Result<Vec<oracle::Sample>> {
        oracle::read(&self.folder.path().join("acks"))
    }

    /// What the api says of all nodes.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn nodes(&self) -> anyhow::Result<Vec<NodeJson>> {
        get_json(format!("{}/api/nodes", self.api_url)).await
    }

    async fn compare(&self, truth: &BTreeMap<String, oracle::Expected>) -> anyhow::Result<()> {
        let wrong = oracle::compare(truth, &self.nodes().await?);
        let told: Vec<String> = wrong.iter().take(2).map(ToString::to_string).collect();
        ensure!(wrong.is_empty(), "{} of {} nodes are wrong: {}", wrong.len(), truth.len(), told.join("; "));
        Ok(())
    }

    /// Waits until the owners have applied the last message of every stream.
    async fn drained(&self) -> anyhow::Result<()> {
        let js = jetstream::new(self.connect().await?);
        eventually(RECOVERY, || async {
            let seen = self.watch.seen();
            let newest = seen.newest();
            for partition in PartitionCount::default().all() {
                let last = js.get_stream(streams::name(partition)).await?.cached_info().state.last_sequence;
                let stats = newest.get(&partition.get()).context("no owner has spoken")?;
                ensure!(stats.applied == last && stats.lag == 0, "{partition}: {last} in the log, {stats:?}");
            }
            Ok(())
        })
        .await
    }
}

fn station(args: &[&str], url: &str, key: &Path) -> anyhow::Result<Tidemap> {
    let key = key.to_str().context("a readable path")?;
    Tidemap::start(&[args, &["--nats-url", url, "--creds", key]].concat())
}

async fn served_at(api: &mut Tidemap) -> anyhow::Result<String> {
    eventually(RECOVERY, || async {
        let log = api.log();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        url.with_context(|| format!("no address: {log}"))
    })
    .await
}
