//! Reads a broker's stream from a position on, without end.
//!
//! Whatever goes wrong (an error, a gap, silence beyond the heartbeat, a deleted consumer, a wiped stream),
//! the reader creates a new consumer just after the last message that it has passed on. It ends only when it
//! is stopped.

mod delivery;
mod position;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::{
    datetime::DateTime,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::GetStreamError,
        stream,
    },
};
use tidemap_wire::Slot;
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};
use tokio_util::sync::CancellationToken;

use self::delivery::Delivery;
pub use self::{
    delivery::Record,
    position::{LogPosition, MessageId},
};
use crate::{causes::causes, streams};

/// The broker deletes a consumer without requests after this.
const INACTIVE: Duration = Duration::from_secs(30);
/// Between attempts to read again. The first attempt follows at once, because the page stands still
/// meanwhile.
const RETRY: Duration = Duration::from_millis(250);
/// An answer usually comes long before this. A request sent while a leader changes is lost, so after this
/// it is sent once more.
const REPEAT_AFTER: Duration = Duration::from_millis(500);
/// For an answer of a stream's leader. A new leader answers no request from before its election.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// For a new consumer, of which all its servers must know.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(5);

/// What reading a stream yields.
#[derive(Debug)]
pub enum LogEvent {
    /// Reading begins, or begins again.
    Opened {
        /// Sequence number of the newest message; 0 when the stream is empty.
        last: u64,
        /// When the stream was created.
        created_ns: i64,
    },
    /// Reading was interrupted. It will begin again, with `Opened`.
    Interrupted {
        /// Whether the stream itself is gone, with everything that the broker had.
        missing: bool,
    },
    /// Messages in order.
    Messages(Vec<Record>),
    /// The stream dropped messages before they could be read.
    Lost {
        /// How many.
        count: u64,
    },
    /// The stream has lost its end in a crash, and gives those numbers to other messages.
    Shortened {
        /// The newest message that was passed on and is left.
        left: LogPosition,
    },
    /// The stream was created again, and its numbers start over.
    Recreated,
}

/// What a stream contains, and so how its numbers are to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The samples of exactly these slots, alone or in packs. No number may be missing.
    Samples(Vec<Slot>),
    /// Samples of a closed stream.
    Closed,
    /// What owners tell the history.
    Minutes,
    /// The values of a bucket, which drops old ones. It is small, and read from its beginning again after an
    /// interruption.
    Bucket,
}

impl Content {
    /// Rejects a stream for another number of partitions: it has other partitions' messages, too.
    ///
    /// # Errors
    ///
    /// When it is such a stream.
    pub fn check(&self, stream: &stream::Info) -> anyhow::Result<()> {
        let Self::Samples(slots) = self else { return Ok(()) };
        anyhow::ensure!(
            streams::is_cut_for(stream, slots),
            "the stream was created for another number of partitions"
        );
        Ok(())
    }
}

/// A stream to be read.
#[derive(Clone, Debug)]
pub struct LogReader {
    /// The stream's name.
    pub stream: String,
    /// What it contains.
    pub content: Content,
    /// What the reader learns of its end.
    pub end: LogEnd,
}

/// The number of the newest message that a stream is known to have, read or not. Shared, because the reader
/// knows of messages that its receiver has not taken from the channel.
#[derive(Clone, Debug, Default)]
pub struct LogEnd(Arc<AtomicU64>);

impl LogEnd {
    /// The number; 0 before any is known.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn observe(&self, record: &Record) {
        self.0.fetch_max(record.sequence + record.pending, Ordering::Relaxed);
    }

    /// The stream has lost its end, or was created again.
    fn cut(&self, applied: u64) {
        self.0.store(applied, Ordering::Relaxed);
    }
}

impl LogReader {
    /// Reads the messages after `position` until `stop`. A full channel only slows the reading.
    pub async fn read(
        self,
        mut position: LogPosition,
        js: jetstream::Context,
        events: mpsc::Sender<LogEvent>,
        stop: CancellationToken,
    ) {
        let mut was_open = false;
        while let Some(result) =
            stop.run_until_cancelled(self.read_once(&js, &mut position, &events, &mut was_open)).await
        {
            match result {
                // The receiver is gone.
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(
                        stream = self.stream,
                        position.applied,
                        "reading again: {}",
                        causes(error.as_ref())
                    );
                    let missing = error.downcast_ref::<GetStreamError>().is_some_and(streams::is_missing);
                    if events.send(LogEvent::Interrupted { missing }).await.is_err() {
                        return;
                    }
                    let pause = if std::mem::take(&mut was_open) { Duration::ZERO } else { RETRY };
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads with one consumer until something goes wrong. `was_open` becomes true once something was read.
    async fn read_once(
        &self,
        js: &jetstream::Context,
        position: &mut LogPosition,
        events: &mpsc::Sender<LogEvent>,
        was_open: &mut bool,
    ) -> anyhow::Result<()> {
        let stream = ask(ANSWER_TIMEOUT, || js.get_stream(&self.stream)).await??;
        let info = stream.cached_info();
        self.content.check(info)?;
        let created_ns = nanos(info.created);
        if let Some(change) = self.find(position, &stream).await? {
            self.end.cut(position.applied);
            if events.send(change).await.is_err() {
                return Ok(());
            }
        }
        // When all messages have expired, the newest number is that of a message that will not come.
        let last = if info.state.messages == 0 { 0 } else { info.state.last_sequence };
        let opened = LogEvent::Opened { last, created_ns };
        let wanted = consumer(position.applied + 1);
        let consumer = ask(CONSUMER_TIMEOUT, || stream.create_consumer(wanted.clone())).await??;
        let name = consumer.cached_info().name.clone();
        let mut messages = Delivery::open(js.client(), &self.stream, &name).await?;
        if events.send(opened).await.is_err() {
            return Ok(());
        }
        let mut first = true;
        loop {
            let mut records = messages.next().await?;
            if first && let Some(missing) = self.missing_before(&records, position) {
                // A new consumer starts exactly at the requested message, or at the oldest that is left. A
                // reader that begins with the oldest message has lost nothing when that message has expired
                // meanwhile.
                if position.applied_ns != 0 && events.send(LogEvent::Lost { count: missing }).await.is_err() {
                    return Ok(());
                }
                position.applied += missing;
            }
            if let Some(newest) = records.last() {
                self.end.observe(newest);
            }
            let whole = self.whole_part(&records, position);
            let is_whole = whole == records.len();
            records.truncate(whole);
            *was_open = true;
            if !records.is_empty() {
                records.iter().for_each(|record| position.pass(record.sequence, record.published_ns));
                first = false;
                if events.send(LogEvent::Messages(records)).await.is_err() {
                    return Ok(());
                }
            }
            // Everything before the gap was passed on; a new consumer begins just after it.
            anyhow::ensure!(is_whole, "a message is missing after {}", position.applied);
        }
    }

    /// Moves to the position after which reading begins. Returns an event when it is not where reading ended.
    async fn find(
        &self,
        position: &mut LogPosition,
        stream: &stream::Stream,
    ) -> anyhow::Result<Option<LogEvent>> {
        let info = stream.cached_info();
        let created_ns = nanos(info.created);
        if position.created_ns == 0 {
            position.created_ns = created_ns;
            return Ok(None);
        }
        if position.created_ns != created_ns || self.is_bucket() {
            // Nothing of this stream was read, so none of its messages can be read twice.
            *position = LogPosition::beginning(info);
            return Ok(Some(LogEvent::Recreated));
        }
        let left = position.left_in(stream).await?;
        let is_whole = left == *position;
        position.clone_from(&left);
        Ok((!is_whole).then_some(LogEvent::Shortened { left }))
    }

    fn is_bucket(&self) -> bool {
        self.content == Content::Bucket
    }

    /// How many messages are missing between a position and the first record.
    fn missing_before(&self, records: &[Record], position: &LogPosition) -> Option<u64> {
        let first = records.first().filter(|_| !self.is_bucket())?;
        first.sequence.checked_sub(position.applied + 1).filter(|missing| *missing > 0)
    }

    /// How many records follow a position without a gap.
    fn whole_part(&self, records: &[Record], position: &LogPosition) -> usize {
        if self.is_bucket() {
            return records.len();
        }
        let follows = |(record, expected): &(&Record, u64)| record.sequence == *expected;
        records.iter().zip(position.applied + 1..).take_while(follows).count()
    }
}

/// A broker's time, Unix nanoseconds.
pub fn nanos(time: DateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// Sends a request, and sends it again when its answer does not come soon.
async fn ask<F: Future>(limit: Duration, request: impl Fn() -> F) -> Result<F::Output, Elapsed> {
    match timeout(REPEAT_AFTER, request()).await {
        Ok(answer) => Ok(answer),
        Err(_) => timeout(limit, request()).await,
    }
}

fn consumer(start_sequence: u64) -> pull::Config {
    pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        // State is rebuilt from the log, so the broker need not remember what was read.
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    }
}
