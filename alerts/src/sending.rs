//! Sends notices: to programs on the broker, to people by the channels of the file.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use async_nats::Client;
use tidemap_alert::AlertFile;
use tidemap_client::NoticeRecord;
use tidemap_service::deadline;
use tidemap_wire::{AlertNotice, encode, subject};
use tokio::task::{Id, JoinSet};

use crate::{
    delivery::Outcome,
    notify::{REFUSED_WAIT, SendFailure, Sender, retry_wait},
};

/// For the broker to take a message.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);
/// Between attempts to publish.
const PUBLISH_RETRY: Duration = Duration::from_secs(1);

/// An attempt that has ended.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) channel: String,
    pub(crate) id: String,
    pub(crate) outcome: Outcome,
}

/// Attempts under way: at most one for each channel.
#[derive(Debug)]
pub(crate) struct Sending {
    client: Client,
    sender: Sender,
    attempts: JoinSet<Sent>,
    /// Whose they are, by the tasks: channel and notice.
    running: HashMap<Id, (String, String)>,
    /// Of the heartbeat, at most one.
    beats: JoinSet<()>,
}

/// The channels that are to have a notice.
pub(crate) fn routes(file: &AlertFile, notice: &AlertNotice) -> BTreeSet<String> {
    file.channels.routes(notice).into_iter().map(str::to_owned).collect()
}

impl Sending {
    pub(crate) fn new(client: Client, sender: Sender) -> Self {
        Self { client, sender, attempts: JoinSet::new(), running: HashMap::new(), beats: JoinSet::new() }
    }

    /// What of the file's secrets cannot be read now.
    pub(crate) async fn missing(&self, file: &AlertFile) -> Vec<String> {
        self.sender.missing(&file.channels).await
    }

    /// Begins to send a notice; [`Sending::ended`] says what came of it. `failures` is how often in a row the
    /// channel will have failed if it does now.
    pub(crate) fn begin(
        &mut self,
        file: &AlertFile,
        channel: String,
        notice: AlertNotice,
        failures: u32,
        now_ms: i64,
    ) {
        let whose = (channel.clone(), notice.id.clone());
        if channel == NoticeRecord::PROGRAMS {
            let client = self.client.clone();
            self.spawn(whose, async move {
                let outcome = match publish(&client, &notice).await {
                    Ok(()) => Outcome::Delivered,
                    Err(error) => {
                        tracing::debug!(notice = notice.id, "not published: {error:#}");
                        Outcome::Failed(PUBLISH_RETRY)
                    }
                };
                Sent { channel, id: notice.id, outcome }
            });
            return;
        }
        let Some(target) = file.channels.named(&channel).cloned() else {
            return self.give_up(channel, notice.id);
        };
        let (sender, style) = (self.sender.clone(), file.channels.style().clone());
        self.spawn(whose, async move {
            let outcome = match sender.send(&target, &notice, &style, now_ms).await {
                Ok(delivered) => {
                    tracing::debug!(channel, notice = notice.id, answer = delivered.answer, "notified");
                    Outcome::Delivered
                }
                Err(SendFailure::Retry { after, reason }) => {
                    // The first failures, then fewer and fewer lines.
                    if failures.is_power_of_two() {
                        tracing::warn!(notice = notice.id, failures, "not notified yet: {reason}");
                    }
                    Outcome::Failed(retry_wait(failures, after))
                }
                Err(SendFailure::Refused { reason }) => {
                    tracing::error!(notice = notice.id, "a notice is refused: {reason}");
                    Outcome::Refused(REFUSED_WAIT)
                }
            };
            Sent { channel, id: notice.id, outcome }
        });
    }

    /// Ends in [`Outcome::Gone`] at once.
    pub(crate) fn give_up(&mut self, channel: String, id: String) {
        let whose = (channel.clone(), id.clone());
        self.spawn(whose, async move { Sent { channel, id, outcome: Outcome::Gone } });
    }

    fn spawn(&mut self, whose: (String, String), attempt: impl Future<Output = Sent> + Send + 'static) {
        let task = self.attempts.spawn(attempt);
        self.running.insert(task.id(), whose);
    }

    /// Waits until an attempt ends. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Sent {
        let (task, ended) = match self.attempts.join_next_with_id().await {
            Some(Ok((task, sent))) => (task, Ok(sent)),
            Some(Err(error)) => (error.id(), Err(error)),
            None => return std::future::pending().await,
        };
        let whose = self.running.remove(&task);
        match (ended, whose) {
            (Ok(sent), _) => sent,
            // One that panics must not keep its channel busy.
            (Err(error), Some((channel, id))) => {
                tracing::error!(channel, notice = id, "an attempt to notify failed: {error}");
                Sent { channel, id, outcome: Outcome::Failed(retry_wait(u32::MAX, None)) }
            }
            (Err(_), None) => std::future::pending().await,
        }
    }

    /// Calls the address of the heartbeat, unless it is being called.
    pub(crate) fn beat(&mut self, file: &AlertFile) {
        while self.beats.try_join_next().is_some() {}
        let Some(heartbeat) = file.channels.heartbeat().cloned().filter(|_| self.beats.is_empty()) else {
            return;
        };
        let sender = self.sender.clone();
        self.beats.spawn(async move {
            if let Err(failure) = sender.beat(&heartbeat).await {
                tracing::warn!("{failure}");
            }
        });
    }

    /// Ends all attempts, because another station sends from now on.
    pub(crate) fn stop(&mut self) {
        self.attempts = JoinSet::new();
        self.running.clear();
        self.beats = JoinSet::new();
    }
}

async fn publish(client: &Client, notice: &AlertNotice) -> anyhow::Result<()> {
    let subject = subject::alert(notice.change, &notice.rule)?;
    let published = async {
        client.publish(subject, encode(notice).into()).await?;
        client.flush().await?;
        anyhow::Ok(())
    };
    deadline::within(PUBLISH_TIMEOUT, "the broker does not answer", published).await
}
