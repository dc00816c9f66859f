//! A broker stream read from some message on, for as long as it takes.
//!
//! Whatever goes wrong (an error, a gap, silence beyond the heartbeat, a deleted consumer, a wiped stream), the reader
//! makes a new consumer just after the last message it has passed on. It never ends before it is told to.

use std::time::Duration;

use anyhow::Context;
use async_nats::{
    datetime::DateTime,
    jetstream::{
        self, ErrorCode, Message,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::{GetStreamError, GetStreamErrorKind},
    },
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages asked for at once: fewer cost round trips, more cost memory.
const BATCH: usize = 4_096;
/// The broker speaks at least this often, so silence means a lost link.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long one request for messages stands.
const EXPIRES: Duration = Duration::from_secs(30);
/// A consumer that nobody asks any more is dropped by the broker after this.
const INACTIVE: Duration = Duration::from_secs(30);
/// Between attempts to read again.
const RETRY: Duration = Duration::from_millis(250);
/// For one answer of the broker.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a stream says.
#[derive(Debug)]
pub enum LogEvent {
    /// Reading begins, or begins again. `last` is the newest message that the stream holds.
    Opened {
        /// Sequence number of the newest message; 0 when the stream is empty.
        last: u64,
        /// When the stream was made.
        created_ns: i64,
    },
    /// Reading has stopped; it will begin again, with `Opened`.
    Interrupted {
        /// Whether the stream itself is gone, with whatever the broker kept.
        missing: bool,
    },
    /// Messages in order.
    Messages(Vec<Message>),
    /// Messages that the stream no longer holds: they were dropped before they could be read.
    Lost {
        /// How many.
        count: u64,
    },
    /// The stream was made anew: its numbers start over.
    Recreated,
}

/// How far a stream was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the stream was made: one that was made anew has the same name and other messages. 0 before it was read.
    pub created_ns: i64,
    /// The newest message that was passed on.
    pub applied: u64,
    /// When the broker stored that message: a stream that lost its end gives the number to another one.
    pub applied_ns: i64,
}

/// Which stream, and how its numbers are to be understood.
#[derive(Clone, Debug)]
pub struct Log {
    /// The stream's name.
    pub stream: String,
    /// Whether every number must come: true for samples, false for a bucket, where old values of a key vanish.
    pub gapless: bool,
}

impl Log {
    /// Reads what comes behind `place` until `stop`. A full channel slows the reading, nothing else.
    pub async fn read(
        self,
        mut place: Place,
        js: jetstream::Context,
        events: mpsc::Sender<LogEvent>,
        stop: CancellationToken,
    ) {
        while let Some(result) = stop.run_until_cancelled(self.read_once(&js, &mut place, &events)).await {
            match result {
                // The receiver is gone: nobody wants to know.
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(stream = self.stream, place.applied, "reading again: {error:#}");
                    let missing = error.downcast_ref::<GetStreamError>().is_some_and(is_missing);
                    if events.send(LogEvent::Interrupted { missing }).await.is_err() {
                        return;
                    }
                    if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads with one consumer until something goes wrong.
    async fn read_once(
        &self,
        js: &jetstream::Context,
        place: &mut Place,
        events: &mpsc::Sender<LogEvent>,
    ) -> anyhow::Result<()> {
        let stream = tokio::time::timeout(PATIENCE, js.get_stream(&self.stream)).await??;
        let info = stream.cached_info();
        let created_ns = nanos(info.created);
        let is_another = place.created_ns != 0 && place.created_ns != created_ns;
        place.created_ns = created_ns;
        // A broker that lost its unsynced tail keeps the stream, with lower numbers.
        if is_another || info.state.last_sequence < place.applied {
            // What the stream has dropped before we came is not missed: either it was applied, or it never was ours.
            place.applied = info.state.first_sequence.saturating_sub(1);
            if events.send(LogEvent::Recreated).await.is_err() {
                return Ok(());
            }
        }
        // When everything has aged away, the newest number is that of a message that will not come.
        let last = if info.state.messages == 0 { 0 } else { info.state.last_sequence };
        let opened = LogEvent::Opened { last, created_ns };
        let consumer =
            tokio::time::timeout(PATIENCE, stream.create_consumer(consumer(place.applied + 1))).await??;
        let messages = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES)
            .messages()
            .await?;
        if events.send(opened).await.is_err() {
            return Ok(());
        }
        let mut first = true;
        let mut chunks = messages.ready_chunks(1_024);
        while let Some(chunk) = chunks.next().await {
            let mut batch = Vec::with_capacity(chunk.len());
            let failure = self.take(chunk, place, &mut batch, &mut first, events).await.err();
            if !batch.is_empty() && events.send(LogEvent::Messages(batch)).await.is_err() {
                return Ok(());
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        anyhow::bail!("the consumer ended")
    }

    /// Moves a chunk into a batch as far as it is whole.
    async fn take(
        &self,
        chunk: Vec<Result<Message, pull::MessagesError>>,
        place: &mut Place,
        batch: &mut Vec<Message>,
        first: &mut bool,
        events: &mpsc::Sender<LogEvent>,
    ) -> anyhow::Result<()> {
        for message in chunk {
            let message = message?;
            let info = message.info().map_err(anyhow::Error::from_boxed).context("no message of a stream")?;
            let (sequence, published) = (info.stream_sequence, info.published);
            let expected = place.applied + 1;
            if self.gapless && sequence != expected {
                // A new consumer starts exactly where we asked, or at the oldest message that is left.
                anyhow::ensure!(*first && sequence > expected, "expected message {expected}, got {sequence}");
                events.send(LogEvent::Lost { count: sequence - expected }).await?;
            }
            *first = false;
            (place.applied, place.applied_ns) = (sequence, nanos(published));
            batch.push(message);
        }
        Ok(())
    }
}

/// A broker's time, Unix nanoseconds.
pub fn nanos(time: DateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn consumer(start_sequence: u64) -> pull::Config {
    pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        // State is rebuilt from the log, so the broker need not remember what we have read.
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    }
}
