//! What a key's value says, as JSON. A value of another version is not read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemap_wire::{Alert, AlertChange, AlertNotice, Silence};

/// What this version writes.
pub(super) const ALERT_VERSION: u8 = 1;

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
    /// Whether the keys `c.<part>` say what was clear then: a station of an earlier version writes none, and
    /// leaves those of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub knows_clear: bool,
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
    pub(super) v: u8,
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
    pub(super) v: u8,
    /// What is notified.
    pub notice: AlertNotice,
    /// The records whose change it tells, by [`member`](super::member).
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
    pub(super) v: u8,
    /// What the station that judges next continues from, with the [`Alert`] as `alert` in each.
    pub standings: Vec<Value>,
}

impl PendingRecord {
    /// The most bytes of a part, unless one of them has more: less than half of what a message has.
    const MAX_BYTES: usize = 400_000;

    /// These in parts, each of which fits into a message. They have about 700 bytes each, and several
    /// thousand where labels are long.
    pub fn parts(standings: Vec<Value>) -> Vec<Vec<Value>> {
        let (mut parts, mut room) = (Vec::<Vec<Value>>::new(), 0_usize);
        for standing in standings {
            let bytes = standing.to_string().len();
            match (parts.last_mut(), room.checked_sub(bytes)) {
                (Some(part), Some(left)) => {
                    part.push(standing);
                    room = left;
                }
                _ => {
                    parts.push(vec![standing]);
                    room = Self::MAX_BYTES.saturating_sub(bytes);
                }
            }
        }
        parts
    }

    /// A part with these.
    pub fn new(standings: Vec<Value>) -> Self {
        Self { v: ALERT_VERSION, standings }
    }

    /// The pending alerts.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> {
        self.standings.iter().filter_map(|standing| Alert::deserialize(standing.get("alert")?).ok())
    }
}

/// What fires on although its condition is over, because of `keep_firing_for`; or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearRecord {
    pub(super) v: u8,
    /// What the station that judges next adds to what the records say.
    pub clear: Vec<Clear>,
}

/// An alert that fires on although its condition is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// Its record's key.
    pub key: String,
    /// Its id.
    pub alert: String,
    /// Since when its condition is over: broker time, Unix milliseconds.
    pub clear_ms: i64,
    /// Since when nobody could say whether it still is, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_ms: Option<i64>,
    /// Whether nobody could because the station before had ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_handover: bool,
}

impl ClearRecord {
    /// The most that a part holds: about 150 bytes each.
    pub const MAX_CLEAR: usize = 2_000;

    /// A part with these.
    pub fn new(clear: Vec<Clear>) -> Self {
        Self { v: ALERT_VERSION, clear }
    }
}

/// What somebody has silenced. Its id is in its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceRecord {
    pub(super) v: u8,
    /// Which alerts, until when.
    pub silence: Silence,
}

impl SilenceRecord {
    /// The record of a silence.
    pub fn new(silence: Silence) -> Self {
        Self { v: ALERT_VERSION, silence }
    }
}
