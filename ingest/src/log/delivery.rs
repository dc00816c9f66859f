//! A pull consumer's messages, without what the client's own stream of them costs.
//!
//! That stream clones a whole connection handle into every message, so that each can be acknowledged; ours need no
//! acknowledgement. It also takes the status line of a stored message for the broker's own word, so that a crafted one
//! could end it; here only what comes to the inbox itself is a word of the broker's.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{StreamExt, stream::ReadyChunks};

/// Messages asked for at once: fewer cost round trips, more cost memory.
const BATCH: u64 = 4_096;
/// The broker speaks at least this often, so silence means a lost link.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long one request for messages stands.
const EXPIRES: Duration = Duration::from_secs(30);
/// Two heartbeats, and a little for a busy machine.
const SILENCE: Duration = Duration::from_millis(2_500);
/// Messages that are passed on together when they are there.
const CHUNK: usize = 1_024;

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its subject.
    pub subject: Subject,
    /// Its payload.
    pub payload: Bytes,
    /// Its headers.
    pub headers: Option<HeaderMap>,
    /// Its number in the stream.
    pub sequence: u64,
    /// How many messages the stream holds behind it.
    pub pending: u64,
    /// When the broker stored it, Unix nanoseconds.
    pub published_ns: i64,
}

/// What one consumer delivers.
pub(super) struct Delivery {
    client: Client,
    /// Where the broker takes requests.
    next: String,
    inbox: String,
    messages: ReadyChunks<Subscriber>,
    /// Messages that were asked for and may still come.
    due: u64,
}

impl Delivery {
    /// Begins to ask a consumer for its messages.
    pub(super) async fn open(client: Client, stream: &str, consumer: &str) -> anyhow::Result<Self> {
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await?.ready_chunks(CHUNK);
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let mut delivery = Self { client, next, inbox, messages, due: 0 };
        delivery.ask().await?;
        Ok(delivery)
    }

    /// The next messages, in their order. An error means that there will be no more.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<Record>> {
        let chunk =
            tokio::time::timeout(SILENCE, self.messages.next()).await.context("the broker is silent")?;
        let chunk = chunk.context("the connection was closed")?;
        let mut records = Vec::with_capacity(chunk.len());
        for message in chunk {
            if *message.subject == *self.inbox {
                self.heed(&message)?;
            } else {
                self.due = self.due.saturating_sub(1);
                records.push(record(message)?);
            }
        }
        // Before the request is used up, so that the broker need not wait for the next one.
        if self.due < BATCH / 2 {
            self.ask().await?;
        }
        Ok(records)
    }

    async fn ask(&mut self) -> anyhow::Result<()> {
        let request = serde_json::json!({
            "batch": BATCH,
            "expires": EXPIRES.as_nanos(),
            "idle_heartbeat": HEARTBEAT.as_nanos(),
        });
        let publish =
            self.client.publish_with_reply(self.next.clone(), self.inbox.clone(), request.to_string().into());
        tokio::time::timeout(SILENCE, publish).await.context("the connection is full")??;
        self.due += BATCH;
        Ok(())
    }

    /// What the broker says about a request.
    fn heed(&mut self, message: &Message) -> anyhow::Result<()> {
        let header = |name| message.headers.as_ref()?.get(name)?.as_str().parse().ok();
        match message.status {
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            // A request has stood for its time, and this is how much of it was left.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.due = self.due.saturating_sub(header("Nats-Pending-Messages").unwrap_or(BATCH));
                Ok(())
            }
            status => bail!("{status:?} {}", message.description.as_deref().unwrap_or_default()),
        }
    }
}

fn record(message: Message) -> anyhow::Result<Record> {
    let reply = message.reply.as_deref().context("no message of a stream")?;
    let (sequence, published_ns, pending) = place(reply).with_context(|| format!("cannot read {reply}"))?;
    let Message { subject, payload, headers, .. } = message;
    Ok(Record { subject, payload, headers, sequence, pending, published_ns })
}

/// Sequence, time and count behind it, as the subject of an acknowledgement tells them:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<delivery>.<time>.<pending>`, or the same with the domain and the
/// account's hash before the stream, and perhaps more behind.
fn place(reply: &str) -> anyhow::Result<(u64, i64, u64)> {
    let tokens = reply.strip_prefix("$JS.ACK.").context("no acknowledgement's subject")?.split('.');
    let skipped = match tokens.clone().count() {
        7 => 3,
        9.. => 5,
        _ => bail!("too short"),
    };
    let mut numbers = tokens.skip(skipped);
    let mut next = || numbers.next().context("too short");
    let sequence = next()?.parse()?;
    next()?;
    let (published_ns, pending) = (next()?.parse()?, next()?.parse()?);
    ensure!(sequence > 0, "the first message has number 1");
    Ok((sequence, published_ns, pending))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_message_tells_its_place_in_both_forms() {
        let told = (42, 1_700_000_000_123_456_789, 7);
        assert_eq!(place("$JS.ACK.TIDEMAP_0.abc.1.42.9.1700000000123456789.7").unwrap(), told);
        assert_eq!(place("$JS.ACK.hub.HASH.TIDEMAP_0.abc.1.42.9.1700000000123456789.7").unwrap(), told);
        assert_eq!(place("$JS.ACK.hub.HASH.TIDEMAP_0.abc.1.42.9.1700000000123456789.7.rnd").unwrap(), told);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for reply in ["", "_INBOX.x", "$JS.ACK.a.b", "$JS.ACK.s.c.1.0.9.5.7", "$JS.ACK.s.c.1.x.9.5.7"] {
            assert!(place(reply).is_err(), "{reply}");
        }
    }
}
