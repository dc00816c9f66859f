//! Messages of the stream, gathered until they are stored together.

use tidemap_service::log_reader::{LogEvent, LogPosition, Record};
use tidemap_wire::{LateSample, MinuteRow, Minutes, NodeId, SecondSums, bounds, decode};

use crate::store::Batch;

/// Rows that are stored together at most: some 10 MB of memory.
const MAX_ROWS: usize = 50_000;

/// What was read and is not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    position: LogPosition,
    batch: Batch,
    /// The stream's newest message that is known of; 0 before it was opened.
    last: u64,
    /// Whether messages before the next one may be lost.
    is_lossy: bool,
    /// Messages that could not be read, since the start.
    unreadable: u64,
    /// Rows and late samples of minutes that cannot be right, since the start.
    refused: u64,
    /// Rows and late samples of which a part was cut off, since the start.
    cut: u64,
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

    /// Rows and late samples of minutes that cannot be right, since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
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
                self.is_lossy = true;
            }
            LogEvent::Shortened { left } => {
                tracing::warn!(left = left.applied, "the history's stream has lost its end");
                self.is_lossy |= self.pending() > 0;
                self.position = left;
            }
            LogEvent::Recreated => {
                tracing::warn!("the history's stream was created again");
                // What the old one had to the end is not known to who did not read it.
                self.is_lossy |= self.pending() > 0 || self.last == 0;
                self.position = LogPosition::default();
            }
            LogEvent::Interrupted { missing } => tracing::debug!(missing, "the history's stream is not read"),
        }
    }

    fn take_message(&mut self, record: &Record) {
        self.position.pass(record.sequence, record.published_ns);
        self.last = self.last.max(record.sequence + record.pending);
        // The broker's own time: the message's may be of a worker whose clock is wrong.
        let stored_ms = record.published_ns / 1_000_000;
        self.batch.begun_ms =
            if self.batch.at_ms == 0 { stored_ms } else { self.batch.begun_ms.min(stored_ms) };
        self.batch.at_ms = self.batch.at_ms.max(stored_ms);
        if std::mem::take(&mut self.is_lossy) {
            self.batch.lost_before_ms = self.batch.lost_before_ms.max(Some(stored_ms));
        }
        let Some((rows, late, seconds)) = read(&record.payload) else {
            count(
                &mut self.unreadable,
                1,
                "a message of the history's stream cannot be read",
                &record.subject,
            );
            return;
        };
        // Whatever a message contains, it can spoil no sum and no other minute.
        let (mut refused, mut cut) = (0, 0);
        let mut admit = |minute: u32| {
            let is_plausible = bounds::is_plausible_minute(minute, stored_ms);
            refused += u64::from(!is_plausible);
            is_plausible
        };
        let rows = rows.into_iter().filter(|(_, row)| admit(row.minute));
        self.batch.rows.extend(rows.map(|(node, mut row)| {
            cut += u64::from(row.bound());
            (node, row)
        }));
        let late = late.into_iter().filter(|(_, late)| admit(late.minute));
        self.batch.late.extend(late.map(|(node, mut late)| {
            cut += u64::from(late.bound());
            (node, late)
        }));
        self.batch.seconds.extend(seconds.into_iter().filter(|sums| admit(sums.minute)));
        count(
            &mut self.refused,
            refused,
            "rows of minutes that cannot be right are refused",
            &record.subject,
        );
        count(
            &mut self.cut,
            cut,
            "rows have more in them than a minute can have, which is cut off",
            &record.subject,
        );
    }

    /// Whether there is as much as should be stored at once.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.rows.len() + self.batch.late.len() + self.batch.seconds.len() >= MAX_ROWS
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

type Rows = Vec<(NodeId, MinuteRow)>;
type Late = Vec<(NodeId, LateSample)>;

/// A message's rows, late samples and sums by the second; `None` if it is not a message of minutes.
fn read(payload: &[u8]) -> Option<(Rows, Late, Vec<SecondSums>)> {
    let minutes: Minutes = decode(payload).ok()?;
    let rows = minutes.rows().ok()?.into_iter().map(|(node, row)| (node.clone(), row)).collect();
    let late = minutes.late().ok()?.into_iter().map(|(node, late)| (node.clone(), late)).collect();
    Some((rows, late, minutes.seconds().ok()?))
}

fn count(all: &mut u64, more: u64, what: &str, subject: &str) {
    let before = *all;
    *all += more;
    // At most one line for each doubling, so that there is never a flood of lines.
    if more > 0 && before.checked_ilog2() != all.checked_ilog2() {
        tracing::warn!(count = *all, subject, "{what}");
    }
}

#[cfg(test)]
mod tests;
