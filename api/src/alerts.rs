//! What alert stations have written into their bucket, as answers show it; and silences, which are written
//! here.

mod silencing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use tidemap_client::{AlertBucket, AlertLease, AlertNews, CLEAR_KEYS, LEASE_KEY};
use tidemap_service::{
    clock,
    log_reader::{Content, LogEnd, LogEvent, LogPosition, LogReader},
    streams,
};
use tidemap_wire::{Alert, AlertState, Severity, Silence, stream::AlertsEvent};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::silencing::{NotSilenced, SilenceChange, SilenceRequest, Silencer};

/// Chunks of up to 128 values that wait; the reader waits beyond them.
const EVENTS: usize = 4;
/// How often what is shown may change.
const PERIOD: Duration = Duration::from_secs(1);
/// The station that judges writes its lease every second; one that has not for this long is not heard.
const SILENCE: Duration = Duration::from_secs(6);

/// What is shown of the bucket. Absent where there is none: no alert station has ever run.
pub(crate) type ShownAlerts = Option<Arc<AlertsView>>;

/// The alerts in the order in which they are shown.
#[derive(Debug, Default)]
pub(crate) struct AlertsView {
    /// The worst first, then the newest.
    pub(crate) firing: Vec<Alert>,
    pub(crate) pending: Vec<Alert>,
    /// The newest first.
    pub(crate) log: Vec<Alert>,
    /// Silences with their ids, the first to end comes first; those that have ended are among them.
    pub(crate) silences: Vec<(String, Silence)>,
    /// The station that judges, while it is heard.
    pub(crate) evaluator: Option<AlertLease>,
    /// When any of this has changed, Unix milliseconds.
    changed_ms: i64,
}

impl AlertsView {
    pub(crate) fn new(bucket: &AlertBucket, evaluator: Option<AlertLease>, changed_ms: i64) -> Self {
        let mut silences: Vec<(String, Silence)> =
            bucket.silences.iter().map(|(id, stored)| (id.clone(), stored.value.silence.clone())).collect();
        silences.sort_by(|(id, one), (other_id, other)| (one.until_ms, id).cmp(&(other.until_ms, other_id)));
        let silenced = |mut alert: Alert| {
            let mut those = silences.iter().rev().filter(|(_, silence)| covers(silence, &alert));
            alert.silenced_until_ms = those.next().map(|(_, silence)| silence.until_ms);
            alert
        };
        let records = || bucket.records.values().map(|stored| &stored.value);
        let is_firing = |alert: &&Alert| alert.state == AlertState::Firing;
        let mut firing: Vec<Alert> =
            records().map(|record| &record.alert).filter(is_firing).cloned().map(silenced).collect();
        firing.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), std::cmp::Reverse(alert.fired_ms)));
        let all = records().flat_map(|record| std::iter::once(&record.alert).chain(&record.past));
        let mut log: Vec<Alert> = all.filter(|alert| alert.state == AlertState::Resolved).cloned().collect();
        log.sort_by_key(|alert| std::cmp::Reverse(alert.resolved_ms));
        let mut pending: Vec<Alert> =
            bucket.pending.values().flat_map(|stored| stored.value.alerts()).map(silenced).collect();
        pending.sort_by_key(|alert| std::cmp::Reverse(alert.since_ms));
        Self { firing, pending, log, silences, evaluator, changed_ms }
    }

    /// As the event stream tells it.
    pub(crate) fn event(&self, at_ms: i64) -> AlertsEvent {
        AlertsEvent {
            at_ms,
            firing: self.firing.len() as u64,
            pending: self.pending.len() as u64,
            evaluator: self.evaluator.is_some(),
            warnings: self.evaluator.as_ref().map_or(0, |lease| lease.warnings.len() as u64),
            changed_ms: self.changed_ms,
        }
    }

    /// How many alerts each rule has in each state.
    pub(crate) fn counts(&self) -> BTreeMap<(&str, Severity, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for (alerts, state) in [(&self.firing, "firing"), (&self.pending, "pending")] {
            for alert in alerts {
                *counts.entry((alert.rule.as_str(), alert.severity, state)).or_default() += 1;
            }
        }
        counts
    }
}

/// Whether a silence is about an alert, at whatever time.
pub(crate) fn covers(silence: &Silence, alert: &Alert) -> bool {
    silence.covers(&alert.rule, &alert.target, || alert.id.clone())
}

/// Follows the bucket until `stop`, and writes the silences that `requests` want. A broker without it is
/// waited for.
pub(crate) async fn follow(
    client: Client,
    shown: watch::Sender<ShownAlerts>,
    mut requests: mpsc::Receiver<SilenceRequest>,
    stop: CancellationToken,
) {
    let reader = LogReader {
        stream: streams::bucket_stream(streams::ALERTS),
        content: Content::Bucket,
        end: LogEnd::default(),
    };
    let (events_in, mut events) = mpsc::channel(EVENTS);
    let js = jetstream::new(client);
    let reading = reader.read(LogPosition::default(), js.clone(), events_in, stop.clone());
    let reading = tokio::spawn(reading);
    let mut following = Following::default();
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // The service stops.
            () = stop.cancelled() => break,
            // The bucket has changed.
            Some(event) = events.recv() => following.read(event),
            // Somebody silences alerts, or no longer.
            Some(SilenceRequest { change, now_ms, reply }) = requests.recv() => {
                let stored = following.silence(&js, &change, now_ms).await;
                // Writing may have taken its time.
                while let Ok(event) = events.try_recv() {
                    following.read(event);
                }
                following.show(&shown);
                // Who asked may have gone.
                reply.send(stored).ok();
            }
            // What is shown may change.
            _ = period.tick() => following.show(&shown),
        }
    }
    drop(events);
    if let Err(error) = reading.await {
        tracing::error!("the reader of alerts failed: {error}");
    }
}

#[derive(Default)]
struct Following {
    bucket: AlertBucket,
    is_known: bool,
    has_changed: bool,
    /// The lease's revision, and when it was first seen.
    lease: Option<(u64, Instant)>,
}

impl Following {
    fn read(&mut self, event: LogEvent) {
        if let LogEvent::Messages(messages) = &event {
            let is_shown = |key: &str| key != LEASE_KEY && !key.starts_with(CLEAR_KEYS);
            let mut keys = messages.iter().map(|of| streams::bucket_key(streams::ALERTS, &of.subject));
            self.has_changed |= keys.any(|key| key.is_none_or(is_shown));
        }
        if let AlertNews::Read { missing, .. } = self.bucket.apply(event) {
            self.has_changed |= !missing.is_empty();
            missing.iter().for_each(|key| self.bucket.forget(key));
        }
        self.is_known |= self.bucket.is_caught_up();
        let revision = self.bucket.lease.as_ref().map(|lease| lease.revision);
        if self.lease.map(|(seen, _)| seen) != revision {
            self.lease = revision.map(|revision| (revision, Instant::now()));
        }
    }

    async fn silence(
        &mut self,
        js: &jetstream::Context,
        change: &SilenceChange,
        now_ms: i64,
    ) -> Result<(), NotSilenced> {
        self.has_changed = true;
        if !self.is_known {
            return Err(NotSilenced::NoStation);
        }
        silencing::store(js, &mut self.bucket, change, now_ms).await
    }

    fn show(&mut self, shown: &watch::Sender<ShownAlerts>) {
        if !self.is_known {
            return;
        }
        let is_heard = self.lease.is_some_and(|(_, at)| at.elapsed() < SILENCE);
        let lease = self.bucket.lease.as_ref().filter(|lease| is_heard && !lease.value.owner.is_empty());
        let evaluator = lease.map(|lease| lease.value.clone());
        if let Some(lease) = &evaluator {
            self.bucket.prune(lease.judged_ms);
        }
        let before = shown.borrow().clone();
        let said =
            |lease: &AlertLease| (lease.owner.clone(), lease.rules, lease.is_hearing, lease.warnings.clone());
        let is_same = before
            .as_ref()
            .is_some_and(|before| before.evaluator.as_ref().map(said) == evaluator.as_ref().map(said));
        let has_changed = std::mem::take(&mut self.has_changed) || !is_same;
        let changed_ms = match &before {
            Some(before) if !has_changed => before.changed_ms,
            _ => clock::unix_ms(),
        };
        // Without a change, only the counts of notices may be others; those are for /metrics.
        let is_idle = !has_changed
            && before.as_ref().is_some_and(|before| {
                before.evaluator.as_ref().map(|lease| &lease.channels)
                    == evaluator.as_ref().map(|lease| &lease.channels)
            });
        if !is_idle {
            shown.send_replace(Some(Arc::new(AlertsView::new(&self.bucket, evaluator, changed_ms))));
        }
    }
}
