//! Adding up what has settled in open hours, and taking out what changes.

use std::collections::BTreeMap;

use super::{
    Store,
    calendar::HOUR,
    settled::{Accounts, Band, Groups, Settled},
    state::{BAND, State},
    tiles,
};
use crate::{
    account::Account,
    database::{StoreError, Tier, Tx},
    point::Point,
    tile::RowTile,
};

/// So many minutes before that of the newest message still change as a rule: owners publish a minute within
/// 20 s of its end. Whoever asks reads these from their tiles.
const SETTLES: i64 = 1;

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
        shared.follow(&tx)?;
        for band in 0..u32::try_from(state.bands.len()).unwrap_or(0) {
            if state.settling.until(band).is_some_and(|known| known >= until) {
                continue;
            }
            let known = shared.read().and_then(|sums| sums.band(band).cloned());
            let known = known.map_or_else(|| begin(&tx, state, band), Ok)?;
            if known.until < until {
                let mut share = Groups::default();
                let known = advanced(&tx, state, band, known, until, &mut share)?;
                shared.put(band, known, share);
            }
        }
        Ok(())
    }
}

/// Takes a band out if minutes from `minute` on have settled. To be called before the first change.
pub(super) fn unsettle(tx: &Tx<'_>, state: &State, band: u32, minute: u32) -> Result<(), StoreError> {
    if let Some(until) = state.settling.until(band).filter(|until| minute < *until) {
        let mut share = Groups::default();
        let nothing = begin(tx, state, band)?;
        advanced(tx, state, band, nothing, until, &mut share)?;
        state.settling.take_out(band, share);
    }
    Ok(())
}

/// A band of which nothing has settled.
fn begin(tx: &Tx<'_>, state: &State, band: u32) -> Result<Band, StoreError> {
    let until = state.progress(band * BAND).hours * HOUR;
    Ok(Band { until, accounts: accounts_of(tx, state, band)?, hours: BTreeMap::new() })
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

/// What is known of the runs of a band's nodes after all tiles of hours and days.
pub(super) fn accounts_of(tx: &Tx<'_>, state: &State, band: u32) -> Result<Accounts, StoreError> {
    let sql = "SELECT node, state FROM account WHERE node >= ?1 AND node < ?2";
    let mut statement = tx.sql().prepare_cached(sql)?;
    let mut rows = statement.query([band * BAND, (band + 1) * BAND])?;
    let mut accounts = vec![None; BAND as usize];
    while let Some(row) = rows.next()? {
        let node: u32 = row.get(0)?;
        accounts[(node % BAND) as usize] = Some(state.read_account(&row.get::<_, Vec<u8>>(1)?));
    }
    Ok(accounts)
}
