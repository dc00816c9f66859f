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

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tidemap_service::{
    log_reader::{LogEvent, Record},
    streams,
};
use tidemap_wire::{Alert, AlertChange, AlertNotice, AlertState, AlertTarget, NodeId};

/// What this version writes. A value of another version is not read.
const ALERT_VERSION: u8 = 1;
/// Alerts and notices that are kept in memory at most; further ones are skipped, and counted.
const MAX_KEYS: usize = 200_000;
/// A resolved alert is kept this long.
const RESOLVED_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// The most resolved alerts that are kept.
const RESOLVED_KEPT: usize = 5_000;
/// A notice that everybody has is kept this long, so that a station that stood still cannot make it again.
const NOTICE_KEPT_MS: i64 = 3_600_000;

/// Which station judges; a heartbeat, because it is written once a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLease {
    /// The station's id; empty when the lease was released.
    pub owner: String,
    /// Since when: broker time, Unix milliseconds.
    #[serde(default)]
    pub since_ms: i64,
    /// Up to when it has judged: broker time, Unix milliseconds; 0 before it has.
    #[serde(default)]
    pub judged_ms: i64,
    /// How many rules it judges.
    #[serde(default)]
    pub rules: u32,
    /// Whether it hears the fleet; while it does not, it says nothing about nodes.
    #[serde(default)]
    pub is_hearing: bool,
    /// What the operator should know, such as that a file cannot be read.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What became of notices, by channel.
    #[serde(default)]
    pub channels: BTreeMap<String, ChannelCounts>,
}

/// What became of a channel's notices since its station began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCounts {
    /// Delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Given up.
    #[serde(default)]
    pub dropped: u64,
}

/// What a rule found about a target, now or in the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    v: u8,
    /// Where it stands now.
    pub alert: Alert,
    /// The newest change.
    pub change: AlertChange,
    /// Who is to hear of it.
    #[serde(flatten)]
    pub audience: Audience,
    /// How many changes there were; part of a notice's id.
    pub changes: u64,
    /// The notice that tells of the newest change; absent once that has long been notified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What the station that judges next continues from; absent when nothing goes on. Only stations read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Value>,
    /// Earlier firings, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Alert>,
}

/// Who is to hear of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Audience {
    /// Programs, on `tidemap.v1.alert.>`.
    pub programs: bool,
    /// People, by the channels of the rule.
    pub people: bool,
}

/// A change of an alert, which is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertUpdate {
    /// The alert after it.
    pub alert: Alert,
    /// What changes.
    pub change: AlertChange,
    /// Who is to hear of it.
    pub audience: Audience,
    /// What the station that judges next continues from.
    pub standing: Option<Value>,
}

impl AlertRecord {
    /// Earlier firings that a record keeps.
    const MAX_PAST: usize = 4;

    /// The record after a change that `notice` tells of.
    pub fn after(before: Option<&Self>, update: AlertUpdate, notice: String) -> Self {
        let AlertUpdate { alert, change, audience, standing } = update;
        let mut past = before.map(|before| before.past.clone()).unwrap_or_default();
        if let Some(before) = before.filter(|before| before.alert.id != alert.id) {
            past.insert(0, before.alert.clone());
            past.truncate(Self::MAX_PAST);
        }
        let changes = before.map_or(0, |before| before.changes) + 1;
        Self { v: ALERT_VERSION, alert, change, audience, changes, notice: Some(notice), standing, past }
    }
}

/// A notice, and who still lacks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoticeRecord {
    v: u8,
    /// What is notified.
    pub notice: AlertNotice,
    /// The records whose change it tells, by [`member`].
    pub members: BTreeSet<u64>,
    /// The channels that lack it.
    pub undelivered: BTreeSet<String>,
    /// Channels that gave it up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped: BTreeSet<String>,
    /// When the last channel had it; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_ms: Option<i64>,
}

impl NoticeRecord {
    /// The channel that is `tidemap.v1.alert.>`.
    pub const PROGRAMS: &str = "";

    /// A notice that `undelivered` lack.
    pub fn new(notice: AlertNotice, members: BTreeSet<u64>, undelivered: BTreeSet<String>) -> Self {
        let settled_ms = undelivered.is_empty().then_some(notice.at_ms);
        Self { v: ALERT_VERSION, notice, members, undelivered, dropped: BTreeSet::new(), settled_ms }
    }

    /// The record once `channel` has the notice, or has given it up.
    pub fn without(&self, channel: &str, is_delivered: bool, now_ms: i64) -> Self {
        let mut next = self.clone();
        if next.undelivered.remove(channel) && !is_delivered {
            next.dropped.insert(channel.to_owned());
        }
        if next.undelivered.is_empty() {
            next.settled_ms.get_or_insert(now_ms);
        }
        next
    }
}

/// What a rule finds that does not fire yet, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PendingRecord {
    v: u8,
    /// What the station that judges next continues from, with the [`Alert`] as `alert` in each.
    pub standings: Vec<Value>,
}

impl PendingRecord {
    /// The most that a part holds: about 700 bytes each, and a message has a megabyte.
    pub const MAX_STANDINGS: usize = 500;

    /// A part with these.
    pub fn new(standings: Vec<Value>) -> Self {
        Self { v: ALERT_VERSION, standings }
    }

    /// The pending alerts.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> {
        self.standings.iter().filter_map(|standing| Alert::deserialize(standing.get("alert")?).ok())
    }
}

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
            Key::Other => None,
        }
    }

    /// Keys that have been kept for long enough: alerts that are over, and notices that everybody has.
    pub fn expired(&self, now_ms: i64) -> Vec<String> {
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
            stored.value.settled_ms.is_some_and(|at_ms| now_ms - at_ms > NOTICE_KEPT_MS)
        };
        let notices = self.notices.iter().filter(|(_, stored)| is_done(stored));
        records.chain(notices.map(|(id, _)| notice_key(id))).collect()
    }

    /// Removes what [`AlertBucket::expired`] names.
    pub fn prune(&mut self, now_ms: i64) {
        for key in self.expired(now_ms) {
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
        match split(key) {
            Key::Lease => self.lease.iter_mut().for_each(|stored| stored.revision = 0),
            Key::Alert => self.records.get_mut(key).into_iter().for_each(|stored| stored.revision = 0),
            Key::Notice(id) => self.notices.get_mut(id).into_iter().for_each(|stored| stored.revision = 0),
            Key::Pending => self.pending.get_mut(key).into_iter().for_each(|stored| stored.revision = 0),
            Key::Other => {}
        }
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        let notices = self.notices.keys().map(|id| notice_key(id));
        let keys = self.records.keys().chain(self.pending.keys()).cloned().chain(notices);
        keys.chain(self.lease.is_some().then(|| LEASE_KEY.to_owned()))
    }

    fn set(&mut self, key: &str, value: Option<&[u8]>, revision: u64) {
        let is_full = self.records.len() + self.notices.len() >= MAX_KEYS && self.revision(key).is_none();
        let read = match split(key) {
            Key::Lease => value.map(parse).transpose().map(|lease| {
                self.lease = lease.map(|value| Stored { revision, value });
            }),
            Key::Alert | Key::Notice(_) if is_full && value.is_some() => {
                Err(format!("there are more than {MAX_KEYS}"))
            }
            Key::Alert => read_into(&mut self.records, key, value, revision, |record| record.v),
            Key::Notice(id) => read_into(&mut self.notices, id, value, revision, |record| record.v),
            Key::Pending => read_into(&mut self.pending, key, value, revision, |record| record.v),
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

/// The key of the lease.
pub const LEASE_KEY: &str = "lease";

/// The key of what a rule finds about a target.
///
/// # Errors
///
/// When no token can be made of the rule's name.
pub fn record_key(rule: &str, target: &AlertTarget) -> anyhow::Result<String> {
    let kind = target.kind as u8;
    let hash = fnv(&[&[kind], target.id.as_bytes()].concat());
    Ok(format!("a.{}.{hash:016x}", NodeId::from_name(rule)?))
}

/// The key of a notice.
pub fn notice_key(id: &str) -> String {
    format!("n.{id}")
}

/// The key of a part of what does not fire yet.
pub fn pending_key(part: usize) -> String {
    format!("p.{part}")
}

/// The id of the notice that tells first of this change of an alert: the same in every station.
pub fn notice_id(alert: &Alert, change: AlertChange, changes: u64) -> String {
    format!("{:016x}", fnv(format!("{}/{}/{change}/{changes}", alert.rule, alert.id).as_bytes()))
}

/// A record as a notice names it.
pub fn member(key: &str) -> u64 {
    fnv(key.as_bytes())
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

enum Key<'a> {
    Lease,
    Alert,
    Notice(&'a str),
    Pending,
    Other,
}

fn split(key: &str) -> Key<'_> {
    match key.split_once('.') {
        None if key == LEASE_KEY => Key::Lease,
        Some(("a", _)) => Key::Alert,
        Some(("n", id)) => Key::Notice(id),
        Some(("p", _)) => Key::Pending,
        _ => Key::Other,
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
