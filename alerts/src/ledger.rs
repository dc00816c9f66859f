//! Which changes of alerts are written together, and which notice tells of them. Pure.
//!
//! Changes of one rule that belong together wait for each other for a moment, so that a site that drops is
//! one notice. A change that is not stored stays here and is tried again; once the bucket says the same,
//! whoever has written it, it is done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidemap_client::{
    AlertBucket, AlertRecord, AlertUpdate, Audience, NoticeRecord, Stored, member, notice_id,
};
use tidemap_wire::{Alert, AlertChange, AlertNotice, AlertState, AlertTarget, natural_key};

/// How long a change waits for others that belong to it: nodes that end together are noticed within a second,
/// because each reports once a second.
const GATHER_MS: u64 = 1_000;
/// The most records that one notice tells of: 20 bytes each in a message of at most a megabyte.
const MAX_MEMBERS: usize = 10_000;

/// More changes of a target wait only where they cannot be left out.
const MAX_QUEUED: usize = 4;

/// A change that was decided and is not known to be stored.
#[derive(Clone, Debug)]
struct Queued {
    update: AlertUpdate,
    /// Changes with equal rule, change, audience and group belong together.
    group: String,
    since_ms: u64,
}

/// Changes that are to be written.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By the record's key, in the order of what happened.
    queued: BTreeMap<String, Vec<Queued>>,
}

/// A write of a record.
#[derive(Debug)]
pub(crate) struct RecordWrite {
    pub(crate) key: String,
    /// What the compare-and-swap names.
    pub(crate) revision: u64,
    pub(crate) record: AlertRecord,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Records to write.
    pub(crate) writes: Vec<RecordWrite>,
    /// What others have written.
    pub(crate) others: Vec<Other>,
}

/// What another station has written about a target of a rule.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) rule: String,
    pub(crate) target: AlertTarget,
    pub(crate) standing: Option<Value>,
}

impl Ledger {
    /// Queues a change. A repetition that was not written is pointless once the alert is over, and while
    /// people have not heard of the change before it. What fires and ends while much waits is left out, so a
    /// target has about [`MAX_QUEUED`] changes, however long nothing can be written: further ones are ends of
    /// what was notified, and the firings of one alert.
    pub(crate) fn push(&mut self, key: &str, update: AlertUpdate, group: String, now_ms: u64) {
        let queue = self.queued.entry(key.to_owned()).or_default();
        let is_same = |queued: &Queued| queued.update.alert.id == update.alert.id;
        match update.change {
            AlertChange::Repeated if queue.iter().any(is_same) => return,
            AlertChange::Resolved => {
                queue.retain(|queued| queued.update.change != AlertChange::Repeated || !is_same(queued));
                let is_unheard = queue.iter().any(is_same) && !queue.first().is_some_and(is_same);
                if is_unheard && queue.len() > MAX_QUEUED {
                    queue.retain(|queued| !is_same(queued));
                    return;
                }
            }
            AlertChange::Fired | AlertChange::Repeated | AlertChange::Test => {}
        }
        queue.push(Queued { update, group, since_ms: now_ms });
    }

    /// Forgets everything, because another station judges.
    pub(crate) fn clear(&mut self) {
        self.queued.clear();
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// How many changes are not known to be stored.
    pub(crate) fn waiting(&self) -> usize {
        self.queued.values().map(Vec::len).sum()
    }

    /// What is to be written now. Changes that the bucket has are done; where another station has written
    /// something else, the engine must learn of it.
    pub(crate) fn due(&mut self, bucket: &AlertBucket, now_ms: u64) -> Due {
        let mut due = Due::default();
        for (key, queue) in &mut self.queued {
            let known = bucket.records.get(key).map(|stored| &stored.value);
            while let Some(first) = queue.first()
                && is_done(known, &first.update)
            {
                let target = (&first.update.alert.rule, &first.update.alert.target);
                if known.is_none_or(|known| known.standing != first.update.standing) {
                    due.others.push(Other {
                        rule: target.0.clone(),
                        target: target.1.clone(),
                        standing: known.and_then(|known| known.standing.clone()),
                    });
                }
                queue.remove(0);
            }
        }
        self.queued.retain(|_, queue| !queue.is_empty());
        let mut groups: BTreeMap<GroupKey<'_>, Vec<(&String, &Queued)>> = BTreeMap::new();
        for (key, queue) in &self.queued {
            let Some(first) = queue.first() else { continue };
            let AlertUpdate { alert, change, audience, .. } = &first.update;
            let group = (alert.rule.as_str(), change.as_str(), *audience, first.group.as_str());
            groups.entry(group).or_default().push((key, first));
        }
        let is_due = |members: &Vec<(&String, &Queued)>| {
            members.iter().any(|(_, queued)| now_ms.saturating_sub(queued.since_ms) >= GATHER_MS)
        };
        for members in groups.into_values().filter(is_due) {
            for part in members.chunks(MAX_MEMBERS) {
                due.writes.extend(batch(part, bucket));
            }
        }
        due
    }
}

type GroupKey<'a> = (&'a str, &'a str, Audience, &'a str);

/// The records of changes that one notice tells of. Those whose last change was not notified yet wait for
/// that.
fn batch(members: &[(&String, &Queued)], bucket: &AlertBucket) -> Vec<RecordWrite> {
    let mut writes: Vec<RecordWrite> = Vec::new();
    for (key, queued) in members {
        let known = bucket.records.get(*key);
        if known.is_some_and(|known| !is_notified(bucket, key, &known.value)) {
            continue;
        }
        let before = known.map(|known| &known.value);
        let update = queued.update.clone();
        let id = match writes.first().and_then(|first| first.record.notice.clone()) {
            Some(id) => id,
            None => notice_id(&update.alert, update.change, before.map_or(0, |before| before.changes) + 1),
        };
        let record = AlertRecord::after(before, update, id);
        writes.push(RecordWrite {
            key: (*key).clone(),
            revision: known.map_or(0, |known| known.revision),
            record,
        });
    }
    writes
}

fn is_notified(bucket: &AlertBucket, key: &str, record: &AlertRecord) -> bool {
    let Some(id) = record.notice.as_deref() else { return true };
    bucket.notices.get(id).is_some_and(|notified| notified.value.members.contains(&member(key)))
}

/// Whether the bucket has a change already, from this station or another, or something that makes it void.
fn is_done(known: Option<&AlertRecord>, update: &AlertUpdate) -> bool {
    let same = known.filter(|known| known.alert.id == update.alert.id);
    let is_stored =
        same.is_some_and(|known| known.change == update.change && known.standing == update.standing);
    // Those who should hear of it have heard of it, of this change or of a later one.
    let is_heard = |known: &AlertRecord| known.audience.people >= update.audience.people;
    let is_firing = |known: &AlertRecord| known.alert.state == AlertState::Firing;
    match (update.change, known, same) {
        (AlertChange::Test, ..) => true,
        // Another station has let it fire, as of another moment.
        (AlertChange::Fired, Some(known), None) => is_firing(known),
        (AlertChange::Fired, _, Some(known)) => is_stored || !is_firing(known) || is_heard(known),
        (AlertChange::Fired, None, None) => false,
        (AlertChange::Repeated | AlertChange::Resolved, _, None) => true,
        (AlertChange::Repeated, _, Some(known)) => is_stored || !is_firing(known),
        (AlertChange::Resolved, _, Some(known)) => is_stored || (!is_firing(known) && is_heard(known)),
    }
}

/// The notices that are missing: those that records name, and where one exists without a record, another one
/// for that record.
#[derive(Debug, Default)]
pub(crate) struct Mending {
    /// Notices to create.
    pub(crate) notices: Vec<NoticeRecord>,
    /// Records to write, which then name another notice.
    pub(crate) records: Vec<RecordWrite>,
}

/// What must be written so that each change is notified. `routes` names the channels of a notice.
pub(crate) fn mend(
    bucket: &AlertBucket,
    now_ms: i64,
    routes: impl Fn(&AlertNotice) -> BTreeSet<String>,
) -> Mending {
    let mut mending = Mending::default();
    for (id, keys) in bucket.untold() {
        let members: Vec<(&str, &Stored<AlertRecord>)> =
            keys.into_iter().filter_map(|key| Some((key, bucket.records.get(key)?))).collect();
        if bucket.notices.contains_key(id) {
            mending.records.extend(members.iter().map(|(key, stored)| elsewhere(key, stored)));
        } else {
            mending.notices.extend(notice(id, &members, now_ms, &routes));
        }
    }
    mending
}

/// The record with a notice of its own.
fn elsewhere(key: &str, stored: &Stored<AlertRecord>) -> RecordWrite {
    let mut record = stored.value.clone();
    record.changes += 1;
    record.notice = Some(notice_id(&record.alert, record.change, record.changes));
    RecordWrite { key: key.to_owned(), revision: stored.revision, record }
}

fn notice(
    id: &str,
    members: &[(&str, &Stored<AlertRecord>)],
    now_ms: i64,
    routes: impl Fn(&AlertNotice) -> BTreeSet<String>,
) -> Option<NoticeRecord> {
    let (_, first) = members.first()?;
    let is_alike = |record: &AlertRecord| {
        record.alert.rule == first.value.alert.rule
            && (record.change, record.audience) == (first.value.change, first.value.audience)
    };
    // Others get a notice of their own once this one exists.
    let members = members.iter().filter(|(_, stored)| is_alike(&stored.value)).take(MAX_MEMBERS);
    let mut alerts: Vec<&Alert> = Vec::new();
    let mut keys = BTreeSet::new();
    for (key, stored) in members {
        keys.insert(member(key));
        alerts.push(&stored.value.alert);
    }
    alerts.sort_by_cached_key(|alert| natural_key(&alert.target.name.to_lowercase()));
    let severity = alerts.iter().map(|alert| alert.severity).max()?;
    let mut notice = AlertNotice {
        id: id.to_owned(),
        change: first.value.change,
        at_ms: now_ms,
        rule: first.value.alert.rule.clone(),
        severity,
        count: u32::try_from(alerts.len()).unwrap_or(u32::MAX),
        alerts: alerts.into_iter().cloned().collect(),
    };
    let mut undelivered = if first.value.audience.people { routes(&notice) } else { BTreeSet::new() };
    // Routes choose by all alerts.
    notice.alerts.truncate(AlertNotice::MAX_ALERTS);
    if first.value.audience.programs {
        undelivered.insert(NoticeRecord::PROGRAMS.to_owned());
    }
    Some(NoticeRecord::new(notice, keys, undelivered))
}

#[cfg(test)]
mod tests;
