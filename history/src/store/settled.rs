//! What the minutes of open hours came to, in memory, as far as they have settled: whoever asks about all
//! nodes reads only the newest minutes from their tiles.
//!
//! The writer alone fills it, after what it has stored. What changes a minute that had settled, or what is
//! known before it, takes its band out first and raises a number in the same transaction. A reader whose
//! file has another number reads all tiles, so answers are always those of the file that is read.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    account::Account,
    database::{StoreError, Tx},
    point::Point,
};

/// How often something changed that had settled.
const CHANGES: &str = "unsettled";

/// Sums of what has settled, shared by the writer and its readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settled(Arc<RwLock<Sums>>);

/// What has settled in some bands.
#[derive(Debug, Default)]
pub(super) struct Sums {
    changes: u64,
    bands: HashMap<u32, Band>,
    groups: Groups,
}

/// What has settled of a band.
#[derive(Clone, Debug)]
pub(super) struct Band {
    /// The first minute that has not settled.
    pub until: u32,
    /// What is known of the nodes' runs before that minute, by their place in the band.
    pub accounts: Accounts,
    /// What moved by hour, and by the node's place in the band.
    pub hours: BTreeMap<u32, Vec<Point>>,
}

/// Accounts of a band's nodes by their place in it; none of a node that has no row yet.
pub(super) type Accounts = Vec<Option<Account>>;

/// What groups' minutes came to, and how many rows are in each of these sums.
#[derive(Debug, Default)]
pub(super) struct Groups(HashMap<u32, BTreeMap<u32, (u32, Point)>>);

/// What a transaction takes out, until it is committed: the shares of bands in groups.
#[derive(Debug, Default)]
struct Unsettled {
    bands: BTreeMap<u32, Groups>,
    all: bool,
}

/// The writer's side.
#[derive(Debug, Default)]
pub(super) struct Settling {
    pub shared: Settled,
    unsettled: RefCell<Unsettled>,
}

impl Settled {
    /// What has settled, to be held while a transaction begins and is read. Absent once a writer has failed
    /// while it changed it.
    pub(super) fn read(&self) -> Option<RwLockReadGuard<'_, Sums>> {
        self.0.read().ok()
    }

    /// Begins again unless what has settled is of the file as it is read.
    pub(super) fn follow(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let changes = changes(tx)?;
        if self.read().is_none_or(|sums| sums.changes != changes) {
            *self.write() = Sums { changes, ..Sums::default() };
        }
        Ok(())
    }

    /// Adds what has settled of a band, with what is new in its share of the groups' sums.
    pub(super) fn put(&self, number: u32, band: Band, new: Groups) {
        let mut sums = self.write();
        sums.bands.insert(number, band);
        sums.groups.add_all(new);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sums> {
        self.0.write().unwrap_or_else(|poisoned| {
            self.0.clear_poison();
            let mut sums = poisoned.into_inner();
            *sums = Sums { changes: u64::MAX, ..Sums::default() };
            sums
        })
    }
}

impl Sums {
    /// Those that are of the file as it is read.
    pub(super) fn of<'a>(sums: Option<&'a Self>, tx: &Tx<'_>) -> Result<Option<&'a Self>, StoreError> {
        let changes = changes(tx)?;
        Ok(sums.filter(|sums| sums.changes == changes))
    }

    /// All bands of which something has settled, by their numbers.
    pub(super) fn bands(&self) -> impl Iterator<Item = (u32, &Band)> {
        self.bands.iter().map(|(number, band)| (*number, band))
    }

    pub(super) fn band(&self, band: u32) -> Option<&Band> {
        self.bands.get(&band)
    }

    /// A group's minutes.
    pub(super) fn group(&self, group: u32, minutes: Range<u32>) -> impl Iterator<Item = (u32, Point)> {
        let known = self.groups.0.get(&group).filter(|_| minutes.start < minutes.end);
        let known = known.into_iter().flat_map(move |sums| sums.range(minutes.clone()));
        known.map(|(minute, (_, point))| (*minute, *point))
    }
}

impl Groups {
    /// Adds a node's minute.
    pub(super) fn add(&mut self, group: u32, minute: u32, point: &Point) {
        let (rows, sum) = self.0.entry(group).or_default().entry(minute).or_default();
        *rows += 1;
        sum.add(&point.sums());
    }

    fn add_all(&mut self, others: Self) {
        for (group, minutes) in others.0 {
            let mine = self.0.entry(group).or_default();
            for (minute, (more, point)) in minutes {
                let (rows, sum) = mine.entry(minute).or_default();
                *rows += more;
                sum.add(&point);
            }
        }
    }

    /// Takes out what was added before.
    fn subtract(&mut self, others: Self) {
        for (group, minutes) in others.0 {
            let Some(mine) = self.0.get_mut(&group) else { continue };
            for (minute, (fewer, point)) in minutes {
                let Some((rows, sum)) = mine.get_mut(&minute) else { continue };
                *rows = rows.saturating_sub(fewer);
                sum.change(&Point::default().beyond(&point));
                if *rows == 0 {
                    mine.remove(&minute);
                }
            }
            if mine.is_empty() {
                self.0.remove(&group);
            }
        }
    }
}

impl Settling {
    /// Of what has settled so far.
    pub(super) fn of(shared: Settled) -> Self {
        Self { shared, unsettled: RefCell::default() }
    }

    /// Up to when a band has settled, if it has and is not taken out yet.
    pub(super) fn until(&self, band: u32) -> Option<u32> {
        let unsettled = self.unsettled.borrow();
        let is_out = unsettled.all || unsettled.bands.contains_key(&band);
        self.shared.read()?.bands.get(&band).map(|band| band.until).filter(|_| !is_out)
    }

    /// Takes a band out, and its share of the groups' sums.
    pub(super) fn take_out(&self, band: u32, share: Groups) {
        self.unsettled.borrow_mut().bands.insert(band, share);
    }

    /// Takes everything out.
    pub(super) fn unsettle_all(&self) {
        self.unsettled.borrow_mut().all = true;
    }

    /// Notes in the transaction what is taken out.
    pub(super) fn note(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        // What a damaged tile contained may be among the sums.
        if tx.has_met_damage() {
            self.unsettle_all();
        }
        let unsettled = self.unsettled.borrow();
        if unsettled.all || !unsettled.bands.is_empty() {
            tx.set_fact(CHANGES, (changes(tx)? + 1).cast_signed())?;
        }
        Ok(())
    }

    /// Takes it out, now that the transaction is committed.
    pub(super) fn committed(&self) {
        let unsettled = self.unsettled.take();
        if !unsettled.all && unsettled.bands.is_empty() {
            return;
        }
        let mut sums = self.shared.write();
        if unsettled.all {
            *sums = Sums { changes: sums.changes, ..Sums::default() };
        }
        for (band, share) in unsettled.bands {
            if sums.bands.remove(&band).is_some() {
                sums.groups.subtract(share);
            }
        }
        sums.changes = sums.changes.wrapping_add(1);
    }

    /// The transaction has changed nothing.
    pub(super) fn rolled_back(&self) {
        self.unsettled.take();
    }
}

fn changes(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.fact::<i64>(CHANGES)?.unwrap_or(0).cast_unsigned())
}
