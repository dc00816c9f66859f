//! The one task that sends minutes. It reads the file beside the task that stores, and asks that one's store
//! only to note how far minutes are sent.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tidemap_wire::history_query::RemoteStatus;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    batches::{SeriesBatch, batches},
    http::{Http, Key},
    pieces::{Later, Outcome, Piece, Why, send, verdict},
};
use crate::{
    database::StoreError,
    keeper::{Met, Shared, lock},
    store::{Due, Sending, Sent, Settled, Store},
};

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between looks at what is final.
const CHECK_PERIOD: Duration = Duration::from_secs(5);
/// The wait after a request that failed; it doubles with each one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest one, unless the receiver asks for a longer one.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Refusals are logged no more often.
const LOG_PERIOD: Duration = Duration::from_secs(60);
/// No receiver is waited for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Sends minutes.
pub(crate) struct Sender {
    /// Where they are sent.
    pub url: Url,
    /// What requests are signed with.
    pub key: Option<Key>,
    /// The history's file.
    pub file: PathBuf,
    /// The history that is written.
    pub store: Shared,
    /// Where damage is reported that was met. What finds no room is met again.
    pub damage: mpsc::Sender<Met>,
}

/// What a step has come to.
enum SendStep {
    /// Nothing is due.
    Idle,
    /// Something is sent.
    Sent,
    /// Nothing can be sent at the moment.
    Later(Later),
}

impl Sender {
    /// Sends what is final until `stop`.
    pub(crate) async fn run(self, status: watch::Sender<Option<RemoteStatus>>, stop: CancellationToken) {
        let to = shown(&self.url);
        tracing::info!(%to, "minutes are sent to another database");
        if self.url.scheme() == "http" && self.key.is_some() && !is_here(&self.url) {
            tracing::warn!(%to, "what requests to it are signed with is not encrypted on its way: use https");
        }
        let sender = Arc::new(self);
        let new = || Lane::new(Arc::clone(&sender), status.clone(), stop.clone());
        let mut lane = new();
        let mut retry = FIRST_RETRY;
        loop {
            let step = spawn_blocking(move || {
                let step = lane.step();
                (lane, step)
            });
            let Some(step) = stop.run_until_cancelled(step).await else { return };
            let step = match step {
                Ok((same, step)) => {
                    lane = same;
                    step
                }
                Err(panic) => {
                    lane = new();
                    SendStep::Later(Later { after: None, why: panic.to_string() })
                }
            };
            let wait = match step {
                SendStep::Idle | SendStep::Sent => {
                    tell_trouble(&status, &to, None);
                    retry = FIRST_RETRY;
                    if matches!(step, SendStep::Sent) { Duration::ZERO } else { CHECK_PERIOD }
                }
                SendStep::Later(Later { after, why }) => {
                    tell_trouble(&status, &to, Some(why));
                    let wait = after.unwrap_or_default().clamp(retry, LONGEST_WAIT);
                    retry = (2 * retry).min(LAST_RETRY);
                    // Several stations do not come at once.
                    wait.mul_f64(1.0 + fastrand::f64() / 2.0)
                }
            };
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                return;
            }
        }
    }
}

/// Logs what has changed, and tells it.
fn tell_trouble(status: &watch::Sender<Option<RemoteStatus>>, to: &str, trouble: Option<String>) {
    let before = status.borrow().as_ref().and_then(|status| status.trouble.clone());
    match &trouble {
        Some(why) if before.as_ref() != Some(why) => {
            tracing::warn!(%to, "minutes cannot be sent: {why}; they are kept until they are sent");
        }
        None if before.is_some() => tracing::info!(%to, "minutes are sent again"),
        _ => {}
    }
    status.send_modify(|status| status.get_or_insert_default().trouble = trouble);
}

/// Sends one band's span after another.
struct Lane {
    sender: Arc<Sender>,
    http: Http,
    reader: Option<Store>,
    /// The first minute that may not be too old for the receiver.
    floor: u32,
    /// When refusals were last logged.
    logged: Option<Instant>,
    status: watch::Sender<Option<RemoteStatus>>,
    stop: CancellationToken,
}

impl Lane {
    fn new(
        sender: Arc<Sender>,
        status: watch::Sender<Option<RemoteStatus>>,
        stop: CancellationToken,
    ) -> Self {
        let http = Http::new(sender.key.clone());
        Self { sender, http, reader: None, floor: 0, logged: None, status, stop }
    }

    fn step(&mut self) -> SendStep {
        match self.try_step() {
            Ok(step) => step,
            Err(error) => {
                self.reader = None;
                if let StoreError::Damaged(what) = &error {
                    self.sender.damage.try_send(Met::File(what.clone())).ok();
                }
                SendStep::Later(Later { after: None, why: error.to_string() })
            }
        }
    }

    fn try_step(&mut self) -> Result<SendStep, StoreError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            reader => reader.insert(Store::open_to_read(&self.sender.file, Settled::default())?),
        };
        let sending = reader.sending()?;
        tell(&self.status, &sending);
        let Some(Due { band, minutes, mut then }) = sending.due else { return Ok(SendStep::Idle) };
        let nodes = reader.band_minutes(band, minutes.clone())?;
        let met = reader.take_met();
        if !met.is_empty() {
            self.sender.damage.try_send(Met::Tiles(met)).ok();
        }
        for batch in batches(nodes) {
            let whole = batch.whole(minutes.clone());
            let outcome = self.send(&batch, whole.clone());
            if let Some(later) = outcome.later {
                return Ok(SendStep::Later(later));
            }
            self.count(&batch, &whole, &outcome, &mut then);
        }
        lock(&self.sender.store).set_sent(&then)?;
        let dropped = then.dropped - sending.sent.map_or(0, |sent| sent.dropped);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "minutes were dropped before they were sent: the disk budget is too small"
            );
        }
        Ok(SendStep::Sent)
    }

    fn send(&mut self, batch: &SeriesBatch, whole: Piece) -> Outcome {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        let mut floor = self.floor;
        let outcome = send(whole, &mut floor, |piece| {
            let later = |why: String| super::pieces::Verdict::Later(Later { after: None, why });
            if self.stop.is_cancelled() {
                return later("the station ends".to_owned());
            }
            let body = match snap::raw::Encoder::new().compress_vec(&batch.body(piece)) {
                Ok(body) => body,
                Err(error) => return later(error.to_string()),
            };
            match self.http.post(&self.sender.url, &headers, &body, TIMEOUT) {
                Ok(answer) => verdict(answer.status, answer.retry_after.as_deref(), &answer.body),
                Err(error) => later(error),
            }
        });
        self.floor = floor;
        outcome
    }

    /// Adds up what has become of a batch, and names the first series that was refused.
    fn count(&mut self, batch: &SeriesBatch, whole: &Piece, outcome: &Outcome, sent: &mut Sent) {
        let (mut too_old, mut refused) = (0, 0);
        for (piece, why, _) in &outcome.refused {
            *(if *why == Why::TooOld { &mut too_old } else { &mut refused }) += batch.count(piece);
        }
        sent.too_old += too_old;
        sent.refused += refused;
        sent.samples += batch.count(whole) - too_old - refused;
        let mut named = outcome.refused.iter().filter(|(piece, ..)| batch.count(piece) > 0);
        if let Some((piece, _, why)) = named.next() {
            let what = batch.name(piece);
            let said = format!("{what} at {}: {why}", super::promql::time(piece.minutes.start));
            if self.logged.is_none_or(|at| at.elapsed() >= LOG_PERIOD) {
                self.logged = Some(Instant::now());
                let (too_old, refused) = (sent.too_old, sent.refused);
                tracing::warn!(
                    too_old,
                    refused,
                    "the other database refuses values for ever, such as {said}"
                );
            }
            self.status.send_modify(|status| status.get_or_insert_default().last_refused = Some(said));
        }
    }
}

fn tell(status: &watch::Sender<Option<RemoteStatus>>, sending: &Sending) {
    let sent = sending.sent.unwrap_or_default();
    status.send_modify(|status| {
        let RemoteStatus { trouble, last_refused, .. } = status.take().unwrap_or_default();
        *status = Some(RemoteStatus {
            sent_until_ms: sending.sent.map(|sent| i64::from(sent.until) * 60_000),
            behind_ms: u64::from(sending.behind) * 60_000,
            samples: sent.samples,
            refused: sent.refused,
            too_old: sent.too_old,
            changed_rows: sent.changed,
            // Those that are dropped before the next are sent count already.
            dropped_minutes: sending.due.as_ref().map_or(sent.dropped, |due| due.then.dropped),
            trouble,
            last_refused,
        });
    });
}

/// An address without what may be a secret in its query.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.to_string()
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
