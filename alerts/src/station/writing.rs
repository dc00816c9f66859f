//! What the station writes into the bucket.

use tidemap_client::{
    AlertWriter, ClearRecord, KeyWrite, NoticeRecord, PendingRecord, Stored, Written, clear_key, notice_key,
    pending_key,
};
use tokio::time::Instant;

use super::{SECOND, Station};
use crate::{
    lease_task::Room,
    ledger::{RecordWrite, mend},
    sending::routes,
};

/// How often what is due is written in one tick: records, their notices, and once more where another station
/// was faster.
const ROUNDS: usize = 4;
/// Writes of timers take at most one in as many parts of the time.
const TIMERS_SHARE: u32 = 10;
/// Keys that are removed at once at most.
const MAX_REMOVED: usize = 200;

impl Station {
    /// Writes changes and the notices that tell of them.
    pub(super) async fn write(&mut self, writer: &AlertWriter, now_ms: i64) {
        let mut is_waiting = false;
        for round in 0..ROUNDS {
            let mut writes = Vec::new();
            if self.may_be_untold {
                // Notices of one alert are of different rounds, and a channel gets them by their moments.
                let at_ms = now_ms + round as i64;
                let mending = mend(&self.bucket, at_ms, |notice| routes(&self.file, notice));
                self.may_be_untold = false;
                writes.extend(mending.records.iter().filter_map(write_of));
                writes.extend(mending.notices.iter().filter_map(|notice| {
                    let key = notice_key(&notice.notice.id);
                    key_write(key, notice, 0)
                }));
            }
            if writes.is_empty() && !self.ledger.is_empty() {
                let due = self.ledger.due(&self.bucket, self.started.now_ms());
                if let Some(judge) = &mut self.judge {
                    due.others.into_iter().for_each(|other| judge.adopt(other, now_ms));
                }
                writes.extend(due.writes.iter().filter_map(write_of));
            }
            // What is left out waits until there is room.
            match self.room() {
                Room::Enough => {}
                Room::Little => writes.retain(|write| !write.is_new_alert()),
                Room::Reserve => {
                    writes.retain(|write| !write.is_new());
                    is_waiting = true;
                }
            }
            if writes.is_empty() {
                // Notices that wait are to be made later.
                self.may_be_untold |= is_waiting;
                return;
            }
            self.may_be_untold = true;
            if self.put(writer, writes).await.stored == 0 {
                // Another station was faster, or the broker is away: the next tick sees.
                return;
            }
        }
    }

    /// Writes what does not fire yet, and since when what fires on is clear, at most once a second, so that
    /// `for` and `keep_firing_for` go on where this station ends.
    pub(super) async fn write_timers(&mut self, writer: &AlertWriter, now: Instant) {
        if now < self.timers_due {
            return;
        }
        let Some(timers) = self.judge.as_mut().and_then(|judge| judge.take_timers()) else { return };
        let is_full = self.is_full();
        let mut writes: Vec<(KeyWrite, Option<usize>)> = Vec::new();
        let mut parts = PendingRecord::parts(timers.pending).into_iter();
        for part in 0.. {
            let key = pending_key(part);
            let known = self.bucket.pending.get(&key);
            let Some(value) = next_part(parts.next(), known.is_some()) else { break };
            writes.extend(part_write(key, &PendingRecord::new(value), known, is_full));
        }
        let mut parts = timers.clear.chunks(ClearRecord::MAX_CLEAR).map(<[_]>::to_vec);
        for part in 0.. {
            let key = clear_key(part);
            let known = self.bucket.clear.get(&key);
            let Some(value) = next_part(parts.next(), known.is_some()) else { break };
            writes.extend(part_write(key, &ClearRecord::new(value), known, is_full));
        }
        let begun = Instant::now();
        let count = writes.len();
        // What takes more room than before waits while there is little.
        writes.retain(|(write, before)| !is_full || before.is_some_and(|before| write.size() <= before));
        let writes = writes.into_iter().map(|(write, _)| write).collect();
        let is_stored = self.put(writer, writes).await.stored == count;
        // Whoever judges next must not end an alert by what it says of before.
        self.say(|status| status.knows_clear = is_stored);
        if let Some(judge) = self.judge.as_mut().filter(|_| !is_stored) {
            judge.put_back_timers();
        }
        self.timers_due = begun + SECOND.max(begun.elapsed() * TIMERS_SHARE);
    }

    /// Notes that a channel has a notice, or has given it up.
    pub(super) async fn settle(
        &mut self,
        writer: &AlertWriter,
        channel: &str,
        id: &str,
        is_delivered: bool,
        now_ms: i64,
    ) {
        for _ in 0..ROUNDS {
            let Some(Stored { revision, value }) = self.bucket.notices.get(id) else { return };
            if !value.undelivered.contains(channel) {
                return;
            }
            let notified: NoticeRecord = value.without(channel, is_delivered, now_ms);
            let write = key_write(notice_key(id), &notified, *revision);
            let before = *revision;
            self.put(writer, write.into_iter().collect()).await;
            // Where nothing was stored and nothing learned, the next tick tries again.
            if self.bucket.notices.get(id).is_some_and(|stored| stored.revision == before) {
                return;
            }
        }
    }

    /// Removes what has been kept for long enough. A record first forgets its notice.
    pub(super) async fn clear_up(&mut self, writer: &AlertWriter, now_ms: i64) {
        for key in self.bucket.expired(now_ms, self.is_full()).into_iter().take(MAX_REMOVED) {
            let named = key.strip_prefix("n.").unwrap_or_default();
            let members = self
                .bucket
                .records
                .iter()
                .filter(|(_, stored)| !named.is_empty() && stored.value.notice.as_deref() == Some(named));
            let notified = members.filter_map(|(key, Stored { revision, value })| {
                let mut record = value.clone();
                record.notice = None;
                key_write(key.clone(), &record, *revision)
            });
            let notified: Vec<KeyWrite> = notified.collect();
            let count = notified.len();
            if self.put(writer, notified).await.stored < count {
                return;
            }
            if let Err(error) = writer.purge(&key, &mut self.bucket).await {
                tracing::debug!(key, "not removed: {error:#}");
                return;
            }
        }
    }

    /// Writes keys again that the broker has lost; this station's memory is all that is left of them.
    pub(super) async fn write_again(&mut self, writer: &AlertWriter, keys: Vec<String>) {
        let lost = keys.iter().filter(|key| self.bucket.revision(key) == Some(0));
        let writes = lost.filter_map(|key| encoded(self.bucket.write_again(key)).flatten());
        let writes: Vec<_> = writes.collect();
        self.put(writer, writes).await;
    }

    /// Writes, and keeps in mind whether the broker refuses that.
    async fn put(&mut self, writer: &AlertWriter, writes: Vec<KeyWrite>) -> Written {
        if writes.is_empty() {
            return Written::default();
        }
        let mut written = writer.write(writes, &mut self.bucket).await;
        let failure = written.failure.take();
        if let Some(failure) = failure.as_ref().filter(|_| self.refused.is_none()) {
            tracing::warn!(values = written.failed, "alerts are not written, such as {failure}");
        }
        self.refused = failure;
        written
    }

    /// Whether the bucket takes no more alerts.
    pub(super) fn is_full(&self) -> bool {
        self.room() != Room::Enough
    }

    fn room(&self) -> Room {
        self.held.borrow().map_or(Room::Enough, |held| held.room)
    }
}

fn write_of(write: &RecordWrite) -> Option<KeyWrite> {
    key_write(write.key.clone(), &write.record, write.revision)
}

fn key_write(key: String, value: &impl serde::Serialize, revision: u64) -> Option<KeyWrite> {
    encoded(KeyWrite::new(key, value, revision))
}

/// What the next part of timers holds: nothing where there were more before, and `None` after the last.
fn next_part<T>(part: Option<Vec<T>>, is_known: bool) -> Option<Vec<T>> {
    part.or_else(|| is_known.then(Vec::new))
}

/// A write of a part that is not in the bucket, and if that is full, the size of what it replaces.
fn part_write<T: serde::Serialize + PartialEq>(
    key: String,
    value: &T,
    known: Option<&Stored<T>>,
    is_full: bool,
) -> Option<(KeyWrite, Option<usize>)> {
    let has_changed = known.is_none_or(|known| known.value != *value);
    let write =
        has_changed.then(|| key_write(key, value, known.map_or(0, |known| known.revision))).flatten()?;
    let before = known.filter(|_| is_full).and_then(|known| serde_json::to_vec(&known.value).ok());
    Some((write, before.map(|before| before.len())))
}

fn encoded<T>(write: anyhow::Result<T>) -> Option<T> {
    write
        .inspect_err(|error| tracing::error!("a value of the alerts' bucket cannot be written: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use tidemap_client::Clear;

    use super::*;

    #[test]
    fn a_part_of_timers_knows_whether_it_grows() {
        let clear = |count| ClearRecord::new(vec![Clear::default(); count]);
        let known = Stored { revision: 3, value: clear(2) };
        let grows = |value: ClearRecord, known: Option<&Stored<ClearRecord>>| {
            let (write, before) = part_write("c.0".to_owned(), &value, known, true)?;
            Some(before.is_none_or(|before| write.size() > before))
        };
        assert_eq!(grows(clear(2), Some(&known)), None);
        assert_eq!(grows(clear(1), Some(&known)), Some(false));
        assert_eq!(grows(clear(3), Some(&known)), Some(true));
        assert_eq!(grows(clear(1), None), Some(true));
    }
}
