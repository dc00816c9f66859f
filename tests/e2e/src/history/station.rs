//! A station in a process of its own, and what it answers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use async_nats::{Client, jetstream};
use futures_util::StreamExt;
use tidemap_broker::keys::Keys;
use tidemap_service::{nats::NatsArgs, streams};
use tidemap_testkit::{eventually, process::Tidemap};
use tidemap_wire::{
    NodeId, decode, encode,
    history_query::{
        HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistorySeries, HistoryStatus, RangeAnswer,
        RangeRequest,
    },
    subject,
};

use super::{Moved, Truth};

/// For a station to read its stream, and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// For what has been read to be stored, which waits a minute.
const STORE_TIMEOUT: Duration = Duration::from_secs(180);
/// For one answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

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
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a readable path");
        let (folder, key) = (text(&self.folder)?, text(&self.keys.service_seed_path())?);
        let args = ["history", "--history-dir", &folder, "--nats-url", &self.url, "--creds", &key];
        self.process = Some(Tidemap::start(&args)?);
        Ok(())
    }

    /// Kills it without warning.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().context("it does not run")?.kill().await
    }

    /// Asks it to end: it stores what it has read, as far as it has the time.
    pub async fn end(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        let ended = process.terminate().await?;
        ensure!(ended.success(), "the station ended badly: {}", process.log());
        Ok(())
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
        let last = self.has(&client, |status| status.read_sequence, None).await?;
        self.end().await?;
        self.start()?;
        self.has(&client, |status| status.sequence, Some(last)).await?;
        let mut answers = Answers::default();
        for node in truth.keys() {
            let answer = eventually(ANSWER_TIMEOUT, || minutes_of(&client, node, now_ms)).await?;
            if let Some(answer) = answer {
                answers.add(node, &answer);
            }
        }
        self.end().await?;
        Ok(answers)
    }

    /// Waits until it has done with the message `last`, or with the newest, what `done` takes from its
    /// status, and returns that message's number.
    async fn has(
        &self,
        client: &Client,
        done: impl Fn(&HistoryStatus) -> u64,
        last: Option<u64>,
    ) -> anyhow::Result<u64> {
        let js = jetstream::new(client.clone());
        let done = eventually(STORE_TIMEOUT, || async {
            let newest = js.get_stream(streams::HISTORY).await?.cached_info().state.last_sequence;
            let last = last.unwrap_or(newest);
            let status = status(client).await?;
            ensure!(done(&status) >= last && status.trouble.is_none(), "{last} messages, {status:?}");
            Ok(last)
        });
        done.await.with_context(|| self.process.as_ref().map(Tidemap::log).unwrap_or_default())
    }
}

/// What a station says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// By node and minute.
    pub minutes: BTreeMap<String, BTreeMap<i64, Moved>>,
    /// Bytes received and sent at a moment that it does not know, by node.
    pub unplaced: BTreeMap<String, (u64, u64)>,
}

impl Answers {
    /// Where it differs from the truth. Of a node whose clock is wrong only the sums of its minutes are
    /// compared: what two readings of a clock that was put back have between them is not known.
    pub fn differences(&self, truth: &BTreeMap<String, Truth>) -> Vec<String> {
        truth.iter().filter_map(|(node, truth)| self.difference(node, truth)).collect()
    }

    fn difference(&self, node: &str, truth: &Truth) -> Option<String> {
        let minutes = self.minutes.get(node).cloned().unwrap_or_default();
        let (rx_bytes, tx_bytes) = self.unplaced.get(node).copied().unwrap_or_default();
        let mut placed = Moved::default();
        minutes.values().for_each(|moved| placed.add(*moved));
        let mut whole = Moved { rx_bytes, tx_bytes, covered_ms: 0 };
        whole.add(placed);
        let Some(expected) = &truth.minutes else {
            return (placed != truth.whole).then(|| format!("{node}: {placed:?}, not {:?}", truth.whole));
        };
        if whole != truth.whole {
            let unplaced = format!("{rx_bytes} and {tx_bytes} of it at an unknown moment");
            return Some(format!("{node}: {whole:?}, {unplaced}, not {:?}", truth.whole));
        }
        (minutes != *expected).then(|| format!("{node}: {minutes:?}, not {expected:?}"))
    }

    fn add(&mut self, node: &str, answer: &RangeAnswer) {
        let minutes = self.minutes.entry(node.to_owned()).or_default();
        for (place, rx_bytes) in answer.rx_bytes.iter().enumerate() {
            if let (Some(rx_bytes), Some(tx_bytes)) = (*rx_bytes, answer.tx_bytes[place]) {
                let moved = Moved { rx_bytes, tx_bytes, covered_ms: answer.covered_ms[place] };
                minutes.insert(answer.from_ms / 60_000 + place as i64, moved);
            }
        }
        let unplaced = (answer.unplaced_rx_bytes.iter().sum(), answer.unplaced_tx_bytes.iter().sum());
        self.unplaced.insert(node.to_owned(), unplaced);
    }
}

/// A node's last hours, or none if the station has never heard of it.
async fn minutes_of(client: &Client, node: &str, now_ms: i64) -> anyhow::Result<Option<RangeAnswer>> {
    let request = RangeRequest {
        of: HistorySeries::Node(NodeId::from_name(node)?),
        from_ms: now_ms - 5 * 3_600_000,
        to_ms: now_ms + 3_600_000,
        step_ms: Some(60_000),
        recent: None,
    };
    match ask(client, HistoryRequest::Range(request)).await? {
        HistoryAnswer::Range(answer) => Ok(Some(answer)),
        HistoryAnswer::Refused(HistoryError::UnknownSeries) => Ok(None),
        other => bail!("{other:?}"),
    }
}

async fn status(client: &Client) -> anyhow::Result<HistoryStatus> {
    match ask(client, HistoryRequest::Status).await? {
        HistoryAnswer::Status(status) => Ok(status),
        other => bail!("{other:?}"),
    }
}

/// Asks for what is answered in one part.
async fn ask(client: &Client, request: HistoryRequest) -> anyhow::Result<HistoryAnswer> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject::HISTORY, inbox, encode(&request).into()).await?;
    let reply = tokio::time::timeout(REPLY_TIMEOUT, replies.next()).await?.context("no reply")?;
    ensure!(reply.status.is_none(), "no station answers: {:?}", reply.status);
    let reply: HistoryReply = decode(&reply.payload)?;
    ensure!(reply.chunks == 1, "{} parts", reply.chunks);
    Ok(reply.answer)
}
