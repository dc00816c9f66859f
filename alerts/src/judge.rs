//! The engine, fed by the fleet's view.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::Value;
use tidemap_alert::{
    AlertFile, AlertStanding, ClearSince, Engine, NodeFacts, PartitionFacts, PastRates, PlanFacts,
    SystemFacts, Transition, Want,
};
use tidemap_client::{AlertBucket, AlertUpdate, Audience, Clear, Fleet, Node, record_key};
use tidemap_service::clock::whole_ms;
use tidemap_wire::{AlertChange, NodeId};
use tokio::time::Instant;

use crate::ledger::Other;

/// A change that is to be stored.
#[derive(Debug)]
pub(crate) struct Judged {
    /// The record's key.
    pub(crate) key: String,
    pub(crate) update: AlertUpdate,
    /// Changes with equal groups belong together.
    pub(crate) group: String,
}

/// What goes on by the clock alone: whoever judges next continues from it.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// What does not fire yet.
    pub(crate) pending: Vec<Value>,
    /// What fires on although its condition is over.
    pub(crate) clear: Vec<Clear>,
}

/// The nodes of the fleet's rows: a row that is empty no longer says whose it was.
#[derive(Debug, Default)]
pub(crate) struct Rows(HashMap<u32, NodeId>);

impl Rows {
    /// Notes rows that have changed. Returns the nodes that are gone.
    pub(crate) fn update(&mut self, fleet: &Fleet, changed: &[u32]) -> Vec<NodeId> {
        let mut gone = Vec::new();
        for row in changed {
            let before = match fleet.at(*row) {
                Some(node) if self.0.get(row) == Some(node.id()) => None,
                Some(node) => self.0.insert(*row, node.id().clone()),
                None => self.0.remove(row),
            };
            // It may have another row now.
            gone.extend(before.filter(|id| fleet.node(id).is_none()));
        }
        gone
    }
}

/// Judges while this station holds the lease.
#[derive(Debug)]
pub(crate) struct Judge {
    engine: Engine,
    is_complete: bool,
    /// The timers that were taken for writing.
    timers_taken: Option<u64>,
}

impl Judge {
    /// Goes on where the bucket says that the station before has ended.
    pub(crate) fn new(file: &AlertFile, bucket: &AlertBucket, now_ms: i64) -> Self {
        let mut engine = Engine::new(file.rules.clone());
        let judged_ms = bucket.lease.as_ref().map_or(0, |lease| lease.value.judged_ms);
        let judged_ms = if judged_ms == 0 { now_ms } else { judged_ms.min(now_ms) };
        engine.restore(judged_ms, standings(bucket));
        Self { engine, is_complete: false, timers_taken: None }
    }

    /// Judges other rules from now on; everything must be observed again.
    pub(crate) fn reload(&mut self, file: &AlertFile, now_ms: i64) {
        self.engine.reload(now_ms, file.rules.clone());
        self.is_complete = false;
    }

    /// Observes all nodes.
    pub(crate) fn observe_all(&mut self, fleet: &Fleet, now_ms: i64) {
        for node in fleet.nodes() {
            self.observe_node(node, now_ms);
        }
    }

    /// Observes what has changed, and ends what is gone.
    pub(crate) fn observe(&mut self, fleet: &Fleet, changed: &[u32], gone: &[NodeId], now_ms: i64) {
        for node in changed.iter().filter_map(|row| fleet.at(*row)) {
            self.observe_node(node, now_ms);
        }
        for id in gone {
            self.engine.forget(now_ms, id);
        }
    }

    /// Notes that the whole fleet is followed, once that is so.
    pub(crate) fn complete(&mut self, fleet: &Fleet, now: Instant, now_ms: i64) {
        if !self.is_complete && fleet.is_followed(now) {
            self.engine.complete(now_ms);
            self.is_complete = true;
        }
    }

    /// Observes partitions and workers.
    pub(crate) fn observe_system(&mut self, fleet: &Fleet, now: Instant, now_ms: i64) {
        let partitions = fleet.partitions().map(|(partition, view)| PartitionFacts {
            partition: partition.get(),
            worker: view.stats().map(|stats| stats.owner.clone()).unwrap_or_default(),
            lag_ms: view.stats().filter(|_| view.is_fresh(now)).map(|stats| stats.lag_ms),
            silent_ms: view.silent_for(now).map(whole_ms),
        });
        let facts = SystemFacts { is_broker_reached: true, partitions: partitions.collect() };
        self.engine.observe_system(now_ms, &facts);
    }

    /// Observes how all declared plans stand.
    pub(crate) fn observe_plans(&mut self, now_ms: i64, plans: &[PlanFacts]) {
        self.engine.observe_plans(now_ms, plans);
    }

    /// At most so many questions that the history should be asked now.
    pub(crate) fn wanted(&mut self, now_ms: i64, most: usize) -> Vec<Want> {
        if most == 0 { Vec::new() } else { self.engine.wanted(now_ms, most) }
    }

    /// Observes what the history says to one.
    pub(crate) fn observe_past(&mut self, now_ms: i64, want: &Want, rates: Option<PastRates>) {
        self.engine.observe_past(now_ms, want, rates);
    }

    /// Holds back what is silenced now.
    pub(crate) fn silence(&mut self, bucket: &AlertBucket, now_ms: i64) {
        self.engine.set_silences(bucket.silences_at(now_ms).map(|(_, silence)| silence.clone()).collect());
    }

    /// What has changed.
    pub(crate) fn judge(&mut self, now_ms: i64) -> Vec<Judged> {
        self.engine.judge(now_ms).into_iter().filter_map(judged).collect()
    }

    /// Takes over what another station has stored.
    pub(crate) fn adopt(&mut self, other: Other, now_ms: i64) {
        let standing = other.standing.and_then(|standing| serde_json::from_value(standing).ok());
        self.engine.adopt(now_ms, &other.rule, &other.target, standing);
    }

    /// The timers, if they have changed since they were taken last.
    pub(crate) fn take_timers(&mut self) -> Option<Timers> {
        let version = self.engine.timers_version();
        if self.timers_taken == Some(version) {
            return None;
        }
        self.timers_taken = Some(version);
        let pending = self.engine.pending();
        Some(Timers {
            pending: pending.iter().filter_map(|standing| serde_json::to_value(standing).ok()).collect(),
            clear: self.engine.clear().iter().filter_map(clear).collect(),
        })
    }

    /// Takes note that the timers were not written.
    pub(crate) fn put_back_timers(&mut self) {
        self.timers_taken = None;
    }

    fn observe_node(&mut self, node: &Node, now_ms: i64) {
        let hello: Option<&Arc<_>> = node.hello();
        let facts = NodeFacts {
            id: node.id(),
            status: node.status(),
            since_ms: node.status_since_ms(),
            latest: node.latest(),
            hello,
            host: node.host(),
        };
        self.engine.observe(now_ms, &facts);
    }
}

fn judged(transition: Transition) -> Option<Judged> {
    let Transition { change, is_new, notify, alert, group, standing, .. } = transition;
    let key = match record_key(&alert.rule, &alert.target) {
        Ok(key) => key,
        Err(error) => {
            tracing::error!(rule = alert.rule, "an alert cannot be stored: {error}");
            return None;
        }
    };
    let audience = Audience { programs: is_new || change == AlertChange::Repeated, people: notify };
    let standing = standing.and_then(|standing| serde_json::to_value(standing).ok());
    Some(Judged { key, update: AlertUpdate { alert, change, audience, standing }, group })
}

fn clear(standing: &AlertStanding) -> Option<Clear> {
    let ClearSince { clear_ms, frozen_ms, is_handover } = standing.clear()?;
    let alert = &standing.alert;
    let key = record_key(&alert.rule, &alert.target).ok()?;
    Some(Clear { key, alert: alert.id.clone(), clear_ms, frozen_ms, is_handover })
}

/// What went on when the station before was last alive.
fn standings(bucket: &AlertBucket) -> Vec<AlertStanding> {
    // A station of an earlier version says nothing of what is clear, so `keep_firing_for` begins again after
    // it: what others have written before it may be over, and nothing ends too early.
    let is_known = bucket.lease.as_ref().is_some_and(|lease| lease.value.knows_clear);
    let clear = bucket.clear.values().filter(|_| is_known).flat_map(|stored| &stored.value.clear);
    let clear: HashMap<(&str, &str), &Clear> =
        clear.map(|clear| ((clear.key.as_str(), clear.alert.as_str()), clear)).collect();
    let mut known = BTreeSet::new();
    let mut standings = Vec::new();
    let read = |value: &Value| -> Option<AlertStanding> {
        let read = serde_json::from_value(value.clone());
        read.inspect_err(|error| tracing::warn!("an alert of the bucket cannot be continued: {error}")).ok()
    };
    for (key, stored) in &bucket.records {
        let Some(standing) = &stored.value.standing else { continue };
        known.insert(key.clone());
        let Some(standing) = read(standing) else { continue };
        let since = clear.get(&(key.as_str(), standing.alert.id.as_str())).map(|clear| ClearSince {
            clear_ms: clear.clear_ms,
            frozen_ms: clear.frozen_ms,
            is_handover: clear.is_handover,
        });
        standings.push(standing.with_clear(since));
    }
    for stored in bucket.pending.values() {
        for (alert, standing) in stored.value.alerts().zip(&stored.value.standings) {
            let Ok(key) = record_key(&alert.rule, &alert.target) else { continue };
            // It may have fired, and even ended, since pending alerts were last written.
            let is_later = bucket.records.get(&key).is_some_and(|stored| stored.value.alert.id == alert.id);
            if !is_later && known.insert(key) {
                standings.extend(read(standing));
            }
        }
    }
    standings
}

#[cfg(test)]
mod tests;
