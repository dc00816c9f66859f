//! A fleet whose acknowledged samples are written down, a fault, and the verdict of the oracle.

mod audit;
mod ceiling;
mod latecomer;
mod repartition;
mod steadiness;
mod verdict;
mod waiting;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use tempfile::TempDir;
use tidemap_broker::keys::Keys;
use tidemap_ingest::internals::{Content, Untold, load_checkpoints};
use tidemap_service::{clock, nats::NatsArgs, streams};
use tidemap_wire::{
    PartitionCount, Slot,
    http::{NodeJson, StatsJson},
};

use tidemap_testkit::{
    eventually,
    http::get_json,
    is_long,
    port::free_port,
    process::{Tidemap, tidemap},
    watch::Watch,
};
use tokio::process::Command;

use crate::{
    history::{self, KnownClocks, Station},
    oracle,
};
pub use audit::{Audit, Kept};
use ceiling::Ceiling;
pub use latecomer::Refused;
use steadiness::Steadiness;
pub use verdict::Verdict;

/// A worker that dies or falls silent is replaced within this time.
pub const TAKEOVER: Duration = Duration::from_secs(8);

/// The same when the broker was away too: everybody finds it again within 10 s, and only then can leases be
/// judged.
pub const TAKEOVER_AFTER_OUTAGE: Duration = Duration::from_secs(20);

/// Workers find a broker again within 10 s, a lost lease takes 5 s more, and the machine may be busy.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// For the API to receive what the owners of partitions know.
const API_TIMEOUT: Duration = Duration::from_secs(60);

/// For how long a fault lasts: in full, or in short.
pub fn lasting(full_s: u64, short_s: u64) -> Duration {
    Duration::from_secs(if is_long() { full_s } else { short_s })
}

/// A pipeline under scenario: workers, an API, and a reader of the bus.
pub struct Scenario {
    name: &'static str,
    folder: TempDir,
    keys: Keys,
    url: String,
    workers_url: String,
    ingest: Vec<String>,
    /// The ingest workers; tests kill, freeze, add and drop them.
    pub workers: Vec<Tidemap>,
    /// The API; tests kill and replace it.
    pub api: Tidemap,
    api_url: String,
    /// The history station; tests kill and start it.
    pub station: Station,
    watch: Watch,
    steadiness: Steadiness,
    ceiling: Ceiling,
    /// Whether a fleet was given clocks that are wrong.
    clocks_are_wrong: AtomicBool,
    /// What is started from now on.
    program: PathBuf,
}

impl Scenario {
    /// Starts workers and an API at the broker at `url`, and waits until they share the partitions and all
    /// are served.
    pub async fn start(name: &'static str, keys: &Keys, url: &str, workers: usize) -> anyhow::Result<Self> {
        Self::start_with(name, keys, (url, url), workers, &[]).await
    }

    /// The same with `more` arguments for workers, which reach the broker at the second address.
    pub async fn start_with(
        name: &'static str,
        keys: &Keys,
        (url, workers_url): (&str, &str),
        workers: usize,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let service = keys.service_seed_path();
        let watch = Watch::start(NatsArgs::new(url, Some(&service)).connect("watch", None).await?).await?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut api = station(&tidemap()?, &["api", "--http", &address], url, &service)?;
        let ingest = [&["ingest"], more].concat().into_iter().map(str::to_owned).collect();
        let api_url = served_at(&mut api).await?;
        let folder = tempfile::tempdir()?;
        let mut station = Station::new(url, keys, folder.path().join("history"));
        station.start()?;
        let mut scenario = Self {
            name,
            folder,
            station,
            keys: keys.clone(),
            url: url.to_owned(),
            workers_url: workers_url.to_owned(),
            ingest,
            workers: Vec::new(),
            api,
            steadiness: Steadiness::start(&api_url),
            ceiling: Ceiling::start(&api_url),
            clocks_are_wrong: AtomicBool::new(false),
            program: tidemap()?,
            api_url,
            watch,
        };
        for _ in 0..workers {
            scenario.add_worker()?;
        }
        scenario.spread().await?;
        scenario.all_fresh().await?;
        scenario.forget_changes();
        Ok(scenario)
    }

    /// Waits until each of the workers has its share: what changes hands later does so because of a fault.
    pub async fn spread(&self) -> anyhow::Result<()> {
        let workers = self.workers.len();
        let share = usize::from(PartitionCount::default().get()).div_ceil(workers);
        let spread = eventually(RECOVERY_TIMEOUT, || async {
            let owners = self.watch.seen().owners();
            let is_spread = owners.len() == workers && owners.values().all(|owned| *owned <= share);
            ensure!(is_spread, "{owners:?}");
            Ok(())
        });
        spread.await.with_context(|| self.logs())
    }

    /// The last lines of each worker's log.
    fn logs(&self) -> String {
        let tails = self.workers.iter().enumerate().map(|(number, worker)| {
            let log = worker.log();
            let lines: Vec<&str> = log.lines().rev().take(12).collect();
            format!("worker {number}:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        });
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Starts this program from now on: another version.
    pub fn use_program(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// Starts another worker.
    pub fn add_worker(&mut self) -> anyhow::Result<()> {
        let url = self.workers_url.clone();
        self.add_worker_at(&url)
    }

    /// Starts a worker while there is none, and waits until it has taken everything. Those before it may have
    /// been killed, so nothing that was said before is proof.
    pub async fn add_sole_worker(&mut self) -> anyhow::Result<()> {
        self.add_worker()?;
        let worker = self.workers.last().context("it was added")?;
        let all = usize::from(PartitionCount::default().get());
        eventually(RECOVERY_TIMEOUT, || async {
            let taken = worker.log().matches("took a partition").count();
            ensure!(taken == all, "{taken} partitions taken: {}", worker.log());
            Ok(())
        })
        .await
    }

    /// Starts another worker, which reaches the broker at another address than the others.
    pub fn add_worker_at(&mut self, url: &str) -> anyhow::Result<()> {
        let args: Vec<&str> = self.ingest.iter().map(String::as_str).collect();
        self.workers.push(station(&self.program, &args, url, &self.keys.service_seed_path())?);
        Ok(())
    }

    /// Kills the API, and starts another where it was.
    pub async fn restart_api(&mut self) -> anyhow::Result<()> {
        self.api.kill().await?;
        let address = self.api_url.strip_prefix("http://").context("an http URL")?;
        let key = self.keys.service_seed_path();
        self.api = station(&self.program, &["api", "--http", address], &self.url, &key)?;
        served_at(&mut self.api).await.map(drop)
    }

    /// Starts a fleet whose acknowledged samples are written down, and waits until its nodes are known.
    pub async fn fleet(&self, nodes: u64, more: &[&str]) -> anyhow::Result<Tidemap> {
        self.fleet_at((&self.url, &self.keys), nodes, more).await
    }

    /// The same with a fleet that publishes to another server than the scenario's, with that one's keys.
    pub async fn fleet_at(
        &self,
        (url, keys): (&str, &Keys),
        nodes: u64,
        more: &[&str],
    ) -> anyhow::Result<Tidemap> {
        let log = self.folder.path().join("acks");
        let nodes_text = nodes.to_string();
        let log = log.to_str().context("a readable path")?;
        if more.iter().any(|arg| ["--skew", "--leap"].contains(arg)) {
            self.clocks_are_wrong.store(true, Ordering::Relaxed);
        }
        let args = [&["simulate", "--nodes", &nodes_text, "--ack-log", log], more].concat();
        let fleet = station(&self.program, &args, url, &keys.simulator_seed_path())?;
        eventually(RECOVERY_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.api_url)).await?;
            ensure!(stats.total_nodes >= nodes, "{} nodes: {}", stats.total_nodes, fleet.log());
            Ok(())
        })
        .await?;
        Ok(fleet)
    }

    /// Forgets the pauses and changes of owners that there were until now.
    pub fn forget_changes(&self) {
        self.watch.forget();
    }

    /// A connection with the services' rights.
    pub async fn connect(&self) -> anyhow::Result<async_nats::Client> {
        NatsArgs::new(&self.url, Some(&self.keys.service_seed_path())).connect("test", None).await
    }

    /// How many workers own partitions.
    pub fn owners(&self) -> usize {
        self.watch.seen().owners().len()
    }

    /// How often a partition has got another owner.
    pub fn successions(&self) -> u64 {
        self.watch.seen().successions
    }

    /// Samples that the workers say they have applied.
    pub fn applied(&self) -> u64 {
        self.watch.seen().applied()
    }

    /// Messages that workers have refused for `reason`.
    pub fn refused(&self, reason: &str) -> u64 {
        self.watch.seen().sum(|stats| stats.refused.get(reason).copied().unwrap_or(0))
    }

    /// Stops the fleet and judges.
    pub async fn end(mut self, mut fleet: Tidemap) -> anyhow::Result<Verdict> {
        let ended = fleet.terminate().await?;
        ensure!(ended.success(), "{}: {}", self.name, fleet.log());
        self.judge().await
    }

    /// Waits until everything that the broker has is applied, and holds against the oracle what the API says,
    /// and then what the workers leave behind when they are asked to end. Prints the verdict in a line.
    pub async fn judge(&mut self) -> anyhow::Result<Verdict> {
        let ended_ms = clock::unix_ms();
        let acknowledged = self.acknowledged()?;
        let truth = oracle::expect(&acknowledged);
        self.drained().await.with_context(|| self.name)?;
        // The owners publish within a tick or two.
        let mismatches =
            eventually(API_TIMEOUT, || self.compare(&truth)).await.err().map(|error| format!("{error:#}"));
        let stale = self.stale_deltas().await?;
        let seen = self.watch.seen();
        let audit = Audit::new(&acknowledged, &self.leave_all_published().await?)?;
        let are_wrong = self.clocks_are_wrong.load(Ordering::Relaxed);
        let clocks = if are_wrong { KnownClocks::RightAt(ended_ms) } else { KnownClocks::Right };
        let minutes = history::expect(&acknowledged, clocks);
        let highest = self.ceiling.highest();
        let answers = self.station.answers(&minutes, ended_ms).await?;
        let mut verdict = Verdict::new(self.name, &truth, &seen, audit);
        (verdict.mismatches, verdict.stale) = (mismatches, stale);
        verdict.history = answers.differences(&minutes);
        verdict.history.extend(highest.above(&minutes));
        verdict.watched = highest.nodes();
        verdict.regressions = self.steadiness.regressions();
        verdict.print();
        Ok(verdict)
    }

    /// The same, again and again until the stream of minutes has everything: what it does not take in time,
    /// the next owners find in what is kept.
    async fn leave_all_published(&mut self) -> anyhow::Result<Kept> {
        for _ in 0..5 {
            let kept = self.leave().await?;
            if kept.values().all(|(_, node)| node.untold(u32::MAX) == Untold::default()) {
                return Ok(kept);
            }
            self.add_sole_worker().await?;
        }
        bail!("{}: the stream of minutes does not take everything", self.name)
    }

    /// Asks all workers to end, and reads what is kept of the nodes.
    pub async fn leave(&mut self) -> anyhow::Result<Kept> {
        let mut workers = std::mem::take(&mut self.workers);
        let ended = try_join_all(workers.iter_mut().map(Tidemap::terminate)).await?;
        for (ended, worker) in ended.iter().zip(&workers) {
            ensure!(ended.success(), "{}: a worker ended badly: {}", self.name, worker.log());
        }
        let js = tidemap_testkit::broker::jetstream(self.connect().await?);
        let mut kept = Kept::new();
        for partition in PartitionCount::default().all() {
            let slots: Vec<Slot> = PartitionCount::default().slots(partition).collect();
            let content = Content::Samples(slots.clone());
            // As an owner does: a cluster that has just been mended may have to elect a leader first.
            let loaded = eventually(RECOVERY_TIMEOUT, || async {
                load_checkpoints(&js, &streams::name(partition), &content, &slots).await
            });
            let loaded = loaded.await.with_context(|| format!("{}: what is kept", self.name))?;
            kept.extend(loaded.nodes.into_iter().map(|(id, node)| (id.text(), (id, node))));
        }
        Ok(kept)
    }

    /// The samples that the broker has acknowledged, from the simulator's log.
    pub fn acknowledged(&self) -> anyhow::Result<Vec<oracle::AckedSample>> {
        oracle::read(&self.folder.path().join("acks"))
    }

    /// All nodes, as the API shows them.
    pub async fn nodes(&self) -> anyhow::Result<Vec<NodeJson>> {
        get_json(format!("{}/api/nodes", self.api_url)).await
    }

    async fn compare(&self, truth: &BTreeMap<String, oracle::Expected>) -> anyhow::Result<()> {
        let wrong = oracle::compare(truth, &self.nodes().await?);
        let examples: Vec<String> = wrong.iter().take(2).map(ToString::to_string).collect();
        ensure!(
            wrong.is_empty(),
            "{} of {} nodes are wrong: {}",
            wrong.len(),
            truth.len(),
            examples.join("; ")
        );
        Ok(())
    }
}

fn station(program: &Path, args: &[&str], url: &str, key: &Path) -> anyhow::Result<Tidemap> {
    let key = key.to_str().context("a readable path")?;
    Tidemap::start_by(Command::new(program), &[args, &["--nats-url", url, "--creds", key]].concat())
}

async fn served_at(api: &mut Tidemap) -> anyhow::Result<String> {
    eventually(RECOVERY_TIMEOUT, || async {
        let log = api.log();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        url.with_context(|| format!("no address: {log}"))
    })
    .await
}
