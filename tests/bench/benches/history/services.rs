//! The services under test: a broker, a worker that makes the streams, an API, and one station.

use std::{collections::VecDeque, fs, time::Duration};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use rusqlite::Connection;
use tempfile::TempDir;
use tidemap_client::HistoryClient;
use tidemap_service::{clock::unix_ms, nats::NatsArgs, streams};
use tidemap_testkit::{
    broker::{self, TestBroker},
    eventually,
    http::{get, get_json, is_ready},
    process::Tidemap,
    usage,
};
use tidemap_wire::{Minutes, Report, Sample, Slot, encode, http::StatsJson, subject};
use tokio::time::Instant;

use crate::{
    Taken,
    rows::{Fleet, PLACE},
};

/// The station's file, and the room that it holds beside it.
const FILE: &str = "history.sqlite";
const HELD: &str = "reserve";

/// Nodes of one message, as of a part of a slot.
const PART: u32 = 128;
/// Messages that the broker may owe an acknowledgement for.
const IN_FLIGHT: usize = 256;
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const TAKE_TIMEOUT: Duration = Duration::from_secs(3_600);

pub(crate) struct Services {
    pub(crate) url: String,
    station: Option<Tidemap>,
    _api: Tidemap,
    _ingest: Tidemap,
    folder: TempDir,
    pub(crate) broker: TestBroker,
}

impl Services {
    /// Starts all but the station.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let broker = TestBroker::start().await?;
        let ingest = broker.ingest(&[])?;
        let (api, url) = broker.api().await?;
        eventually(READY_TIMEOUT, || is_ready(&url)).await?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, station: None, _api: api, _ingest: ingest, folder: tempfile::tempdir()?, broker })
    }

    pub(crate) fn station(&self) -> anyhow::Result<&Tidemap> {
        self.station.as_ref().context("it runs")
    }

    /// Lets the history begin with a fleet's first minute instead of its first message, so that rows of long
    /// ago are its own.
    pub(crate) async fn date_back(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let mut station = self.broker.history(self.folder.path(), &[])?;
        let history = HistoryClient::new(self.broker.connect().await?);
        eventually(READY_TIMEOUT, || async { Ok(history.status().await?) })
            .await
            .with_context(|| station.log())?;
        station.terminate().await?;
        let file = Connection::open(self.folder.path().join(FILE))?;
        for (fact, value) in [("origin", i64::from(fleet.from)), ("at_ms", fleet.range_ms().0)] {
            let sql = "INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)";
            file.execute(sql, (fact, value))?;
        }
        Ok(())
    }

    /// Lets the fleet's nodes say who they are, once, and the station know their groups. Then it ends.
    pub(crate) async fn introduce(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let key = self.broker.keys.simulator_seed_path();
        let access = NatsArgs::new(&self.broker.url, Some(&key));
        let js = broker::jetstream(access.connect("bench", Some("_INBOX.simulator")).await?);
        for number in 0..fleet.nodes {
            let node = fleet.id(number);
            let sample = Sample { seq: 1, at_ms: unix_ms(), ..Sample::default() };
            let hello = Some(Box::new(fleet.hello(number)));
            let report = encode(&Report { node: node.clone(), boot: 1, hello, samples: vec![sample] });
            js.publish(subject::sample(&node), report.into()).await?.await?;
        }
        eventually(READY_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{}/api/stats", self.url)).await?;
            ensure!(stats.total_nodes == u64::from(fleet.nodes), "{} nodes", stats.total_nodes);
            Ok(())
        })
        .await?;
        let mut station = self.broker.history(self.folder.path(), &[])?;
        eventually(READY_TIMEOUT, || async {
            let (from, to) = fleet.range_ms();
            let group = format!("{}/api/history?by=location&key={PLACE}&from={from}&to={to}", self.url);
            let answer = get(group).await?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        })
        .await
        .with_context(|| station.log())?;
        station.terminate().await?;
        Ok(())
    }

    /// Publishes the rows of every so many minutes, minute by minute, as a worker does.
    pub(crate) async fn publish(&self, fleet: &Fleet, every: u32) -> anyhow::Result<()> {
        let js = jetstream::new(self.broker.connect().await?);
        let mut counted = vec![[0; 2]; fleet.nodes as usize];
        let mut owed = VecDeque::new();
        for minute in (fleet.from..fleet.from + fleet.minutes).step_by(every as usize) {
            for (index, first) in (0..fleet.nodes).step_by(PART as usize).enumerate() {
                let mut minutes = Minutes::new(1, unix_ms());
                for number in first..fleet.nodes.min(first + PART) {
                    let row = fleet.row(number, minute, &mut counted[number as usize]);
                    minutes.push(&fleet.id(number), &row);
                }
                let subject = subject::minutes(Slot::of(&fleet.id(first)), 1, u16::try_from(index)?);
                owed.push_back(js.publish(subject, encode(&minutes).into()).await?);
                if owed.len() >= IN_FLIGHT {
                    owed.pop_front().context("one is owed")?.await?;
                }
            }
        }
        for ack in owed {
            ack.await?;
        }
        Ok(())
    }

    /// Starts the station, and returns once everything is stored. It then runs.
    pub(crate) async fn take_all(&mut self) -> anyhow::Result<Taken> {
        let client = self.broker.connect().await?;
        let last = jetstream::new(client.clone()).get_stream(streams::HISTORY).await?;
        let last = last.cached_info().state.last_sequence;
        let history = HistoryClient::new(client);
        let held = || fs::metadata(self.folder.path().join(HELD)).map_or(0, |held| held.len());
        let (begun, held_before) = (Instant::now(), held());
        let station = self.broker.history(self.folder.path(), &[])?;
        has(&history, last, |status| status.read_sequence).await.with_context(|| station.log())?;
        // What was read is stored by now, except the last 50,000 rows at most, which wait for a minute.
        let seconds = begun.elapsed().as_secs_f64();
        let mut resident_bytes = usage::resident_bytes(station.pid())?;
        has(&history, last, |status| status.sequence).await.with_context(|| station.log())?;
        resident_bytes = resident_bytes.max(usage::resident_bytes(station.pid())?);
        let cpu = usage::processor_time(station.pid())?;
        let written_bytes = written_bytes(station.pid())?.saturating_sub(held().saturating_sub(held_before));
        let file_bytes = history.status().await?.used_bytes;
        self.station = Some(station);
        Ok(Taken { seconds, cpu, resident_bytes, written_bytes, file_bytes })
    }
}

/// Waits until the station has done with the last message what `done` takes from its status.
async fn has(
    history: &HistoryClient,
    last: u64,
    done: impl Fn(&tidemap_wire::history_query::HistoryStatus) -> u64,
) -> anyhow::Result<()> {
    eventually(TAKE_TIMEOUT, || async {
        let status = history.status().await?;
        ensure!(done(&status) >= last && status.trouble.is_none(), "{last}: {status:?}");
        Ok(())
    })
    .await
}

/// What a process has written to disks.
fn written_bytes(pid: u32) -> anyhow::Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
    Ok(line.trim().parse()?)
}
