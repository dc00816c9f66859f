//! Messages of the stream, gathered until they are stored together.

use tidemap_service::log_reader::{LogEvent, LogPosition, Record};
use tidemap_wire::{Minutes, decode};

use crate::store::Batch;

/// Rows that are stored together at most: some 10 MB of memory.
const MAX_ROWS: usize = 50_000;

/// What was read and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    position: LogPosition,
    batch: Batch,
    /// The stream's newest message that is known of.
    last: u64,
    /// Messages that could not be read, since the start.
    unreadable: u64,
}

impl Intake {
    /// Goes on after a place as a batch contains it. A place that cannot be read is that before the first
    /// message.
    pub(crate) fn after(place: Option<&[u8]>) -> Self {
        let position = place.and_then(|place| serde_json::from_slice(place).ok()).unwrap_or_default();
        Self { position, ..Self::default() }
    }

    /// Where reading goes on.
    pub(crate) fn position(&self) -> &LogPosition {
        &self.position
    }

    /// Messages that the stream has after the newest that was taken.
    pub(crate) fn pending(&self) -> u64 {
        self.last.saturating_sub(self.position.applied)
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, event: LogEvent) {
        match event {
            LogEvent::Opened { last, created_ns } => {
                self.position.created_ns = created_ns;
                self.last = last;
            }
            LogEvent::Messages(records) => records.iter().for_each(|record| self.take_message(record)),
            LogEvent::Lost { count } => {
                tracing::warn!(count, "messages of the history's stream had expired before they were read");
                self.position.applied += count;
            }
            LogEvent::Shortened { left } => {
                tracing::warn!(left = left.applied, "the history's stream has lost its end");
                self.position = left;
            }
            LogEvent::Recreated => {
                tracing::warn!("the history's stream was created again");
                self.position = LogPosition::default();
            }
            LogEvent::Interrupted { missing } => tracing::debug!(missing, "the history's stream is not read"),
        }
    }

    fn take_message(&mut self, record: &Record) {
        self.position.pass(record.sequence, record.published_ns);
        self.last = self.last.max(record.sequence + record.pending);
        let rows = decode::<Minutes>(&record.payload).ok().and_then(|minutes| {
            let rows =
                minutes.rows().ok()?.into_iter().map(|(node, row)| (node.clone(), row)).collect::<Vec<_>>();
            let late = minutes
                .late()
                .ok()?
                .into_iter()
                .map(|(node, sample)| (node.clone(), sample))
                .collect::<Vec<_>>();
            Some((rows, late))
        });
        // The broker's own time: the message's may be of a worker whose clock is wrong.
        let stored_ms = record.published_ns / 1_000_000;
        self.batch.begun_ms =
            if self.batch.at_ms == 0 { stored_ms } else { self.batch.begun_ms.min(stored_ms) };
        self.batch.at_ms = self.batch.at_ms.max(stored_ms);
        if let Some((rows, late)) = rows {
            self.batch.rows.extend(rows);
            self.batch.late.extend(late);
            return;
        }
        self.unreadable += 1;
        // Logs the 1st, 2nd, 4th, 8th, …, so that there is never a flood of lines.
        if self.unreadable.is_power_of_two() {
            tracing::warn!(count = self.unreadable, subject = %record.subject, "a message of the history's stream cannot be read");
        }
    }

    /// Whether there is as much as should be stored at once.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.rows.len() + self.batch.late.len() >= MAX_ROWS
    }

    /// What was taken and is not stored; none when there was no message.
    pub(crate) fn batch(&mut self) -> Option<&Batch> {
        if self.batch.at_ms == 0 {
            return None;
        }
        self.batch.place = serde_json::to_vec(&self.position).unwrap_or_default();
        Some(&self.batch)
    }

    /// The batch is stored.
    pub(crate) fn stored(&mut self) {
        self.batch = Batch::default();
    }
}
