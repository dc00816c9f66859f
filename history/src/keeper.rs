//! The task that stores what the stream brings.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidemap_service::log_reader::LogEvent;
use tidemap_wire::{NodeId, history_query::HistoryStatus};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::complete_until_ms,
    database::StoreError,
    intake::Intake,
    store::{GroupKey, Keep, Store},
};

/// Rows wait for as long before they are stored: each tile of a minute is then written about twice.
const PERIOD: Duration = Duration::from_secs(60);
/// Between looks at what is too old.
const RETAIN_PERIOD: Duration = Duration::from_secs(600);
/// Between attempts to store while the disk is full, or the file cannot be written.
const RETRY: Duration = Duration::from_secs(2);
/// For the last rows when the station ends. They stay in the stream otherwise.
const LAST_TIMEOUT: Duration = Duration::from_secs(3);

/// The history that is written. Only one thing is done with it at a time.
pub(crate) type Shared = Arc<Mutex<Store>>;

/// Which groups nodes belong to from now on.
pub(crate) type Members = Vec<(NodeId, Vec<GroupKey>)>;

/// Stores what the stream brings.
pub(crate) struct Keeper {
    pub store: Shared,
    pub keep: Keep,
    pub intake: Intake,
    pub status: watch::Sender<HistoryStatus>,
}

impl Keeper {
    /// Stores until `stop`, and then what was read last. A store that cannot be written only makes this wait:
    /// the stream keeps what comes meanwhile.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<LogEvent>,
        mut members: mpsc::Receiver<Members>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut due = Instant::now() + PERIOD;
        let mut retain_at = Instant::now();
        loop {
            tokio::select! {
                // The stream has brought something, unless as much waits as should.
                Some(event) = events.recv(), if !self.intake.is_full() => self.intake.take(event),
                // Nodes have changed their groups.
                Some(members) = members.recv() => self.store_until_done(&stop, move |store| store.set_groups(&members)).await,
                // Enough has come, or it is time.
                () = sleep_until(due), if !self.intake.is_full() => {
                    self.store_batch(&stop).await;
                    due = Instant::now() + PERIOD;
                }
                () = std::future::ready(()), if self.intake.is_full() => self.store_batch(&stop).await,
                // Something is too old.
                () = sleep_until(retain_at) => {
                    let keep = self.keep;
                    self.store_until_done(&stop, move |store| store.retain(keep)).await;
                    retain_at = Instant::now() + RETAIN_PERIOD;
                }
                // The station ends.
                () = stop.cancelled() => break,
            }
            self.tell_pending();
        }
        if timeout(LAST_TIMEOUT, self.store_batch(&stop)).await.is_err() {
            tracing::debug!("the last rows were not stored in time and will be read again");
        }
        Ok(())
    }

    /// Stores what was taken, and cuts what is due.
    async fn store_batch(&mut self, stop: &CancellationToken) {
        let Some(batch) = self.intake.batch().cloned() else { return };
        let at_ms = batch.at_ms;
        let sequence = self.intake.position().applied;
        let stored = self.store_until_done(stop, move |store| {
            let dropped = store.apply(&batch)?;
            if dropped > 0 {
                tracing::warn!(dropped, "rows of minutes that are kept no more came too late");
            }
            while store.compact()? {}
            Ok(())
        });
        stored.await;
        if self.status.borrow().trouble.is_some() {
            return;
        }
        self.intake.stored();
        self.status.send_modify(|status| {
            status.sequence = sequence;
            status.stored_at_ms = status.stored_at_ms.max(at_ms);
            status.complete_until_ms = complete_until_ms(status.stored_at_ms);
        });
    }

    fn tell_pending(&self) {
        let (read, pending) = (self.intake.position().applied, self.intake.pending());
        self.status.send_if_modified(|status| {
            let before = (status.read_sequence, status.pending);
            (status.read_sequence, status.pending) = (read, pending);
            before != (read, pending)
        });
    }

    /// Does something with the store, again and again until it succeeds or the station ends.
    async fn store_until_done(
        &self,
        stop: &CancellationToken,
        change: impl Fn(&mut Store) -> Result<(), StoreError> + Send + Sync + 'static,
    ) {
        let change = Arc::new(change);
        loop {
            let (store, once) = (Arc::clone(&self.store), Arc::clone(&change));
            let done = spawn_blocking(move || once(&mut lock(&store))).await;
            let trouble = match done {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic.to_string()),
            };
            self.tell_trouble(trouble.clone());
            if trouble.is_none() || stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_none() {
                return;
            }
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

/// Locks a store. A thread that panicked has left its transaction, and so the store as it was before.
pub(crate) fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
