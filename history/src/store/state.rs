//! What is needed of every node at hand: names and numbers, progress, membership.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;
use tidemap_wire::NodeId;

use super::{
    calendar::{BEFORE, Progress},
    forgotten::ForgottenNodes,
    membership::Membership,
    settled::{Settled, Settling},
};
use crate::{
    account::Account,
    columns::{Reader, Writer},
    database::{MAX_SERIES, StoreError, Tx},
};

/// Series in a tile of a minute.
pub(super) const BAND: u32 = 128;

pub(super) const NODE: u32 = 0;
const GROUP: u32 = 1;
/// A node that was forgotten: its number is not given again. An earlier program takes it for one without
/// rows.
pub(super) const FORGOTTEN: u32 = 2;

/// Groups that one node may make in a day: as many as a new node can have, so no node takes the places of
/// all.
const MAX_NEW_GROUPS: u32 = 70;
/// How often one node's groups may change in a day.
const MAX_CHANGES: u32 = 100;

/// The fact that counts rows that changed after they were sent to another database.
pub(super) const CHANGED: &str = "sent_changed";

/// What is counted of a node's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It makes a group.
    Group,
    /// Its groups change.
    Change,
}

/// What groups of one kind have in common.
fn kind_of(group: &str) -> &str {
    group.split('\n').next().unwrap_or_default()
}

/// What is needed of every node at hand, as the file has it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What runs counted that began before this minute is not known.
    pub origin: u32,
    pub at_ms: i64,
    /// Tiles of earlier minutes may be missing that were there, since the file was damaged.
    pub rebuilt_until: u32,
    /// Earlier minutes may be missing.
    pub whole_from: u32,
    /// Late samples of earlier minutes may have been counted before.
    pub late_from: u32,
    /// Earlier minutes are sent to another database.
    pub sent_until: Option<u32>,
    pub place: Option<Vec<u8>>,
    pub nodes: HashMap<NodeId, u32>,
    pub groups: HashMap<String, u32>,
    /// Progress by band.
    pub bands: Vec<Progress>,
    pub membership: Membership,
    /// What open hours came to.
    pub settling: Settling,
    pub forgotten: ForgottenNodes,
    /// On which day places of groups were freed, since this was read.
    pub freed_on: Option<u32>,
    /// How many groups there are of each kind, without those that have left their places.
    kinds: HashMap<String, u32>,
    /// What nodes did on a day: groups that they made, and changes of their groups.
    deeds: HashMap<u32, (i64, u32, u32)>,
    last_series: u32,
}

impl State {
    /// Knows nothing yet of a file of which this has settled.
    pub(super) fn of(settled: Settled) -> Self {
        Self { settling: Settling::of(settled), ..Self::default() }
    }

    /// Reads everything in the file again.
    pub(super) fn reload(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        *self = Self { settling: std::mem::take(&mut self.settling), ..Self::default() };
        self.refresh(tx)
    }

    /// Reads what is new in the file.
    pub(super) fn refresh(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.origin = tx.fact("origin")?.unwrap_or(0);
        self.at_ms = tx.fact("at_ms")?.unwrap_or(0);
        self.rebuilt_until = tx.fact("rebuilt_until")?.unwrap_or(0);
        self.whole_from = tx.fact("whole_from")?.unwrap_or(0);
        self.late_from = tx.fact("late_from")?.unwrap_or(0);
        self.sent_until = tx.fact("sent_until")?;
        self.place = tx.fact("place")?;
        let mut statement =
            tx.sql().prepare_cached("SELECT id, kind, name FROM series WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.last_series])?;
        while let Some(row) = rows.next()? {
            let (id, kind, name): (u32, u32, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            self.note_series(id, kind, name)?;
        }
        self.bands.clear();
        let mut statement = tx.sql().prepare_cached("SELECT hours, days FROM band ORDER BY id")?;
        let bands = statement.query_map([], |row| Ok(Progress { hours: row.get(0)?, days: row.get(1)? }))?;
        self.bands = bands.collect::<Result<_, _>>()?;
        self.forgotten = ForgottenNodes::read(tx)?;
        self.membership.refresh(tx)
    }

    fn note_series(&mut self, id: u32, kind: u32, name: String) -> Result<(), StoreError> {
        self.last_series = id;
        if kind == FORGOTTEN {
            return Ok(());
        }
        if kind == GROUP {
            *self.kinds.entry(kind_of(&name).to_owned()).or_default() += 1;
            self.groups.insert(name, id);
        } else {
            let node =
                NodeId::from_token(&name).map_err(|_| StoreError::Damaged(format!("the node {name}")))?;
            self.nodes.insert(node, id);
        }
        Ok(())
    }

    /// A node's number; a new one for a new node.
    pub(super) fn number_of_node(&mut self, tx: &Tx<'_>, node: &NodeId) -> Result<u32, StoreError> {
        match self.nodes.get(node) {
            Some(number) => Ok(*number),
            None => {
                let number = self.add_series(tx, NODE, node.to_string())?;
                // What runs of a node that was forgotten have counted by then is in no sum but its groups'.
                let runs_from = self.forgotten.runs_from(node);
                if runs_from > self.origin {
                    self.save_account(tx, number, &Account::new(runs_from))?;
                }
                Ok(number)
            }
        }
    }

    /// A group's number; a new one for a new group.
    pub(super) fn number_of_group(&mut self, tx: &Tx<'_>, group: &str) -> Result<u32, StoreError> {
        match self.groups.get(group) {
            Some(number) => Ok(*number),
            None => self.add_series(tx, GROUP, group.to_owned()),
        }
    }

    fn add_series(&mut self, tx: &Tx<'_>, kind: u32, name: String) -> Result<u32, StoreError> {
        let id = self.last_series + 1;
        if id >= MAX_SERIES {
            return Err(StoreError::Other(rusqlite::Error::IntegralValueOutOfRange(0, id.into())));
        }
        let sql = "INSERT INTO series (id, kind, name) VALUES (?1, ?2, ?3)";
        tx.sql().prepare_cached(sql)?.execute(params![id, kind, name])?;
        self.note_series(id, kind, name)?;
        while self.bands.len() <= (id / BAND) as usize {
            self.bands.push(self.progress_now());
            self.save_band(tx, u32::try_from(self.bands.len() - 1).unwrap_or(0))?;
        }
        Ok(id)
    }

    /// Lets all series begin now: nodes may be known long before the first rows, and without a time.
    pub(super) fn begin(&mut self, tx: &Tx<'_>) -> Result<(), StoreError> {
        self.settling.unsettle_all();
        let now = self.progress_now();
        self.bands.fill(now);
        (0..u32::try_from(self.bands.len()).unwrap_or(0)).try_for_each(|band| self.save_band(tx, band))
    }

    /// Rows of earlier hours are put into tiles of an hour at once.
    fn progress_now(&self) -> Progress {
        let hours = u32::try_from(self.at_ms / 3_600_000).unwrap_or(0).saturating_sub(1);
        Progress { hours, days: hours / 24 }
    }

    /// Rows of earlier minutes are none of this history's.
    pub(super) fn first_minute(&self) -> u32 {
        self.origin.saturating_sub(BEFORE)
    }

    /// Whether a node may make one more group, or change its groups once more, on this day.
    pub(super) fn may(&mut self, node: u32, deed: Deed) -> bool {
        let day = self.at_ms / 86_400_000;
        let (counted_on, groups, changes) = self.deeds.entry(node).or_insert((day, 0, 0));
        if *counted_on != day {
            (*counted_on, *groups, *changes) = (day, 0, 0);
        }
        let (count, most) = match deed {
            Deed::Group => (groups, MAX_NEW_GROUPS),
            Deed::Change => (changes, MAX_CHANGES),
        };
        *count += 1;
        *count <= most
    }

    /// Counts these groups alone.
    pub(super) fn count_only(&mut self, groups: &[String]) {
        self.kinds.clear();
        for group in groups {
            *self.kinds.entry(kind_of(group).to_owned()).or_default() += 1;
        }
    }

    /// How many groups there are of a kind, and how many kinds.
    pub(super) fn count_of_kind(&self, group: &str) -> (u32, usize) {
        (self.kinds.get(kind_of(group)).copied().unwrap_or(0), self.kinds.len())
    }

    /// How far a series was cut into tiles.
    pub(super) fn progress(&self, series: u32) -> Progress {
        self.bands.get((series / BAND) as usize).copied().unwrap_or_default()
    }

    pub(super) fn save_band(&self, tx: &Tx<'_>, band: u32) -> Result<(), StoreError> {
        let progress = self.progress(band * BAND);
        let sql = "INSERT OR REPLACE INTO band (id, hours, days) VALUES (?1, ?2, ?3)";
        tx.sql().prepare_cached(sql)?.execute(params![band, progress.hours, progress.days])?;
        Ok(())
    }

    /// The nodes among the series of a band, as the file has them now.
    pub(super) fn names_of_band(&self, tx: &Tx<'_>, band: u32) -> Result<BTreeMap<u32, NodeId>, StoreError> {
        let sql = "SELECT id, name FROM series WHERE kind = ?1 AND id >= ?2 AND id < ?3";
        let mut statement = tx.sql().prepare_cached(sql)?;
        let mut rows = statement.query([NODE, band * BAND, (band + 1) * BAND])?;
        let mut names = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, name): (u32, String) = (row.get(0)?, row.get(1)?);
            let node =
                NodeId::from_token(&name).map_err(|_| StoreError::Damaged(format!("the node {name}")))?;
            names.insert(id, node);
        }
        Ok(names)
    }

    /// The groups among the series of a band.
    pub(super) fn groups_of_band(&self, band: u32) -> Vec<u32> {
        let mut groups: Vec<u32> = self.groups.values().copied().filter(|id| id / BAND == band).collect();
        groups.sort_unstable();
        groups
    }

    /// What is known of a node's runs after all tiles of hours and days.
    pub(super) fn account(&self, tx: &Tx<'_>, node: u32) -> Result<Account, StoreError> {
        let mut statement = tx.sql().prepare_cached("SELECT state FROM account WHERE node = ?1")?;
        let mut rows = statement.query([node])?;
        let Some(row) = rows.next()? else { return Ok(Account::new(self.origin)) };
        Ok(self.read_account(&row.get::<_, Vec<u8>>(0)?))
    }

    /// A damaged account costs nobody but its node: its counting begins now, so no sum becomes too large.
    pub(super) fn read_account(&self, bytes: &[u8]) -> Account {
        let now = u32::try_from(self.at_ms / 60_000).unwrap_or(0);
        let account = Reader::new(bytes).and_then(|mut input| Account::read(&mut input));
        account.unwrap_or_else(|_| Account::new(now))
    }

    pub(super) fn save_account(&self, tx: &Tx<'_>, node: u32, account: &Account) -> Result<(), StoreError> {
        let mut out = Writer::default();
        account.write(&mut out);
        let sql = "INSERT OR REPLACE INTO account (node, state) VALUES (?1, ?2)";
        tx.sql().prepare_cached(sql)?.execute(params![node, out.finish()])?;
        Ok(())
    }
}
