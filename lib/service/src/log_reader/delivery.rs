//! A pull consumer's messages, without the cost of async-nats's own stream of them.
//!
//! That stream clones a connection handle into every message, so that each can be acknowledged, which is not
//! needed here. It also mistakes the status line of a stored message for the broker's own, so a crafted
//! message could end the stream. Here only messages to the inbox itself count as the broker's.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Context, bail, ensure};
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use crate::{deadline::within, nats::ConnectionId};

/// Messages per request: with fewer the broker waits for requests (16,384 are read 15 % faster than 4,096),
/// more cost memory while the reader catches up.
const BATCH: RangeInclusive<u64> = 512..=16_384;
/// Bytes per request, estimated from earlier messages: packs are large. The broker has a limit in bytes, too
/// (`max_bytes`), but delivers a tenth as fast with it (59,000 instead of 520,000 a second, nats-server
/// 2.15.1).
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// The broker sends something at least this often, so silence means a lost link, or that the consumer's
/// server is gone (a server that retires gives no notice of that). The page stands still until it is noticed.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// How long a request for messages is valid.
const EXPIRES: Duration = Duration::from_secs(30);
/// Three heartbeats, and a little for a busy machine.
const SILENCE: Duration = Duration::from_millis(900);
/// Between checks whether the connection is still the one of the requests.
const CHECK_PERIOD: Duration = Duration::from_millis(100);
/// For a request to find room in the connection.
const SEND_TIMEOUT: Duration = Duration::from_millis(1_600);
/// Messages that are passed on together when they are there. Each time a vector of this capacity is
/// allocated.
const CHUNK: usize = 128;

/// A message of a stream.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it was published.
    pub subject: Subject,
    /// Its content.
    pub payload: Bytes,
    /// Its headers, if it has any.
    pub headers: Option<Box<HeaderMap>>,
    /// Its number in the stream.
    pub sequence: u64,
    /// How many messages the stream has after it.
    pub pending: u64,
    /// When the broker stored it, Unix nanoseconds.
    pub published_ns: i64,
}

/// The messages of one consumer.
pub(super) struct Delivery {
    client: Client,
    /// The subject of requests.
    next: String,
    inbox: String,
    messages: Subscriber,
    /// Messages per request.
    batch: u64,
    /// Messages that were requested and may still come.
    due: u64,
    /// The connection of the first request.
    connection: Option<ConnectionId>,
}

impl Delivery {
    /// Sends a consumer the first request for messages.
    pub(super) async fn open(client: Client, stream: &str, consumer: &str) -> anyhow::Result<Self> {
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await?;
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let connection = ConnectionId::of(&client);
        let mut delivery = Self { client, next, inbox, messages, batch: *BATCH.start(), due: 0, connection };
        delivery.request().await?;
        Ok(delivery)
    }

    /// The next messages, in their order. An error means that there will be no more.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<Record>> {
        let mut records = Vec::with_capacity(CHUNK);
        let mut next = Some(self.message().await?);
        while let Some(message) = next {
            let message = message.context("the connection was closed")?;
            if *message.subject == *self.inbox {
                self.handle_status(&message)?;
            } else {
                self.due = self.due.saturating_sub(1);
                records.push(record(message)?);
            }
            next = if records.len() < CHUNK { self.messages.next().now_or_never() } else { None };
        }
        self.batch = batch(&records).unwrap_or(self.batch);
        // Long before the request is used up, so that the broker need not wait for the next: up to two are
        // valid.
        if self.due < self.batch {
            self.request().await?;
        }
        Ok(records)
    }

    /// The next message. The server of an earlier connection may have forgotten the request, of which there
    /// is no notice.
    async fn message(&mut self) -> anyhow::Result<Option<Message>> {
        // While the reader catches up there is always more, and no timer is needed.
        if let Some(message) = self.messages.next().now_or_never() {
            return Ok(message);
        }
        let begun = Instant::now();
        loop {
            match tokio::time::timeout(CHECK_PERIOD, self.messages.next()).await {
                Ok(message) => return Ok(message),
                Err(_) if ConnectionId::of(&self.client) != self.connection => {
                    bail!("the connection is a new one")
                }
                Err(_) if begun.elapsed() >= SILENCE => bail!("the broker is silent"),
                Err(_) => {}
            }
        }
    }

    async fn request(&mut self) -> anyhow::Result<()> {
        let request = serde_json::json!({
            "batch": self.batch,
            "expires": EXPIRES.as_nanos(),
            "idle_heartbeat": HEARTBEAT.as_nanos(),
        });
        let publish =
            self.client.publish_with_reply(self.next.clone(), self.inbox.clone(), request.to_string().into());
        within(SEND_TIMEOUT, "the connection is full", publish).await?;
        self.due += self.batch;
        Ok(())
    }

    /// Handles the broker's status of a request.
    fn handle_status(&mut self, message: &Message) -> anyhow::Result<()> {
        let header = |name| message.headers.as_ref()?.get(name)?.as_str().parse().ok();
        match message.status {
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            // A request has expired, and this is how much of it was left.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.due = self.due.saturating_sub(header("Nats-Pending-Messages").unwrap_or(self.due));
                Ok(())
            }
            status => bail!("{status:?} {}", message.description.as_deref().unwrap_or_default()),
        }
    }
}

/// How many messages like these should be requested at once.
fn batch(records: &[Record]) -> Option<u64> {
    let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
    let fitting = BATCH_BYTES.saturating_mul(records.len() as u64).checked_div(bytes as u64)?;
    Some(fitting.clamp(*BATCH.start(), *BATCH.end()))
}

fn record(message: Message) -> anyhow::Result<Record> {
    let reply = message.reply.as_deref().context("no message of a stream")?;
    let (sequence, published_ns, pending) =
        parse_ack(reply).with_context(|| format!("cannot read {reply}"))?;
    let Message { subject, payload, headers, .. } = message;
    let headers = headers.map(Box::new);
    Ok(Record { subject, payload, headers, sequence, pending, published_ns })
}

/// Sequence, time and count of pending messages, from the subject for acknowledgements:
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<delivery>.<time>.<pending>`, or the same with the
/// domain and the account's hash before the stream, and perhaps more behind.
fn parse_ack(reply: &str) -> anyhow::Result<(u64, i64, u64)> {
    let mut tokens = [&b""[..]; 9];
    let mut count = 0;
    // By bytes: this runs for every message, and a search in text is no faster on tokens this short.
    let tokens_of = reply.strip_prefix("$JS.ACK.").context("no acknowledgement's subject")?.as_bytes();
    for token in tokens_of.split(|byte| *byte == b'.').take(9) {
        tokens[count] = token;
        count += 1;
    }
    let [sequence, _, published_ns, pending] = match (count, tokens) {
        (7, [_, _, _, numbers @ .., _, _]) | (9, [_, _, _, _, _, numbers @ ..]) => numbers.map(number),
        _ => bail!("no acknowledgement's subject"),
    };
    let published_ns = published_ns.and_then(|number| i64::try_from(number).ok());
    let (sequence, published_ns, pending) =
        sequence.zip(published_ns).zip(pending).map(|((s, t), p)| (s, t, p)).context("no numbers")?;
    ensure!(sequence > 0, "the first message has number 1");
    Ok((sequence, published_ns, pending))
}

fn number(digits: &[u8]) -> Option<u64> {
    let value = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let more = |number: u64, byte| number.checked_mul(10)?.checked_add(value(byte)?);
    digits.iter().try_fold(0, more).filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{batch, parse_ack, record};

    #[test]
    fn fewer_large_messages_are_requested_at_once() {
        let of = |bytes: usize| {
            let reply = "$JS.ACK.TIDEMAP_0.abc.1.42.9.1700000000123456789.7";
            let message = async_nats::Message {
                subject: "a".into(),
                reply: Some(reply.into()),
                payload: vec![0; bytes].into(),
                headers: None,
                status: None,
                description: None,
                length: bytes,
            };
            batch(&[record(message).unwrap()])
        };
        assert_eq!([of(200), of(8_192), of(65_536)], [Some(16_384), Some(4_096), Some(512)]);
        assert_eq!((of(0), batch(&[])), (None, None));
    }

    #[test]
    fn both_forms_of_the_subject_are_parsed() {
        let expected = (42, 1_700_000_000_123_456_789, 7);
        assert_eq!(parse_ack("$JS.ACK.TIDEMAP_0.abc.1.42.9.1700000000123456789.7").unwrap(), expected);
        assert_eq!(
            parse_ack("$JS.ACK.hub.HASH.TIDEMAP_0.abc.1.42.9.1700000000123456789.7").unwrap(),
            expected
        );
        assert_eq!(
            parse_ack("$JS.ACK.hub.HASH.TIDEMAP_0.abc.1.42.9.1700000000123456789.7.rnd").unwrap(),
            expected
        );
    }

    #[test]
    fn other_subjects_are_rejected() {
        for reply in ["", "_INBOX.x", "$JS.ACK.a.b", "$JS.ACK.s.c.1.0.9.5.7", "$JS.ACK.s.c.1.x.9.5.7"] {
            assert!(parse_ack(reply).is_err(), "{reply}");
        }
    }
}
