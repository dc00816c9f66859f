//! The station's one task: follows the fleet and the bucket, and while it holds the lease, judges, writes and
//! sends. All state is in it; what takes long (an attempt to send) runs beside it and reports back.

mod warnings;
mod writing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use tidemap_alert::AlertFile;
use tidemap_client::{AlertBucket, AlertLease, AlertNews, AlertWriter, Follower, LEASE_KEY, NoticeRecord};
use tidemap_service::{
    clock::{Stopwatch, whole_ms},
    log_reader::LogEvent,
    streams,
    watched_file::FileContent,
};
use tidemap_wire::timing;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    delivery::{Deliveries, Outcome},
    judge::{Judge, Rows},
    lease_task::HeldLease,
    ledger::Ledger,
    notify::{GIVE_UP, Sender},
    past::{Answered, PastAsking},
    plans::{Counted, PlanAsking},
    sending::{Sending, Sent},
};

/// Between two looks at partitions and workers, and two reports of what this station does.
const SECOND: Duration = Duration::from_secs(1);
/// Between two looks for what has been kept for long enough, and for secrets that cannot be read.
const UPKEEP_PERIOD: Duration = Duration::from_secs(60);

/// What the station is given.
pub(crate) struct StationParts {
    pub(crate) client: Client,
    pub(crate) js: jetstream::Context,
    pub(crate) follower: Follower,
    pub(crate) held: watch::Receiver<Option<HeldLease>>,
    pub(crate) status: watch::Sender<AlertLease>,
}

/// The state of the station.
pub(crate) struct Station {
    js: jetstream::Context,
    follower: Follower,
    held: watch::Receiver<Option<HeldLease>>,
    status: watch::Sender<AlertLease>,
    watched: Option<watch::Receiver<FileContent<AlertFile>>>,
    file: Arc<AlertFile>,
    /// Absent until the bucket is open.
    writer: Option<AlertWriter>,
    bucket: AlertBucket,
    rows: Rows,
    /// Absent while another station judges.
    judge: Option<Judge>,
    ledger: Ledger,
    deliveries: Deliveries,
    sending: Sending,
    past: PastAsking,
    plans: PlanAsking,
    /// What cannot be read of the file's secrets.
    missing: Vec<String>,
    /// Whether the bucket may have records whose notice is missing.
    may_be_untold: bool,
    /// Since when the broker has no bucket.
    missing_since: Option<Instant>,
    /// Why the broker did not store what was written last.
    refused: Option<String>,
    /// Keys that the broker has lost, and when that was found.
    lost: Option<(Vec<String>, Instant)>,
    started: Stopwatch,
    second_due: Instant,
    upkeep_due: Instant,
    timers_due: Instant,
    beat_due: Instant,
}

/// Whether all that was read is the lease, which is written once a second.
fn is_of_lease(event: &LogEvent) -> bool {
    let lease = streams::bucket_subject(streams::ALERTS, LEASE_KEY);
    matches!(event, LogEvent::Messages(all) if all.iter().all(|message| *message.subject == *lease))
}

impl Station {
    pub(crate) fn new(config: Config, parts: StationParts) -> Self {
        let StationParts { client, js, follower, held, status } = parts;
        let watched = config.file.as_ref().map(|file| file.subscribe());
        let file = config.file.map(|file| file.content().value).unwrap_or_default();
        let now = Instant::now();
        Self {
            js,
            follower,
            held,
            status,
            watched,
            file,
            writer: None,
            bucket: AlertBucket::default(),
            rows: Rows::default(),
            judge: None,
            ledger: Ledger::default(),
            deliveries: Deliveries::default(),
            past: PastAsking::new(client.clone()),
            plans: PlanAsking::new(client.clone(), config.plans),
            sending: Sending::new(client, Sender::new(config.folder)),
            missing: Vec::new(),
            may_be_untold: true,
            missing_since: None,
            refused: None,
            lost: None,
            started: Stopwatch::start(),
            second_due: now,
            upkeep_due: now,
            timers_due: now,
            beat_due: now,
        }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<LogEvent>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                // The process ends.
                () = stop.cancelled() => return Ok(()),
                // The bucket has changed, by this station's writing or another's.
                Some(event) = events.recv() => self.read(event),
                // An attempt to send a notice has ended.
                sent = self.sending.ended() => self.sent(sent).await,
                // The history has answered a question.
                answered = self.past.ended() => self.answered(answered),
                // A plan was counted.
                counted = self.plans.ended() => self.counted(counted),
                // A tick is due.
                changed = self.follower.tick() => self.tick(&changed?).await,
            }
        }
    }

    /// When this station judges: the moment, and the broker's time.
    fn active(&self) -> Option<(Instant, i64)> {
        let held = (*self.held.borrow())?;
        let now = Instant::now();
        let is_active = held.is_active() && self.bucket.has_read(held.taken);
        Some((now, self.follower.fleet().broker_ms(now)?)).filter(|_| is_active)
    }

    fn read(&mut self, event: LogEvent) {
        self.may_be_untold |= !is_of_lease(&event);
        let news = self.bucket.apply(event);
        match &news {
            AlertNews::None => {}
            AlertNews::Missing => {
                self.missing_since.get_or_insert_with(Instant::now);
            }
            AlertNews::Read { .. } => self.missing_since = None,
        }
        match news {
            AlertNews::None => {}
            AlertNews::Missing => self.writer = None,
            AlertNews::Read { missing, .. } if missing.is_empty() => {}
            AlertNews::Read { missing, is_new } if is_new || self.judge.is_some() => {
                self.lost = Some((missing, Instant::now()));
            }
            // Another station has removed them.
            AlertNews::Read { missing, .. } => {
                for key in &missing {
                    self.bucket.forget(key);
                }
            }
        }
    }

    /// Writes again what the broker has lost, where nobody else has written it meanwhile.
    async fn restore(&mut self, writer: &AlertWriter) {
        let Some((keys, _)) = self.lost.take() else { return };
        tracing::warn!(keys = keys.len(), "the broker has lost alerts; writing them again");
        self.write_again(writer, keys).await;
    }

    /// Forgets what the broker has lost once whoever judges has had the time to write it again.
    fn forget_lost(&mut self, now: Instant) {
        if let Some((keys, _)) = self.lost.take_if(|(_, at)| now - *at > timing::LEASE_RESERVATION) {
            for key in keys {
                if self.bucket.revision(&key) == Some(0) {
                    self.bucket.forget(&key);
                }
            }
        }
    }

    async fn tick(&mut self, changed: &[u32]) {
        let gone = self.rows.update(self.follower.fleet(), changed);
        self.read_file();
        let Some((now, now_ms)) = self.active() else { return self.stand_by() };
        let fleet = self.follower.fleet();
        match &mut self.judge {
            Some(judge) => judge.observe(fleet, changed, &gone, now_ms),
            none => {
                let judge = none.insert(Judge::new(&self.file, &self.bucket, now_ms));
                judge.observe_all(fleet, now_ms);
                (self.upkeep_due, self.timers_due, self.may_be_untold) = (now, now, true);
            }
        }
        let Some(judge) = &mut self.judge else { return };
        judge.complete(fleet, now, now_ms);
        if now >= self.second_due {
            self.second_due = now + SECOND;
            judge.observe_system(fleet, now, now_ms);
            self.plans.begin(&self.file.rules, now, now_ms);
            if let Some(plans) = self.plans.facts(now, now_ms) {
                judge.observe_plans(now_ms, &plans);
            }
            self.past.add(judge.wanted(now_ms, self.past.room()), now_ms);
        }
        let passed_ms = self.started.now_ms();
        judge.silence(&self.bucket, now_ms);
        for judged in judge.judge(now_ms) {
            self.ledger.push(&judged.key, judged.update, judged.group, passed_ms);
        }
        // What is judged waits in the ledger while the bucket cannot be opened.
        let Some(writer) = self.open().await else { return };
        self.restore(&writer).await;
        self.write(&writer, now_ms).await;
        self.write_timers(&writer, now).await;
        for (channel, id) in self.deliveries.unmarked(&self.bucket) {
            self.settle(&writer, &channel, &id, true, now_ms).await;
        }
        if now >= self.upkeep_due {
            self.upkeep_due = now + UPKEEP_PERIOD;
            self.missing = self.sending.missing(&self.file).await;
            self.clear_up(&writer, now_ms).await;
        }
        self.send(now_ms);
        self.beat(now);
        self.report(now, now_ms);
    }

    /// Does nothing more, because another station judges, or may.
    fn stand_by(&mut self) {
        if self.judge.take().is_some() {
            tracing::info!("this station stands by: it does not hold the lease now");
            self.ledger.clear();
            self.sending.stop();
            self.past.stop();
            self.plans.stop();
            self.deliveries.stopped();
        }
        // What it says when it takes the lease.
        self.say(|status| {
            (status.judged_ms, status.knows_clear) = (0, false);
            status.warnings.clear();
        });
        let now = Instant::now();
        self.forget_lost(now);
        if now >= self.upkeep_due {
            self.upkeep_due = now + UPKEEP_PERIOD;
            // Removing leaves no marker, so nobody says what the station that judges has removed.
            if let Some(judged_ms) = self.bucket.lease.as_ref().map(|lease| lease.value.judged_ms) {
                self.bucket.prune(judged_ms);
            }
        }
    }

    /// Takes what the file says now.
    fn read_file(&mut self) {
        let Some(watched) = self.watched.as_mut().filter(|watched| watched.has_changed().unwrap_or(false))
        else {
            return;
        };
        let value = Arc::clone(&watched.borrow_and_update().value);
        if Arc::ptr_eq(&value, &self.file) {
            return;
        }
        self.file = value;
        self.deliveries.retry_all();
        self.upkeep_due = Instant::now();
        let fleet = self.follower.fleet();
        if let (Some(judge), Some(now_ms)) = (&mut self.judge, fleet.broker_ms(Instant::now())) {
            judge.reload(&self.file, now_ms);
            judge.observe_all(fleet, now_ms);
        }
    }

    /// Begins to send what is due.
    fn send(&mut self, now_ms: i64) {
        for (channel, id) in self.deliveries.next(&self.bucket, self.started.now_ms()) {
            let Some(stored) = self.bucket.notices.get(&id) else { continue };
            let notice = stored.value.notice.clone();
            let is_late = u64::try_from(now_ms - notice.at_ms).is_ok_and(|late| late > whole_ms(GIVE_UP));
            if is_late && channel != NoticeRecord::PROGRAMS {
                tracing::error!(channel, notice = id, "a notice is given up after a day");
                self.sending.give_up(channel, id);
                continue;
            }
            let failures = self.deliveries.failures(&channel);
            self.sending.begin(&self.file, channel, notice, failures, now_ms);
        }
    }

    /// Notes what came of an attempt.
    async fn sent(&mut self, sent: Sent) {
        let Sent { channel, id, outcome } = sent;
        self.deliveries.ended(&channel, &id, outcome, self.started.now_ms());
        let (Some((_, now_ms)), Some(writer)) = (self.active(), self.writer.clone()) else { return };
        match outcome {
            Outcome::Delivered => self.settle(&writer, &channel, &id, true, now_ms).await,
            Outcome::Gone => {
                self.deliveries.dropped(&channel, &id);
                self.settle(&writer, &channel, &id, false, now_ms).await;
            }
            Outcome::Failed(_) | Outcome::Refused(_) => {}
        }
        self.send(now_ms);
    }

    /// Takes what the history says; the next tick judges it.
    fn answered(&mut self, answered: Answered) {
        let (Some((_, now_ms)), Some(judge)) = (self.active(), &mut self.judge) else { return };
        if let Some((want, rates)) = self.past.read(answered, now_ms) {
            judge.observe_past(now_ms, &want, rates);
        }
    }

    /// Takes what was counted of a plan, and begins to count the next one that is due.
    fn counted(&mut self, counted: Counted) {
        self.plans.read(counted, Instant::now());
        if let (Some((now, now_ms)), Some(_)) = (self.active(), &self.judge) {
            self.plans.begin(&self.file.rules, now, now_ms);
        }
    }

    /// Says that the fleet is heard and judged.
    fn beat(&mut self, now: Instant) {
        let Some(heartbeat) = self.file.channels.heartbeat() else { return };
        if now >= self.beat_due && self.follower.fleet().is_followed(now) {
            self.beat_due = now + heartbeat.every;
            self.sending.beat(&self.file);
        }
    }

    fn report(&self, now: Instant, now_ms: i64) {
        let warnings = self.warnings();
        let rules = self.rules();
        let is_hearing = self.follower.fleet().is_followed(now);
        let channels: BTreeMap<_, _> = self.deliveries.counts();
        self.say(|status| {
            (status.judged_ms, status.rules, status.is_hearing) = (now_ms, rules, is_hearing);
            (status.warnings, status.channels) = (warnings, channels);
        });
    }

    /// How many rules are judged.
    fn rules(&self) -> u32 {
        u32::try_from(self.file.rules.iter().count()).unwrap_or(u32::MAX)
    }

    fn say(&self, change: impl FnOnce(&mut AlertLease)) {
        self.status.send_modify(change);
    }

    async fn open(&mut self) -> Option<AlertWriter> {
        // Writing makes the bucket if it is missing, and the broker may still be deleting it.
        let may_make = self.missing_since.is_none_or(|since| since.elapsed() >= streams::DELETION);
        if self.writer.is_none() && may_make {
            match AlertWriter::create(&self.js).await {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => tracing::debug!("the bucket of alerts cannot be opened: {error:#}"),
            }
        }
        self.writer.clone()
    }
}
