//! The server to which the agents publish: the relay receives reports from it and publishes acknowledgements
//! to it.

use std::time::Duration;

use async_nats::{Client, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{StreamExt, stream::ReadyChunks};
use tidemap_wire::subject;
use tokio::time::timeout;

/// Reports that are handed out together when they are there.
const CHUNK: usize = 512;
/// async-nats queues a message at once, unless its queue is full because the connection has just broken.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);
/// JetStream's error code for "temporarily unavailable".
const UNAVAILABLE: u16 = 10_008;

/// The subject on which a report's agent waits for its acknowledgement, if it waits.
pub(crate) type Reply = Option<Subject>;

/// The relay's connection to the agents' server.
pub(crate) struct LocalServer {
    client: Client,
    reports: ReadyChunks<Subscriber>,
}

impl LocalServer {
    /// Subscribes to all reports in the queue group of relays, among which the server distributes them.
    pub(crate) async fn subscribe(client: Client) -> anyhow::Result<Self> {
        let reports = client.queue_subscribe(subject::ALL_SAMPLES, subject::RELAYS.to_owned()).await?;
        Ok(Self { client, reports: reports.ready_chunks(CHUNK) })
    }

    /// Waits for reports; several come together when they are there. `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Vec<Message>> {
        self.reports.next().await
    }

    /// Unsubscribes: after this, only reports arrive that the server had sent before.
    pub(crate) async fn unsubscribe(&mut self) -> anyhow::Result<()> {
        Ok(self.reports.get_mut().drain().await?)
    }

    /// Passes the broker's acknowledgement of a pack on to the agents of all its reports.
    pub(crate) async fn acknowledge(&self, replies: impl IntoIterator<Item = Reply>, ack: &Bytes) {
        for reply in replies.into_iter().flatten() {
            if !self.publish(reply, ack.clone()).await {
                return;
            }
        }
    }

    /// Answers agents that the broker has not stored their reports.
    pub(crate) async fn refuse(&self, replies: impl IntoIterator<Item = Reply>, reason: &str) {
        let error = serde_json::json!({ "code": 503, "err_code": UNAVAILABLE, "description": reason });
        let refusal = Bytes::from(serde_json::json!({ "error": error }).to_string());
        self.acknowledge(replies, &refusal).await;
    }

    /// Waits until everything is sent, at most for `limit`.
    pub(crate) async fn flush(&self, limit: Duration) {
        // Agents that miss an answer send the report again.
        drop(timeout(limit, self.client.flush()).await);
    }

    /// Returns whether the client accepts an answer. If not, the local server is away, and so are its agents.
    async fn publish(&self, reply: Subject, payload: Bytes) -> bool {
        matches!(timeout(SEND_TIMEOUT, self.client.publish(reply, payload)).await, Ok(Ok(())))
    }
}
