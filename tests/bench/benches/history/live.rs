//! A fleet that reports: what the history costs beside the live view.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tidemap_bench::table::{Goal, Table};
use tidemap_testkit::{broker::TestBroker, eventually, history, http::get_json, process::Tidemap, usage};
use tidemap_wire::http::StatsJson;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::Plan;

/// For a whole fleet to be known.
const FLEET_TIMEOUT: Duration = Duration::from_secs(120);
/// Until memory has reached its size.
const WARMING: Duration = Duration::from_secs(20);
/// A program without a history.
const BEFORE: &str = "TIDEMAP_BIN_BEFORE";

/// A worker, an API and a fleet.
struct Live {
    broker: TestBroker,
    ingest: Tidemap,
    api: Tidemap,
    url: String,
    _fleet: Tidemap,
    folder: TempDir,
}

/// What was seen in some time.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Of the broker, the worker, the API and the station together.
    cores: f64,
    station: f64,
    /// The oldest that the view was, in milliseconds.
    age_ms: u64,
}

pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let (nodes, lasting) = plan.live;
    let name = |what: &str| format!("{nodes} nodes that report: {what}");
    let live = Live::start(nodes, None).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        without.push(live.watch(None, lasting).await?);
        let mut station = live.broker.history(live.folder.path(), &[])?;
        let client = live.broker.connect().await?;
        let last = history::newest_message(&client).await?;
        history::has_stored(&client, last).await?;
        with.push(live.watch(Some(&station), lasting).await?);
        station.terminate().await?;
    }
    let mean = |seen: &[Seen], of: fn(&Seen) -> f64| seen.iter().map(of).sum::<f64>() / seen.len() as f64;
    let [alone, both] = [&without, &with].map(|seen| mean(seen, |seen| seen.cores));
    table.note(name("processor without a station"), alone, "cores", Goal::None);
    table.note(name("processor with one"), both, "cores", Goal::None);
    table.note(name("processor of the station"), mean(&with, |seen| seen.station), "cores", Goal::None);
    table.note(name("processor, of that without"), both / alone, "", plan.goal(Goal::AtMost(1.05)));
    let age = |seen: &[Seen]| seen.iter().map(|seen| seen.age_ms).max().unwrap_or(0) as f64;
    table.note(name("oldest view without"), age(&without), "ms", Goal::None);
    table.note(name("oldest view with"), age(&with), "ms", plan.goal(Goal::AtMost(3_000.0)));
    let resident = usage::resident_bytes(live.ingest.pid())? as f64;
    table.note(name("memory of the worker"), resident / 1e6, "MB", Goal::None);
    drop(live);
    let Some(before) = std::env::var_os(BEFORE) else {
        table.say(format!("${BEFORE} names no program without a history: its memory is not compared"));
        return Ok(());
    };
    let live = Live::start(nodes, Some(Path::new(&before))).await?;
    let seen = live.watch(None, 2 * lasting).await?;
    let earlier = usage::resident_bytes(live.ingest.pid())? as f64;
    table.note(name("processor of the program before"), seen.cores, "cores", Goal::None);
    table.note(name("processor, of that program's"), both / seen.cores, "", plan.goal(Goal::AtMost(1.05)));
    table.note(name("memory of that program's worker"), earlier / 1e6, "MB", Goal::None);
    let goal = plan.goal(Goal::AtMost(1.12));
    table.note(name("memory of the worker, of that program's"), resident / earlier, "", goal);
    Ok(())
}

impl Live {
    /// Starts all with a fleet that reports once a second; the worker perhaps of another program.
    async fn start(nodes: u32, program: Option<&Path>) -> anyhow::Result<Self> {
        eprintln!("{nodes} nodes that report");
        let broker = TestBroker::start().await?;
        let ingest = match program {
            None => broker.ingest(&[])?,
            Some(program) => {
                let service = broker.keys.service_seed_path();
                let service = service.to_str().context("a readable path")?;
                let args = ["ingest", "--nats-url", &broker.url, "--creds", service];
                Tidemap::start_by(Command::new(program), &args)?
            }
        };
        let (api, url) = broker.api().await?;
        eventually(FLEET_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}");
            Ok(())
        })
        .await?;
        let fleet = broker.packed_fleet(nodes, &url).await?;
        sleep(WARMING).await;
        Ok(Self { broker, ingest, api, url, _fleet: fleet, folder: tempfile::tempdir()? })
    }

    /// Looks for this long at what all processes take, and at the view's age.
    async fn watch(&self, station: Option<&Tidemap>, lasting: Duration) -> anyhow::Result<Seen> {
        let broker = self.broker.server.pid().context("the broker has ended")?;
        let spent = || {
            let pids = [broker, self.ingest.pid(), self.api.pid()];
            let live = pids.into_iter().map(usage::processor_time).sum::<anyhow::Result<Duration>>()?;
            let station = station.map(|station| usage::processor_time(station.pid())).transpose()?;
            anyhow::Ok((live, station.unwrap_or_default()))
        };
        let (before, begun, mut age_ms) = (spent()?, Instant::now(), 0);
        while begun.elapsed() < lasting {
            sleep(Duration::from_secs(1)).await;
            let stats: StatsJson = get_json(format!("{}/api/stats", self.url)).await?;
            age_ms = age_ms.max(stats.view_age_ms.context("an owner is silent")?);
        }
        let (seconds, after) = (begun.elapsed().as_secs_f64(), spent()?);
        let cores = |now: Duration, before: Duration| (now - before).as_secs_f64() / seconds;
        let station = cores(after.1, before.1);
        Ok(Seen { cores: cores(after.0, before.0) + station, station, age_ms })
    }
}
