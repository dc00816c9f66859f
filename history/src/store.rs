//! The history of all nodes and groups.
//!
//! Rows of minutes lie in tiles of a minute and many nodes until their hour is over, then in tiles of a node
//! and hour, then in tiles of a node and day; where a row is follows from its band's progress. Everything
//! else follows from these rows: quarters, hours and days, boards, and the sums of groups.

mod calendar;
mod compaction;
mod effects;
mod fives;
mod forget;
mod forgotten;
mod groups;
mod membership;
mod merge;
mod read;
mod rebuild;
mod retention;
mod seconds;
mod sending;
mod settle;
mod settled;
mod state;
#[cfg(test)]
mod tests;
mod tiles;
mod whole;

use std::{collections::HashSet, path::Path};

use tidemap_wire::{LateSample, MinuteRow, NodeId, SecondSums};

use self::state::State;
pub(crate) use self::{
    groups::{GroupKey, SeriesKey},
    read::{Step, TopOrder},
    retention::{Keep, Reach, Tidied},
    sending::{Due, NodeMinutes, Sending, Sent},
    settled::Settled,
};
use crate::database::{Database, Place, StoreError, Tier};

/// What is stored together, with the place in the stream up to which it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    /// Rows of minutes.
    pub rows: Vec<(NodeId, MinuteRow)>,
    /// Samples that came too late for their row.
    pub late: Vec<(NodeId, LateSample)>,
    /// What groups moved by the second.
    pub seconds: Vec<SecondSums>,
    /// When the broker stored the first of these messages, Unix milliseconds.
    pub begun_ms: i64,
    /// When it stored the last.
    pub at_ms: i64,
    /// Messages that the broker stored before this moment may be lost, Unix milliseconds.
    pub lost_before_ms: Option<i64>,
    /// The place in the stream after these, as its reader writes it.
    pub place: Vec<u8>,
}

impl Batch {
    /// When it was stored by the broker, without its rows.
    pub(crate) fn clone_times(&self) -> Self {
        let Self { begun_ms, at_ms, lost_before_ms, .. } = *self;
        Self { begun_ms, at_ms, lost_before_ms, ..Self::default() }
    }
}

/// An open history.
#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
    state: State,
    /// Whether a change has begun that has not ended: it has panicked.
    is_changing: bool,
}

impl Store {
    /// Opens a history for writing, and creates it if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut database = Database::open(path)?;
        database.check_newest()?;
        let mut store = Self::with(database, Settled::default())?;
        store.report_damage();
        store.settle()?;
        Ok(store)
    }

    /// Opens a history that another `Store` writes, of which this has settled: what the writer knows, or
    /// nothing.
    pub(crate) fn open_to_read(path: &Path, settled: Settled) -> Result<Self, StoreError> {
        Self::with(Database::open_to_read(path)?, settled)
    }

    fn with(database: Database, settled: Settled) -> Result<Self, StoreError> {
        let mut store = Self { database, state: State::of(settled), is_changing: false };
        store.refresh()?;
        Ok(store)
    }

    /// Reads what was written since the last time.
    fn refresh(&mut self) -> Result<(), StoreError> {
        let tx = self.database.read()?;
        self.state.refresh(&tx)
    }

    /// The place in the stream up to which everything is stored, as its reader wrote it.
    pub(crate) fn place(&self) -> Option<&[u8]> {
        self.state.place.as_deref()
    }

    /// When the broker stored the newest message, Unix milliseconds.
    pub(crate) fn at_ms(&self) -> i64 {
        self.state.at_ms
    }

    /// Its begin, Unix milliseconds; none while it has nothing.
    pub(crate) fn since_ms(&self) -> Option<i64> {
        (self.state.at_ms > 0).then(|| i64::from(self.state.origin) * 60_000)
    }

    /// From when on it has every minute, Unix milliseconds; none while it has nothing.
    pub(crate) fn whole_from_ms(&self) -> Option<i64> {
        let whole = i64::from(self.state.whole_from) * 60_000;
        self.since_ms().map(|since_ms| since_ms.max(whole))
    }

    /// Whether a node's minute was forgotten.
    pub(crate) fn has_forgotten(&self, node: &NodeId, minute: u32) -> bool {
        self.state.forgotten.has(node, minute)
    }

    /// Does something in one transaction. When it fails, or panics, nothing has changed.
    fn transact<T>(
        &mut self,
        change: impl FnOnce(&crate::database::Tx<'_>, &mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_changing {
            self.read_again()?;
        }
        let tx = self.database.write()?;
        self.is_changing = true;
        let done = change(&tx, &mut self.state).and_then(|done| {
            self.state.settling.note(&tx)?;
            tx.commit().map(|()| done)
        });
        if done.is_ok() {
            self.state.settling.committed();
        } else {
            self.read_again()?;
        }
        self.is_changing = false;
        self.report_damage();
        done
    }

    /// Takes back what a change that was not committed has noted.
    fn read_again(&mut self) -> Result<(), StoreError> {
        // What was set aside is where it was.
        self.database.take_met();
        self.state.settling.rolled_back();
        let tx = self.database.read()?;
        self.state.reload(&tx)?;
        drop(tx);
        self.is_changing = false;
        Ok(())
    }

    /// Sets damaged tiles aside that a reader has met.
    pub(crate) fn set_aside(&mut self, places: &[Place]) -> Result<(), StoreError> {
        self.transact(|tx, state| {
            let groups: HashSet<u32> = state.groups.values().copied().collect();
            for Place { tier, period, series } in places {
                let is_group = *tier != Tier::Minute && groups.contains(series);
                // A writer checks what it reads, and may have met it before.
                match tier.has_rows() && !is_group {
                    true => tiles::rows(tx, *tier, *period, *series).map(drop)?,
                    false => tiles::points(tx, *tier, *period, *series).map(drop)?,
                }
            }
            Ok(())
        })
    }

    /// Damaged tiles that were met since the last call.
    pub(crate) fn take_met(&self) -> Vec<Place> {
        self.database.take_met()
    }

    fn report_damage(&self) {
        let met = self.database.take_met();
        if let Some(first) = met.first() {
            tracing::error!(
                tiles = met.len(),
                ?first,
                "tiles of the history are damaged and set aside: what they contained is missing from answers"
            );
        }
    }
}
