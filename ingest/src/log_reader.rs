//! A broker stream read from some message on, for as long as it takes.
//!
//! Whatever goes wrong (an error, a gap, silence beyond the heartbeat, a deleted consumer, a wiped stream), the reader
//! makes a new consumer just after the last message it has passed on. It never ends before it is told to.

mod delivery;
mod position;

use std::time::Duration;

use async_nats::{
    datetime::DateTime,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::GetStreamError,
        stream,
    },
};
use tidemap_service::streams;
use tidemap_wire::Slot;
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};
use tokio_util::sync::CancellationToken;

use delivery::Delivery;
pub use delivery::Record;
pub use position::{LogPosition, MessageId};

/// A consumer that nobody asks any more is dropped by the broker after this.
const INACTIVE: Duration = Duration::from_secs(30);
/// Between attempts to read again, of which the first follows at once: the page stands still meanwhile.
const RETRY: Duration = Duration::from_millis(250);
/// An answer usually is there long before. What is asked while a leader changes is heard by nobody, so after this it is
/// asked once more.
const SOON: Duration = Duration::from_millis(500);
/// For an answer of a stream's leader. One that is electing its leader answers no question from before.
const PATIENCE: Duration = Duration::from_secs(2);
/// For a new consumer, which all its servers must know of.
const CONSUMER_PATIENCE: Duration = Duration::from_secs(5);

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
    Messages(Vec<Record>),
    /// Messages that the stream no longer holds: they were dropped before they could be read.
    Lost {
        /// How many.
        count: u64,
    },
    /// The stream has lost its end in a crash, and gives those numbers to other messages.
    Shortened {
        /// The newest message that was passed on and is left.
        left: LogPosition,
    },
    /// The stream was made anew: its numbers start over.
    Recreated,
}

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The samples of just these slots, alone or in packs; every number must come.
    Samples(Vec<Slot>),
    /// Samples, and no more to come.
    Closed,
    /// The keys of a bucket, whose old values vanish. It is small, and read from its beginning again whenever that was
    /// interrupted.
    Bucket,
}

impl Content {
    /// Refuses a stream that is cut for another number of partitions: its messages are not ours alone.
    ///
    /// # Errors
    ///
    /// When it is.
    pub fn check(&self, stream: &stream::Info) -> anyhow::Result<()> {
        let Self::Samples(slots) = self else { return Ok(()) };
        anyhow::ensure!(
            streams::is_cut_for(stream, slots),
            "the stream is cut for another number of partitions"
        );
        Ok(())
    }
}

/// Which stream, and how its numbers are to be understood.
#[derive(Clone, Debug)]
pub struct LogReader {
    /// The stream's name.
    pub stream: String,
    /// What it holds.
    pub content: Content,
}

impl LogReader {
    /// Reads what comes behind `place` until `stop`. A full channel slows the reading, nothing else.
    pub async fn read(
        self,
        mut place: LogPosition,
        js: jetstream::Context,
        events: mpsc::Sender<LogEvent>,
        stop: CancellationToken,
    ) {
        let mut was_open = false;
        while let Some(result) =
            stop.run_until_cancelled(self.read_once(&js, &mut place, &events, &mut was_open)).await
        {
            match result {
                // The receiver is gone: nobody wants to know.
                Ok(()) => return,
                Err(error) => {
                    tracing::debug!(stream = self.stream, place.applied, "reading again: {error:#}");
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

    /// Reads with one consumer until something goes wrong. Says whether anything could be read before.
    async fn read_once(
        &self,
        js: &jetstream::Context,
        place: &mut LogPosition,
        events: &mpsc::Sender<LogEvent>,
        was_open: &mut bool,
    ) -> anyhow::Result<()> {
        let stream = asked(PATIENCE, || js.get_stream(&self.stream)).await??;
        let info = stream.cached_info();
        self.content.check(info)?;
        let created_ns = nanos(info.created);
        if let Some(news) = self.find(place, &stream).await?
            && events.send(news).await.is_err()
        {
            return Ok(());
        }
        // When everything has aged away, the newest number is that of a message that will not come.
        let last = if info.state.messages == 0 { 0 } else { info.state.last_sequence };
        let opened = LogEvent::Opened { last, created_ns };
        let wanted = consumer(place.applied + 1);
        let consumer = asked(CONSUMER_PATIENCE, || stream.create_consumer(wanted.clone())).await??;
        let name = consumer.cached_info().name.clone();
        let mut messages = Delivery::open(js.client(), &self.stream, &name).await?;
        if events.send(opened).await.is_err() {
            return Ok(());
        }
        let mut first = true;
        loop {
            let mut records = messages.next().await?;
            if first && let Some(missing) = self.missing_before(&records, place) {
                // A new consumer starts exactly where we asked, or at the oldest message that is left. Who begins with the
                // oldest one misses nothing when that has gone meanwhile.
                if place.applied_ns != 0 && events.send(LogEvent::Lost { count: missing }).await.is_err() {
                    return Ok(());
                }
                place.applied += missing;
            }
            let whole = self.whole_part(&records, place);
            let is_whole = whole == records.len();
            records.truncate(whole);
            *was_open = true;
            if !records.is_empty() {
                records.iter().for_each(|record| place.pass(record.sequence, record.published_ns));
                first = false;
                if events.send(LogEvent::Messages(records)).await.is_err() {
                    return Ok(());
                }
            }
            // What was whole has been passed on; a new consumer begins just behind it.
            anyhow::ensure!(is_whole, "a message is missing after {}", place.applied);
        }
    }

    /// Goes to the place behind which reading begins, and tells when it is not the one where it ended.
    async fn find(
        &self,
        place: &mut LogPosition,
        stream: &stream::Stream,
    ) -> anyhow::Result<Option<LogEvent>> {
        let info = stream.cached_info();
        let created_ns = nanos(info.created);
        if place.created_ns == 0 {
            place.created_ns = created_ns;
            return Ok(None);
        }
        if place.created_ns != created_ns || self.is_bucket() {
            // Nothing of this stream was read, so no message of it can be read twice.
            *place = LogPosition::beginning(info);
            return Ok(Some(LogEvent::Recreated));
        }
        let left = place.left_in(stream).await?;
        let is_whole = left == *place;
        place.clone_from(&left);
        Ok((!is_whole).then_some(LogEvent::Shortened { left }))
    }

    fn is_bucket(&self) -> bool {
        self.content == Content::Bucket
    }

    /// How many messages are missing between a place and the first record.
    fn missing_before(&self, records: &[Record], place: &LogPosition) -> Option<u64> {
        let first = records.first().filter(|_| !self.is_bucket())?;
        first.sequence.checked_sub(place.applied + 1).filter(|missing| *missing > 0)
    }

    /// How many records follow a place without a gap.
    fn whole_part(&self, records: &[Record], place: &LogPosition) -> usize {
        if self.is_bucket() {
            return records.len();
        }
        let follows = |(record, expected): &(&Record, u64)| record.sequence == *expected;
        records.iter().zip(place.applied + 1..).take_while(follows).count()
    }
}

/// A broker's time, Unix nanoseconds.
pub fn nanos(time: DateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// The broker's answer to a question, which is asked again when it does not come soon.
async fn asked<F: Future>(patience: Duration, ask: impl Fn() -> F) -> Result<F::Output, Elapsed> {
    match timeout(SOON, ask()).await {
        Ok(answer) => Ok(answer),
        Err(_) => timeout(patience, ask()).await,
    }
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
