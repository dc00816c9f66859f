//! A station in a process of its own, and what it answers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use async_nats::Client;
use tidemap_broker::keys::Keys;
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    eventually,
    history::{ask, has_read, has_stored, newest_message},
    process::{Tidemap, tidemap},
};
use tidemap_wire::{
    NodeId,
    history_query::{HistoryAnswer, HistoryError, HistoryRequest, HistorySeries, RangeAnswer, RangeRequest},
};

use tokio::process::Command;

use super::{Answers, Truth};

/// For a station to read its stream, and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A station with a folder, which may run or not.
pub struct Station {
    url: String,
    keys: Keys,
    folder: PathBuf,
    process: Option<Tidemap>,
}

impl Station {
    /// A station that does not run yet.
    pub fn new(url: &str, keys: &Keys, folder: PathBuf) -> Self {
        Self { url: url.to_owned(), keys: keys.clone(), folder, process: None }
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_as(&tidemap()?)
    }

    /// Starts it as this program: another version.
    pub fn start_as(&mut self, program: &Path) -> anyhow::Result<()> {
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a readable path");
        let (folder, key) = (text(&self.folder)?, text(&self.keys.service_seed_path())?);
        let args = ["history", "--history-dir", &folder, "--nats-url", &self.url, "--creds", &key];
        self.process = Some(Tidemap::start_by(Command::new(program), &args)?);
        Ok(())
    }

    /// Kills it without warning.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("it does not run")?.kill().await
    }

    /// Kills it, wipes its disk and starts it again.
    pub async fn lose_disk(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        std::fs::remove_dir_all(&self.folder).context("the station's folder")?;
        self.start()
    }

    /// Asks it to end: it stores what it has read, as far as it has the time.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        let ended = process.terminate().await?;
        ensure!(ended.success(), "the station ended badly: {}", process.log());
        Ok(())
    }

    fn log(&self) -> String {
        self.process.as_ref().map(Tidemap::log).unwrap_or_default()
    }

    /// What it says of the true nodes after it has read and stored the whole stream. No other station may
    /// run. In the end it does not run.
    pub async fn answers(&mut self, truth: &BTreeMap<String, Truth>, now_ms: i64) -> anyhow::Result<Answers> {
        let access = NatsArgs::new(&self.url, Some(&self.keys.service_seed_path()));
        let client = access.connect("test", None).await?;
        if self.process.is_none() {
            self.start()?;
        }
        // One that starts again reads at once what was not stored in time, and stores it within a minute.
        let last = newest_message(&client).await?;
        has_read(&client, last).await.with_context(|| self.log())?;
        self.end().await?;
        self.start()?;
        has_stored(&client, last).await.with_context(|| self.log())?;
        let mut answers = Answers::default();
        for node in truth.keys() {
            let answer = eventually(ANSWER_TIMEOUT, || minutes_of(&client, node, now_ms)).await?;
            if let Some(answer) = answer {
                answers.add_answer(node, &answer);
            }
        }
        self.end().await?;
        Ok(answers)
    }
}

/// A node's last hours, or none if the station has never heard of it.
async fn minutes_of(client: &Client, node: &str, now_ms: i64) -> anyhow::Result<Option<RangeAnswer>> {
    let request = RangeRequest {
        of: HistorySeries::Node(NodeId::from_name(node)?),
        from_ms: now_ms - 5 * 3_600_000,
        to_ms: now_ms + 3_600_000,
        step_ms: Some(60_000),
        host: false,
        recent: None,
    };
    match ask(client, HistoryRequest::Range(request)).await? {
        HistoryAnswer::Range(answer) => Ok(Some(answer)),
        HistoryAnswer::Refused(HistoryError::UnknownSeries) => Ok(None),
        other => bail!("{other:?}"),
    }
}
