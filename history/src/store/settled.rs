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

use super::{
    Store,
    calendar::HOUR,
    read::live,
    state::{BAND, State},
    tiles,
};
use crate::{
    account::Account,
    database::{StoreError, Tier, Tx},
    point::Point,
    tile::RowTile,
};

/// So many minutes before the newest message still change as a rule.
const SETTLES: i64 = 3;
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
#[derive(Debug)]
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
struct Groups(HashMap<u32, BTreeMap<u32, (u32, Point)>>);

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

    fn write(&self) -> RwLockWriteGuard<'_, Sums> {
        self.0.write().unwrap_or_else(|poisoned| {
            self.0.clear_poison();
            let mut sums = poisoned.into_inner();
            *sums = Sums { changes: u64::MAX, ..Sums::default() };
            sums
        })
    }

    fn until(&self, band: u32) -> Option<u32> {
        Some(self.read()?.bands.get(&band)?.until)
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
    fn add(&mut self, group: u32, minute: u32, point: &Point) {
        let (rows, sum) = self.0.entry(group).or_default().entry(minute).or_default();
        *rows += 1;
        sum.add(&Point { rates: None, ..*point });
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

    /// Takes a band out if minutes from `minute` on have settled. To be called before the first change.
    pub(super) fn unsettle(
        &self,
        tx: &Tx<'_>,
        state: &State,
        band: u32,
        minute: u32,
    ) -> Result<(), StoreError> {
        let Some(until) = self.shared.until(band).filter(|until| minute < *until) else { return Ok(()) };
        let mut unsettled = self.unsettled.borrow_mut();
        if !unsettled.all && !unsettled.bands.contains_key(&band) {
            let mut share = Groups::default();
            let nothing = begin(tx, state, band)?;
            advanced(tx, state, band, nothing, until, &mut share)?;
            unsettled.bands.insert(band, share);
        }
        Ok(())
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

impl Store {
    /// What has settled, for those that read the same file.
    pub(crate) fn settled(&self) -> Settled {
        self.state.settling.shared.clone()
    }

    /// Adds up what has settled since the last time.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        self.add_up()?;
        let met = self.database.take_met();
        if met.is_empty() {
            return Ok(());
        }
        self.set_aside(&met)?;
        self.add_up()
    }

    fn add_up(&mut self) -> Result<(), StoreError> {
        let tx = self.database.read()?;
        let state = &self.state;
        let shared = &state.settling.shared;
        let until = u32::try_from(state.at_ms.div_euclid(60_000) - SETTLES).unwrap_or(0);
        let changes = changes(&tx)?;
        if shared.read().is_none_or(|sums| sums.changes != changes) {
            *shared.write() = Sums { changes, ..Sums::default() };
        }
        for band in 0..u32::try_from(state.bands.len()).unwrap_or(0) {
            let known = shared.read().and_then(|sums| sums.band(band).map(Band::copy));
            let known = known.map_or_else(|| begin(&tx, state, band), Ok)?;
            if known.until < until {
                let mut share = Groups::default();
                let known = advanced(&tx, state, band, known, until, &mut share)?;
                let mut sums = shared.write();
                sums.bands.insert(band, known);
                sums.groups.add_all(share);
            }
        }
        Ok(())
    }
}

impl Band {
    fn copy(&self) -> Self {
        Self { until: self.until, accounts: self.accounts.clone(), hours: self.hours.clone() }
    }
}

/// A band of which nothing has settled.
fn begin(tx: &Tx<'_>, state: &State, band: u32) -> Result<Band, StoreError> {
    let until = state.progress(band * BAND).hours * HOUR;
    Ok(Band { until, accounts: live::accounts_of(tx, state, band)?, hours: BTreeMap::new() })
}

/// What has settled once it has up to a later minute. Adds what is new in groups to their `share`.
fn advanced(
    tx: &Tx<'_>,
    state: &State,
    band: u32,
    mut known: Band,
    until: u32,
    share: &mut Groups,
) -> Result<Band, StoreError> {
    for minute in known.until..until {
        let Some(tile) = tiles::rows(tx, Tier::Minute, minute, band)? else { continue };
        let sums = known.hours.entry(minute / HOUR).or_insert_with(|| vec![Point::default(); BAND as usize]);
        each_point(&tile, state, &mut known.accounts, |node, point| {
            sums[(node % BAND) as usize].add(point);
            for group in state.membership.at(node, minute) {
                share.add(*group, minute, point);
            }
        });
    }
    known.until = until;
    Ok(known)
}

/// Calls `take` with each node of a minute's tile and what moved in it.
pub(super) fn each_point(
    tile: &RowTile,
    state: &State,
    accounts: &mut Accounts,
    mut take: impl FnMut(u32, &Point),
) {
    for entry in &tile.entries {
        let account = &mut accounts[(entry.node % BAND) as usize];
        let account = account.get_or_insert_with(|| Account::new(state.origin));
        take(entry.node, &account.pass(&entry.cell));
    }
}

fn changes(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.fact::<i64>(CHANGES)?.unwrap_or(0).cast_unsigned())
}
