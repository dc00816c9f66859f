//! The bucket `TIDEMAP_ALERTS`, as every alert station writes it and every API reads it: what is firing,
//! which notices are to be delivered, and which station judges. Pure: time comes in as an argument.
//!
//! A record names the notice that tells of its newest change. So one write both changes an alert and makes
//! its notice due: whoever judges next makes the notice from all records that name it, unless it exists.
//!
//! | key | value |
//! |---|---|
//! | `lease` | [`AlertLease`] |
//! | `a.<rule>.<target>` | [`AlertRecord`] |
//! | `n.<notice>` | [`NoticeRecord`] |
//! | `p.<part>` | [`PendingRecord`] |
//! | `c.<part>` | [`ClearRecord`] |
//! | `s.<id>` | [`SilenceRecord`] |
//!
//! Programs read over keys that they do not know, so a later version may add some.

mod keys;
mod values;
mod writer;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, de::DeserializeOwned};
use tidemap_service::{
    log_reader::{LogEvent, Record},
    streams,
};
use tidemap_wire::{AlertState, Silence};

pub use self::{
    keys::{
        CLEAR_KEYS, LEASE_KEY, clear_key, member, notice_id, notice_key, pending_key, record_key, silence_key,
    },
    values::{
        AlertLease, AlertRecord, AlertUpdate, Audience, ChannelCounts, Clear, ClearRecord, NoticeRecord,
        PendingRecord, SilenceRecord,
    },
    writer::{AlertWriter, KeyWrite, Written},
};
use self::{
    keys::{Key, split},
    values::ALERT_VERSION,
};

/// Alerts and notices that are kept in memory at most; further ones are skipped, and counted.
const MAX_KEYS: usize = 200_000;
/// A resolved alert is kept this long.
const RESOLVED_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// The most resolved alerts that are kept.
const RESOLVED_KEPT: usize = 5_000;
/// A notice that everybody has is kept this long, so that a station that stood still cannot make it again.
const NOTICE_KEPT_MS: i64 = 3_600_000;
/// And only this long while the bucket is full.
const NOTICE_KEPT_FULL_MS: i64 = 5 * 60_000;
/// A silence that is over is kept this long: somebody may have ended it early, and removing leaves no marker,
/// so a reader that was away would take it for one that goes on.
const SILENCE_KEPT_MS: i64 = 3_600_000;

/// A key's newest value, and its revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// What a compare-and-swap must name.
    pub revision: u64,
    /// The value.
    pub value: T,
}

/// What the bucket holds, as far as it was read.
#[derive(Debug, Default)]
pub struct AlertBucket {
    /// Alerts, by key.
    pub records: BTreeMap<String, Stored<AlertRecord>>,
    /// Notices, by id.
    pub notices: BTreeMap<String, Stored<NoticeRecord>>,
    /// What does not fire yet, by key.
    pub pending: BTreeMap<String, Stored<PendingRecord>>,
    /// What fires on although its condition is over, by key.
    pub clear: BTreeMap<String, Stored<ClearRecord>>,
    /// Silences, by id.
    pub silences: BTreeMap<String, Stored<SilenceRecord>>,
    /// Which station judges.
    pub lease: Option<Stored<AlertLease>>,
    /// Values that cannot be read, by key: why.
    pub skipped: BTreeMap<String, String>,
    /// The newest revision that was read; absent before reading began.
    read: Option<u64>,
    /// The bucket's newest revision when reading began.
    newest_at_open: u64,
    created_ns: i64,
    /// The keys that were found since reading began again, while that has not caught up.
    found: Option<BTreeSet<String>>,
    is_new_bucket: bool,
}

/// What reading has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum AlertNews {
    /// Nothing that others must know.
    None,
    /// The bucket is gone.
    Missing,
    /// All was read again. These keys were known, and are not in the bucket: they were removed, or it was
    /// created again.
    Read {
        /// The keys. Their values stay, under revision 0, until they are written again or forgotten.
        missing: Vec<String>,
        /// Whether the bucket was created again.
        is_new: bool,
    },
}

impl AlertBucket {
    /// Silences that are kept in memory at most, with those that are over; further ones are skipped, and
    /// counted.
    pub const MAX_SILENCES: usize = 1_000;

    /// Notes what was read.
    pub fn apply(&mut self, event: LogEvent) -> AlertNews {
        match event {
            LogEvent::Opened { last, created_ns } => {
                self.is_new_bucket = self.created_ns != 0 && self.created_ns != created_ns;
                self.created_ns = created_ns;
                (self.newest_at_open, self.read) = (last, Some(0));
                self.found = Some(BTreeSet::new());
                self.catch_up()
            }
            LogEvent::Messages(messages) => {
                for message in &messages {
                    self.read_record(message);
                }
                self.catch_up()
            }
            LogEvent::Interrupted { missing: true } => AlertNews::Missing,
            LogEvent::Interrupted { missing: false }
            | LogEvent::Recreated
            | LogEvent::Lost { .. }
            | LogEvent::Shortened { .. } => AlertNews::None,
        }
    }

    /// Whether everything was read that the bucket held when reading began.
    pub fn is_caught_up(&self) -> bool {
        self.read.is_some() && self.found.is_none()
    }

    /// Whether everything up to this revision was read.
    pub fn has_read(&self, revision: u64) -> bool {
        self.is_caught_up() && self.read.is_some_and(|read| read >= revision)
    }

    /// Notes a value that this process has written itself, or its absence, without waiting for the reader.
    pub fn note(&mut self, key: &str, value: Option<&[u8]>, revision: u64) {
        if self.revision(key).is_none_or(|known| known < revision) {
            self.set(key, value, revision);
        }
    }

    /// Forgets a key that was purged.
    pub fn forget(&mut self, key: &str) {
        self.set(key, None, 0);
    }

    /// The revision of a key's newest value, as far as it is known.
    pub fn revision(&self, key: &str) -> Option<u64> {
        match split(key) {
            Key::Lease => self.lease.as_ref().map(|stored| stored.revision),
            Key::Alert => self.records.get(key).map(|stored| stored.revision),
            Key::Notice(id) => self.notices.get(id).map(|stored| stored.revision),
            Key::Pending => self.pending.get(key).map(|stored| stored.revision),
            Key::Clear => self.clear.get(key).map(|stored| stored.revision),
            Key::Silence(id) => self.silences.get(id).map(|stored| stored.revision),
            Key::Other => None,
        }
    }

    /// The silences that go on at a moment, with their ids.
    pub fn silences_at(&self, now_ms: i64) -> impl Iterator<Item = (&str, &Silence)> {
        let all = self.silences.iter().map(|(id, stored)| (id.as_str(), &stored.value.silence));
        all.filter(move |(_, silence)| silence.until_ms > now_ms)
    }

    /// Keys that have been kept for long enough: silences that have ended, alerts that are over, and notices
    /// that everybody has, of which there may be many. These are kept for a shorter time while the bucket is
    /// full.
    pub fn expired(&self, now_ms: i64, is_full: bool) -> Vec<String> {
        let notice_kept_ms = if is_full { NOTICE_KEPT_FULL_MS } else { NOTICE_KEPT_MS };
        let resolved = |stored: &Stored<AlertRecord>| match stored.value.alert.state {
            AlertState::Resolved => stored.value.alert.resolved_ms,
            AlertState::Pending | AlertState::Firing => None,
        };
        let mut over: Vec<(i64, &String)> = self
            .records
            .iter()
            .filter(|(_, stored)| stored.value.notice.is_none())
            .filter_map(|(key, stored)| Some((resolved(stored)?, key)))
            .collect();
        over.sort_unstable_by(|a, b| b.cmp(a));
        let is_old = |index: usize, at_ms: i64| index >= RESOLVED_KEPT || now_ms - at_ms > RESOLVED_KEPT_MS;
        let records = over.iter().enumerate().filter(|(index, (at_ms, _))| is_old(*index, *at_ms));
        let records = records.map(|(_, (_, key))| (*key).clone());
        let is_done = |stored: &Stored<NoticeRecord>| {
            stored.value.settled_ms.is_some_and(|at_ms| now_ms - at_ms > notice_kept_ms)
        };
        let notices = self.notices.iter().filter(|(_, stored)| is_done(stored));
        let is_over = |silence: &Silence| now_ms.saturating_sub(silence.until_ms) > SILENCE_KEPT_MS;
        let silences = self.silences.iter().filter(|(_, stored)| is_over(&stored.value.silence));
        let silences = silences.map(|(id, _)| silence_key(id));
        silences.chain(records).chain(notices.map(|(id, _)| notice_key(id))).collect()
    }

    /// Removes what [`AlertBucket::expired`] names of a bucket with room.
    pub fn prune(&mut self, now_ms: i64) {
        for key in self.expired(now_ms, false) {
            self.forget(&key);
        }
    }

    /// The records that name a notice which is not there, or which does not have them.
    pub fn untold(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut untold: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, stored) in &self.records {
            let Some(id) = stored.value.notice.as_deref() else { continue };
            let notified = self.notices.get(id);
            if notified.is_none_or(|notified| !notified.value.members.contains(&member(key))) {
                untold.entry(id).or_default().push(key);
            }
        }
        untold
    }

    fn read_record(&mut self, message: &Record) {
        // What was newest when reading began may have been purged since.
        let is_last = message.pending == 0;
        self.read = Some(message.sequence.max(if is_last { self.newest_at_open } else { 0 }));
        let Some(key) = streams::bucket_key(streams::ALERTS, &message.subject) else { return };
        let is_removed =
            message.headers.as_ref().is_some_and(|headers| headers.get("KV-Operation").is_some());
        let value = (!is_removed).then_some(message.payload.as_ref());
        let key = key.to_owned();
        let is_again = self.found.as_mut().is_some_and(|found| found.insert(key.clone()));
        // Read again, a key may have a lower revision: the bucket was created again, or has lost its end.
        if is_again || self.revision(&key).is_none_or(|known| known <= message.sequence) {
            self.set(&key, value, message.sequence);
        }
    }

    fn catch_up(&mut self) -> AlertNews {
        if self.read.is_none_or(|read| read < self.newest_at_open) {
            return AlertNews::None;
        }
        let Some(found) = self.found.take() else { return AlertNews::None };
        let missing: Vec<String> = self.keys().filter(|key| !found.contains(key)).collect();
        missing.iter().for_each(|key| self.unsettle(key));
        AlertNews::Read { missing, is_new: self.is_new_bucket }
    }

    /// Takes a value for older than whatever is read of its key from now on.
    fn unsettle(&mut self, key: &str) {
        let revision = match split(key) {
            Key::Lease => self.lease.as_mut().map(|stored| &mut stored.revision),
            Key::Alert => self.records.get_mut(key).map(|stored| &mut stored.revision),
            Key::Notice(id) => self.notices.get_mut(id).map(|stored| &mut stored.revision),
            Key::Pending => self.pending.get_mut(key).map(|stored| &mut stored.revision),
            Key::Clear => self.clear.get_mut(key).map(|stored| &mut stored.revision),
            Key::Silence(id) => self.silences.get_mut(id).map(|stored| &mut stored.revision),
            Key::Other => None,
        };
        revision.into_iter().for_each(|revision| *revision = 0);
    }

    /// A write of a known value where the broker has none.
    ///
    /// # Errors
    ///
    /// When it cannot be encoded.
    pub fn write_again(&self, key: &str) -> anyhow::Result<Option<KeyWrite>> {
        fn write<T: Serialize>(key: &str, stored: Option<&Stored<T>>) -> anyhow::Result<Option<KeyWrite>> {
            stored.map(|stored| KeyWrite::new(key.to_owned(), &stored.value, 0)).transpose()
        }
        match split(key) {
            Key::Alert => write(key, self.records.get(key)),
            Key::Notice(id) => write(key, self.notices.get(id)),
            Key::Pending => write(key, self.pending.get(key)),
            Key::Clear => write(key, self.clear.get(key)),
            Key::Silence(id) => write(key, self.silences.get(id)),
            // The lease is written by who holds it.
            Key::Lease | Key::Other => Ok(None),
        }
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        let notices = self.notices.keys().map(|id| notice_key(id));
        let silences = self.silences.keys().map(|id| silence_key(id));
        let keys = self.records.keys().chain(self.pending.keys()).chain(self.clear.keys()).cloned();
        keys.chain(notices).chain(silences).chain(self.lease.is_some().then(|| LEASE_KEY.to_owned()))
    }

    fn set(&mut self, key: &str, value: Option<&[u8]>, revision: u64) {
        let is_new = value.is_some() && self.revision(key).is_none();
        let is_full = is_new && self.records.len() + self.notices.len() >= MAX_KEYS;
        let read = match split(key) {
            Key::Lease => value.map(parse).transpose().map(|lease| {
                self.lease = lease.map(|value| Stored { revision, value });
            }),
            Key::Alert | Key::Notice(_) if is_full => Err(format!("there are more than {MAX_KEYS}")),
            Key::Silence(_) if is_new && self.silences.len() >= Self::MAX_SILENCES => {
                Err(format!("there are more than {}", Self::MAX_SILENCES))
            }
            Key::Alert => read_into(&mut self.records, key, value, revision, |record| record.v),
            Key::Notice(id) => read_into(&mut self.notices, id, value, revision, |record| record.v),
            Key::Pending => read_into(&mut self.pending, key, value, revision, |record| record.v),
            Key::Clear => read_into(&mut self.clear, key, value, revision, |record| record.v),
            Key::Silence(id) => read_into(&mut self.silences, id, value, revision, |record| record.v),
            Key::Other => Ok(()),
        };
        match read {
            Ok(()) => {
                self.skipped.remove(key);
            }
            Err(why) if self.skipped.len() < MAX_KEYS => {
                if self.skipped.insert(key.to_owned(), why.clone()).is_none() {
                    tracing::warn!(key, "a value of the alerts' bucket is skipped: {why}");
                }
            }
            Err(_) => {}
        }
    }
}

fn parse<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

fn read_into<T: DeserializeOwned>(
    values: &mut BTreeMap<String, Stored<T>>,
    key: &str,
    value: Option<&[u8]>,
    revision: u64,
    version: impl Fn(&T) -> u8,
) -> Result<(), String> {
    values.remove(key);
    let Some(value) = value else { return Ok(()) };
    let value: T = parse(value)?;
    if version(&value) != ALERT_VERSION {
        return Err(format!("it is of version {}", version(&value)));
    }
    values.insert(key.to_owned(), Stored { revision, value });
    Ok(())
}

#[cfg(test)]
mod tests;
