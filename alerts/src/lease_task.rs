//! Holds the lease, or waits for it: reads and writes it once a second, on a connection of its own, so that
//! it never waits behind anything else.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    kv::{self, UpdateErrorKind},
    stream,
};
use tidemap_client::{AlertLease, LEASE_KEY};
use tidemap_service::{
    causes::causes,
    clock::{self, Stopwatch},
    deadline, log_reader,
    logging::Throttle,
    streams,
};
use tidemap_wire::timing;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::lease::{LeaseAction, LeaseView, is_fresh};

const PERIOD: Duration = timing::LEASE_RENEWAL;
const TIMEOUT: Duration = timing::LEASE_WRITE_TIMEOUT;
const LOG_PERIOD: Duration = Duration::from_secs(60);
/// What lasts no longer is not logged: on a new broker, workers make the streams first.
const QUIET: Duration = Duration::from_secs(10);

/// The lease that this station holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldLease {
    /// The first revision under which it holds it: what others have written before has a lower one.
    pub(crate) taken: u64,
    /// When it was written last.
    renewed_at: Instant,
    /// The room that the bucket had then.
    pub(crate) room: Room,
}

/// What may be written into the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Everything.
    Enough,
    /// No new alerts, and no timers that take more room: seven eighths are used, and what is left is for what
    /// changes of alerts that it has.
    Little,
    /// No new keys: half of that is used, too, and the rest is for the lease.
    Reserve,
}

impl Room {
    fn of(info: &stream::Info) -> Self {
        // Without a bound, the broker says a negative one.
        let Ok(most) = u64::try_from(info.config.max_bytes) else { return Self::Enough };
        match info.state.bytes {
            used if used > most / 16 * 15 => Self::Reserve,
            used if used > most / 8 * 7 => Self::Little,
            _ => Self::Enough,
        }
    }
}

impl HeldLease {
    /// Whether the station judges now.
    pub(crate) fn is_active(&self) -> bool {
        is_fresh(clock::whole_ms(self.renewed_at.elapsed()))
    }
}

/// Keeps the lease of `me` until `stop`, and releases it then. `status` is what it says about the station.
pub(crate) async fn keep(
    js: jetstream::Context,
    me: String,
    status: watch::Receiver<AlertLease>,
    held: watch::Sender<Option<HeldLease>>,
    stop: CancellationToken,
) {
    let mut task = LeaseTask {
        view: LeaseView::new(&me),
        js,
        me,
        bucket: None,
        status,
        held,
        since_ms: 0,
        started: Stopwatch::start(),
        failing_since: None,
        failures: Throttle::new(LOG_PERIOD),
    };
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        let Err(error) = task.turn().await else {
            task.failing_since = None;
            continue;
        };
        tracing::debug!("the lease of the alerts: {}", causes(error.as_ref()));
        // It may be gone; the next turn creates it again.
        task.bucket = None;
        let since = *task.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= QUIET && task.failures.is_due() {
            tracing::warn!("the lease of the alerts cannot be read or written: {}", causes(error.as_ref()));
        }
    }
    task.release().await;
}

struct LeaseTask {
    view: LeaseView,
    js: jetstream::Context,
    me: String,
    /// Absent while it may not exist.
    bucket: Option<kv::Store>,
    status: watch::Receiver<AlertLease>,
    held: watch::Sender<Option<HeldLease>>,
    since_ms: i64,
    started: Stopwatch,
    failing_since: Option<Instant>,
    failures: Throttle,
}

impl LeaseTask {
    async fn turn(&mut self) -> anyhow::Result<()> {
        let bucket = self.bucket().await?;
        let entry = within(bucket.entry(LEASE_KEY)).await?;
        let entry = entry.filter(|entry| entry.operation == kv::Operation::Put);
        let lease: Option<AlertLease> =
            entry.as_ref().map(|entry| serde_json::from_slice(&entry.value).unwrap_or_default());
        let read = lease.as_ref().zip(entry.as_ref());
        let read = read.map(|(lease, entry)| (lease.owner.as_str(), entry.revision));
        let info = within(bucket.stream.get_info()).await?;
        let now_ms = self.started.now_ms();
        self.view.observe(read, log_reader::nanos(info.created), now_ms);
        let was_mine = self.view.held().is_some();
        if !was_mine {
            self.held.send_if_modified(|held| held.take().is_some());
        }
        let LeaseAction::Write { revision } = self.view.plan(now_ms) else { return Ok(()) };
        if !was_mine {
            self.since_ms = clock::unix_ms();
        }
        let begun = (Instant::now(), self.started.now_ms());
        let owner = self.me.clone();
        let mut value = AlertLease { owner, since_ms: self.since_ms, ..self.status.borrow().clone() };
        if value.judged_ms == 0 {
            // Until this station has judged itself, it matters up to when the one before has.
            let before = lease.unwrap_or_default();
            (value.judged_ms, value.knows_clear) = (before.judged_ms, before.knows_clear);
        }
        let revision = match update(&bucket, &value, revision).await {
            Err(error) if is_refused(&error) => {
                // A full bucket takes what is shorter than before, and what judges is what makes room.
                tracing::debug!("the lease of the alerts without warnings, because of: {error}");
                (value.warnings, value.channels) = Default::default();
                update(&bucket, &value, revision).await?
            }
            stored => stored?,
        };
        self.view.written(revision, begun.1);
        self.held.send_modify(|held| {
            let taken = held.map_or(revision, |held| held.taken.min(revision));
            *held = Some(HeldLease { taken, renewed_at: begun.0, room: Room::of(&info) });
        });
        if !was_mine {
            tracing::info!(station = self.me, "this station judges the alert rules now");
        }
        Ok(())
    }

    async fn bucket(&mut self) -> anyhow::Result<kv::Store> {
        if let Some(bucket) = &self.bucket {
            return Ok(bucket.clone());
        }
        within(streams::ensure_alerts(&self.js)).await?;
        let bucket = within(self.js.get_key_value(streams::ALERTS)).await?;
        Ok(self.bucket.insert(bucket).clone())
    }

    /// Others need not wait until it is dead.
    async fn release(&mut self) {
        let Some((revision, _)) = self.view.held() else { return };
        self.held.send_replace(None);
        let released = async {
            let bucket = self.bucket().await?;
            let value = AlertLease { owner: String::new(), ..self.status.borrow().clone() };
            update(&bucket, &value, revision).await
        };
        if let Err(error) = released.await {
            tracing::debug!("the lease of the alerts was not released: {}", causes(error.as_ref()));
        }
    }
}

async fn update(bucket: &kv::Store, lease: &AlertLease, revision: u64) -> anyhow::Result<u64> {
    within(bucket.update(LEASE_KEY, serde_json::to_vec(lease)?.into(), revision)).await
}

/// Whether the broker has answered that it does not store this, although nobody else has written.
fn is_refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<kv::UpdateError>().is_some_and(|error| error.kind() == UpdateErrorKind::Other)
}

async fn within<T, E: Into<anyhow::Error>>(request: impl Future<Output = Result<T, E>>) -> anyhow::Result<T> {
    deadline::within(TIMEOUT, "the broker does not answer", request).await
}

#[cfg(test)]
mod tests;
