//! Groups of nodes, and which node belonged to which of them when.

use rusqlite::params;
use tidemap_wire::{NodeId, bounds, history_query::HistorySeries};

use super::{
    Store,
    calendar::{DAY, DAYS_OF_A_TILE, HOUR},
    settle,
    state::{BAND, Deed, State},
    tiles,
};
use crate::{
    columns::Writer,
    database::{StoreError, Tier, Tx},
};

/// Labels of which there are groups, and the other kinds.
const MAX_KINDS: usize = 200;

/// A group without traffic for as many days, and without a node that joined it since, leaves its place to
/// another: as long as quarters of an hour are kept. What it moved stays, and it is there again with its next
/// row.
const UNSEEN_DAYS: u32 = 400;

/// What nodes have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum GroupKey {
    /// All nodes.
    Fleet,
    /// Nodes in one place.
    Location(String),
    /// Nodes of one provider.
    Provider(String),
    /// Nodes with one value of a label.
    Label(String, String),
}

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SeriesKey {
    /// A node's.
    Node(NodeId),
    /// A group's.
    Group(GroupKey),
}

impl GroupKey {
    /// The group whose traffic that is; none if it is a node's.
    pub(crate) fn of(series: &HistorySeries) -> Option<Self> {
        match SeriesKey::of(series) {
            SeriesKey::Node(_) => None,
            SeriesKey::Group(group) => Some(group),
        }
    }

    /// How it is stored: what groups of one kind have in common before the first newline, the value behind.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Fleet => "fleet".to_owned(),
            Self::Location(value) => format!("location\n{value}"),
            Self::Provider(value) => format!("provider\n{value}"),
            Self::Label(name, value) => format!("label:{name}\n{value}"),
        }
    }
}

impl SeriesKey {
    /// As a message names it.
    pub(crate) fn of(series: &HistorySeries) -> Self {
        match series {
            HistorySeries::Node(node) => Self::Node(node.clone()),
            HistorySeries::Fleet => Self::Group(GroupKey::Fleet),
            HistorySeries::Location(value) => Self::Group(GroupKey::Location(value.clone())),
            HistorySeries::Provider(value) => Self::Group(GroupKey::Provider(value.clone())),
            HistorySeries::Label(name, value) => Self::Group(GroupKey::Label(name.clone(), value.clone())),
        }
    }
}

impl Store {
    /// Notes which groups nodes belong to from now on. Minutes whose hour is over keep theirs.
    pub(crate) fn set_groups(&mut self, nodes: &[(NodeId, Vec<GroupKey>)]) -> Result<(), StoreError> {
        self.transact(|tx, state| {
            for (node, groups) in nodes {
                let node = state.number_of_node(tx, node)?;
                let mut numbers = vec![state.number_of_group(tx, &GroupKey::Fleet.text())?];
                for group in groups {
                    numbers.extend(number_within_bounds(tx, state, node, &group.text())?);
                }
                numbers.sort_unstable();
                numbers.dedup();
                note(tx, state, node, &numbers)?;
            }
            Ok(())
        })
    }
}

/// Notes a node's groups from now on. What is first known of a node counts for its open hour, too.
pub(super) fn note(tx: &Tx<'_>, state: &mut State, node: u32, groups: &[u32]) -> Result<(), StoreError> {
    let newest = state.membership.newest(node);
    if newest.is_some_and(|newest| newest == groups) {
        return Ok(());
    }
    let only_fleet = state.groups.get(&GroupKey::Fleet.text()).copied();
    let is_first = newest.is_none_or(|newest| newest.iter().all(|group| Some(*group) == only_fleet));
    let has_changed = newest.is_some();
    if has_changed && !state.may(node, Deed::Change) {
        return Ok(());
    }
    let open = state.progress(node).hours * HOUR;
    let now = u32::try_from(state.at_ms / 60_000).unwrap_or(0);
    let since = if is_first { open } else { open.max(now) };
    settle::unsettle(tx, state, band(node), since)?;
    let mut out = Writer::default();
    out.number(groups.len() as u64);
    out.column(&groups.iter().map(|group| u64::from(*group)).collect::<Vec<_>>());
    let sql = "INSERT INTO membership (node, since, groups) VALUES (?1, ?2, ?3)";
    tx.sql().prepare_cached(sql)?.execute(params![node, since, out.finish()])?;
    state.membership.refresh(tx)
}

/// A group's number; none when there are too many of its kind, or too many kinds, or when the node has made
/// too many of late.
fn number_within_bounds(
    tx: &Tx<'_>,
    state: &mut State,
    node: u32,
    group: &str,
) -> Result<Option<u32>, StoreError> {
    if !state.groups.contains_key(group) {
        let is_room =
            |(values, kinds)| values < bounds::GROUPS_OF_A_KIND && (values > 0 || kinds < MAX_KINDS);
        if !is_room(state.count_of_kind(group)) {
            free_places(tx, state)?;
        }
        if !is_room(state.count_of_kind(group)) || !state.may(node, Deed::Group) {
            return Ok(None);
        }
    }
    state.number_of_group(tx, group).map(Some)
}

/// Frees the places of groups that were not seen for long, once a day.
fn free_places(tx: &Tx<'_>, state: &mut State) -> Result<(), StoreError> {
    let today = u32::try_from(state.at_ms / 86_400_000).unwrap_or(0);
    let Some(from) = today.checked_sub(UNSEEN_DAYS).filter(|_| state.freed_on != Some(today)) else {
        return Ok(());
    };
    let joined = state.membership.joined_since(from * DAY);
    let mut seen = Vec::new();
    for (name, group) in &state.groups {
        if joined.contains(group) || has_moved_since(tx, *group, from)? {
            seen.push(name.clone());
        }
    }
    state.count_only(&seen);
    state.freed_on = Some(today);
    Ok(())
}

/// Whether a group has a day of traffic from `day` on.
fn has_moved_since(tx: &Tx<'_>, group: u32, day: u32) -> Result<bool, StoreError> {
    let last = tx.last(Tier::Days)?.unwrap_or(0);
    for tile in (day / DAYS_OF_A_TILE..=last).rev() {
        if tiles::points(tx, Tier::Days, tile, group)?.0.range(day..).next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The band of a series.
pub(super) fn band(series: u32) -> u32 {
    series / BAND
}
