//! The task that stores what the stream brings.

mod apart;
mod clocks;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidemap_service::{clock, log_reader::LogEvent};
use tidemap_wire::{NodeId, history_query::HistoryStatus};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{apart::Apart, clocks::believable};
use crate::{
    answers::{complete_until_ms, settled_until_ms},
    database::{Place, StoreError},
    disk::{Disk, Held, Left},
    intake::Intake,
    store::{Batch, GroupKey, Keep, Store, Tidied},
};

/// Rows wait for as long at most before they are stored: each tile of a minute is then written about twice.
const PERIOD: Duration = Duration::from_secs(60);
/// Without news for as long, everything of the newest message's minute has come.
const SETTLED: Duration = Duration::from_secs(18);
/// Without news for as long, they are stored: owners have published a minute, and each tile is written once.
const QUIET: Duration = Duration::from_secs(3);
/// Between looks at what is too old.
const TIDY_PERIOD: Duration = Duration::from_secs(30);
/// A full disk costs a day of minutes at most as often: others may take whatever is given up.
const DROP_PERIOD: Duration = Duration::from_secs(3_600);
/// With so many messages to read, two minutes of a hundred thousand nodes, nothing is added up yet: what
/// comes next would change it.
const BEHIND: u64 = 2_000;
/// Between attempts to store while the disk is full, or the file cannot be written.
const RETRY: Duration = Duration::from_secs(2);
/// What panics is tried as often. It will again: rows are then stored one by one without those that do, and
/// other work is left out until it is due again.
const TRIES: u32 = 3;
/// For the last rows when the station ends. They stay in the stream otherwise.
const LAST_TIMEOUT: Duration = Duration::from_secs(3);

/// The history that is written. Only one thing is done with it at a time.
pub(crate) type Shared = Arc<Mutex<Store>>;

/// Which groups nodes belong to from now on.
pub(crate) type Members = Vec<(NodeId, Vec<GroupKey>)>;

/// Why keeping ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The station ends.
    Stopped,
    /// The file is damaged, and so: it is to be rebuilt.
    Damaged(String),
}

/// Damage that a reader has met.
#[derive(Clone, Debug)]
pub(crate) enum Met {
    /// These tiles, at a place each.
    Tiles(Vec<Place>),
    /// The file itself, and so.
    File(String),
}

/// Stores what the stream brings.
pub(crate) struct Keeper {
    store: Shared,
    folder: PathBuf,
    keep: Keep,
    intake: Intake,
    status: watch::Sender<HistoryStatus>,
    /// When a full disk last cost a day of minutes.
    dropped_at: Option<Instant>,
    /// Rows and late samples that were read and not stored.
    refused: u64,
    /// How often something was given up that panicked.
    given_up: u64,
}

/// What became of something that was to be done with the store.
enum Done<T> {
    Yes(T),
    /// The station ends.
    Stopped,
    /// It panics whenever it is tried.
    GivenUp,
}

impl Keeper {
    /// Keeps no more than `keep` in a store, which lies in `folder`, and goes on as `intake` says.
    pub(crate) fn new(
        store: Store,
        folder: PathBuf,
        keep: Keep,
        intake: Intake,
        status: watch::Sender<HistoryStatus>,
    ) -> Self {
        let store = Arc::new(Mutex::new(store));
        Self { store, folder, keep, intake, status, dropped_at: None, refused: 0, given_up: 0 }
    }

    /// The store, for what must be done with it besides.
    pub(crate) fn store(&self) -> Shared {
        Arc::clone(&self.store)
    }

    /// Stores until `stop`, and then what was read last. A store that cannot be written only makes this wait:
    /// the stream keeps what comes meanwhile.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<LogEvent>,
        mut members: mpsc::Receiver<Members>,
        mut damage: mpsc::Receiver<Met>,
        stop: CancellationToken,
    ) -> Ended {
        match self.keep(&mut events, &mut members, &mut damage, &stop).await {
            Err(damaged) => Ended::Damaged(damaged),
            Ok(()) => {
                if timeout(LAST_TIMEOUT, self.store_batch(&stop)).await.is_err() {
                    tracing::debug!("the last rows were not stored in time and will be read again");
                }
                Ended::Stopped
            }
        }
    }

    /// Ends at `stop`, or with what is wrong with the file.
    async fn keep(
        &mut self,
        events: &mut mpsc::Receiver<LogEvent>,
        members: &mut mpsc::Receiver<Members>,
        damage: &mut mpsc::Receiver<Met>,
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let mut due = Instant::now() + PERIOD;
        // When nothing has come for a while.
        let mut quiet = due;
        let mut settled = None;
        let mut tidy_at = Instant::now();
        loop {
            tokio::select! {
                // The stream has brought something, unless as much waits as should.
                Some(event) = events.recv(), if !self.intake.is_full() => {
                    quiet = Instant::now() + QUIET;
                    // Silence of a stream that cannot be read says nothing.
                    let is_read = !matches!(event, LogEvent::Interrupted { .. });
                    settled = is_read.then(|| Instant::now() + SETTLED);
                    self.intake.take(event);
                }
                // Nodes have changed their groups.
                Some(members) = members.recv() => self.store_until_done(stop, move |store| store.set_groups(&members)).await.map(drop)?,
                // A reader has met damage.
                Some(met) = damage.recv() => match met {
                    Met::Tiles(places) => self.store_until_done(stop, move |store| store.set_aside(&places)).await.map(drop)?,
                    Met::File(what) => return Err(what),
                },
                // Enough has come, or it is time.
                () = sleep_until(due.min(quiet)), if !self.intake.is_full() => {
                    self.store_batch(stop).await?;
                    due = Instant::now() + PERIOD;
                    quiet = due;
                }
                // The minute has come.
                () = sleep_until(settled.unwrap_or(due)), if settled.is_some() && !self.intake.is_full() => {
                    self.settle();
                    settled = None;
                }
                () = std::future::ready(()), if self.intake.is_full() => self.store_batch(stop).await?,
                // Something may be too old, or too large. Step by step, so that rows are stored between.
                () = sleep_until(tidy_at) => {
                    let is_more_due = self.tidy(stop).await?;
                    tidy_at = if is_more_due { Instant::now() } else { Instant::now() + TIDY_PERIOD };
                }
                // The station ends.
                () = stop.cancelled() => return Ok(()),
            }
            self.tell_pending();
        }
    }

    /// Stores what was taken, and cuts what is due.
    async fn store_batch(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let Some(mut batch) = self.intake.batch().cloned() else { return Ok(()) };
        batch.at_ms = believable(&batch, clock::unix_ms());
        batch.begun_ms = batch.begun_ms.min(batch.at_ms);
        let at_ms = batch.at_ms;
        let sequence = self.intake.position().applied;
        let is_behind = self.intake.pending() > BEHIND;
        let batch = Arc::new(batch);
        let whole = Arc::clone(&batch);
        let dropped = match self.store_until_done(stop, move |store| store.apply(&whole)).await? {
            Done::Yes(dropped) => dropped,
            Done::Stopped => return Ok(()),
            Done::GivenUp => match self.store_apart(stop, batch).await? {
                Done::Yes(Apart { dropped, refused }) => {
                    self.refused += refused;
                    tracing::error!(refused, "rows that cannot be stored are left out");
                    dropped
                }
                // The place stays where it was, and the batch is tried again.
                Done::Stopped | Done::GivenUp => return Ok(()),
            },
        };
        if dropped > 0 {
            self.refused += dropped as u64;
            tracing::warn!(
                dropped,
                "rows of minutes that are kept no more, or lie in the future, are not stored"
            );
        }
        self.intake.stored();
        let compacted = self.store_until_done(stop, move |store| {
            while store.compact()? {}
            if is_behind { Ok(()) } else { store.settle() }
        });
        if matches!(compacted.await?, Done::Stopped) {
            return Ok(());
        }
        let begins = self.store_until_done(stop, |store| Ok((store.since_ms(), store.whole_from_ms())));
        let Done::Yes((since_ms, whole_from_ms)) = begins.await? else { return Ok(()) };
        self.status.send_modify(|status| {
            status.sequence = sequence;
            (status.since_ms, status.whole_from_ms) = (since_ms, whole_from_ms);
            status.stored_at_ms = status.stored_at_ms.max(at_ms);
            status.complete_until_ms = status.complete_until_ms.max(complete_until_ms(status.stored_at_ms));
        });
        Ok(())
    }

    /// Stores what can be stored of a batch of which storing panics.
    async fn store_apart(
        &mut self,
        stop: &CancellationToken,
        batch: Arc<Batch>,
    ) -> Result<Done<Apart>, String> {
        let stored = self.store_until_done(stop, move |store| {
            let place = store.place().unwrap_or_default().to_vec();
            apart::store_apart(&batch, &place, |part| store.apply(part))
        });
        stored.await
    }

    /// Notes that the newest minute has come, if it is stored.
    fn settle(&mut self) {
        if self.intake.batch().is_none() && self.intake.pending() == 0 {
            self.status.send_modify(|status| {
                status.complete_until_ms =
                    status.complete_until_ms.max(settled_until_ms(status.stored_at_ms));
            });
        }
    }

    /// Drops what is kept no more, a step of it. Returns whether another is due.
    async fn tidy(&mut self, stop: &CancellationToken) -> Result<bool, String> {
        let (keep, folder) = (self.keep, self.folder.clone());
        let tidied = self.store_until_done(stop, move |store| {
            Held::new(&folder).take();
            store.tidy(keep, Disk::of(&folder))
        });
        let Done::Yes(tidied) = tidied.await? else { return Ok(false) };
        self.warn(warnings(tidied, keep));
        Ok(tidied.is_more_due)
    }

    /// Logs warnings that are new, and tells all.
    fn warn(&self, warnings: Vec<String>) {
        self.status.send_if_modified(|status| {
            let has_changed = status.warnings != warnings;
            for warning in warnings.iter().filter(|warning| !status.warnings.contains(warning)) {
                tracing::warn!("the history: {warning}");
            }
            status.warnings = warnings;
            has_changed
        });
    }

    fn tell_pending(&self) {
        let (read, pending) = (self.intake.position().applied, self.intake.pending());
        let now = (read, pending, self.refused + self.intake.refused());
        self.status.send_if_modified(|status| {
            let before = (status.read_sequence, status.pending, status.refused_rows);
            (status.read_sequence, status.pending, status.refused_rows) = now;
            before != now
        });
    }

    /// Does something with the store, again and again until it succeeds, the station ends, or it has panicked
    /// a few times. An error is what is wrong with the file.
    async fn store_until_done<T: Send + 'static>(
        &mut self,
        stop: &CancellationToken,
        change: impl Fn(&mut Store) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<Done<T>, String> {
        let change = Arc::new(change);
        let mut panics = 0;
        loop {
            let (store, once) = (Arc::clone(&self.store), Arc::clone(&change));
            let done = spawn_blocking(move || once(&mut lock(&store))).await;
            let trouble = match done {
                Ok(Ok(done)) => {
                    self.tell_trouble(None);
                    return Ok(Done::Yes(done));
                }
                Ok(Err(StoreError::Damaged(what))) => return Err(what),
                Ok(Err(error @ StoreError::Full)) => {
                    self.tell_trouble(Some(error.to_string()));
                    self.make_room().await;
                    error.to_string()
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => {
                    panics += 1;
                    if panics == TRIES {
                        self.give_up(&panic.to_string());
                        return Ok(Done::GivenUp);
                    }
                    panic.to_string()
                }
            };
            self.tell_trouble(Some(trouble));
            if stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                return Ok(Done::Stopped);
            }
        }
    }

    /// Goes on without something that panics.
    fn give_up(&mut self, panic: &str) {
        self.given_up += 1;
        // At most one line for each doubling.
        if self.given_up.is_power_of_two() {
            tracing::error!(
                count = self.given_up,
                "a fault of the program keeps part of the history from being stored: {panic}"
            );
        }
        self.status.send_modify(|status| status.trouble = None);
    }

    /// Makes room on a full disk: what is held for this comes first, then what the file does not need, then
    /// the oldest minutes.
    async fn make_room(&mut self) {
        let may_drop = self.dropped_at.is_none_or(|at| at.elapsed() >= DROP_PERIOD);
        let (store, held) = (Arc::clone(&self.store), Held::new(&self.folder));
        let made = spawn_blocking(move || make_room(&mut lock(&store), &held, may_drop)).await;
        match made {
            Ok(Ok(Left::Nothing)) if may_drop => self.dropped_at = Some(Instant::now()),
            Ok(Ok(_)) => {}
            // The next attempt to store has the same error, which is logged.
            Ok(Err(error)) => tracing::debug!("no room could be made: {error}"),
            Err(panic) => tracing::debug!("no room could be made: {panic}"),
        }
    }

    /// Logs what has changed, and tells it.
    fn tell_trouble(&self, trouble: Option<String>) {
        let has_changed = self.status.send_if_modified(|status| {
            let has_changed = status.trouble != trouble;
            status.trouble.clone_from(&trouble);
            has_changed
        });
        match trouble {
            Some(trouble) if has_changed => tracing::error!(
                "{trouble}: nothing is stored until that has passed; the broker keeps what comes meanwhile for two days"
            ),
            None if has_changed => tracing::info!("the history is stored again"),
            _ => {}
        }
    }
}

/// Makes room with what is left of the room that is held. What is dropped then is held for the next time.
pub(crate) fn make_room(store: &mut Store, held: &Held, may_drop: bool) -> Result<Left, StoreError> {
    let left = held.give();
    match left {
        Left::Half => store.empty_log()?,
        Left::Nothing => {
            store.make_room(2 * held.bytes(), may_drop)?;
            held.take_anyhow();
        }
    }
    Ok(left)
}

/// What is wrong while storing goes on.
fn warnings(tidied: Tidied, keep: Keep) -> Vec<String> {
    let mut warnings = Vec::new();
    if tidied.is_disk_low {
        let what = "the disk has less free than is left to others (a twentieth, at most 1 GB): the oldest minutes make room for new ones";
        warnings.push(what.to_owned());
    }
    if tidied.too_much.is_some() && !tidied.is_disk_low {
        warnings.push(format!(
            "hours and days, which are kept for ever, and the newest minutes take more than the {} MB of \
             --history-disk: nothing is left to drop, and the file grows",
            keep.bytes / 1_000_000
        ));
    }
    warnings
}

/// Locks a store. A thread that panicked has left its transaction, and so the store as it was before.
pub(crate) fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
