//! Groups of nodes, and which node belonged to which of them when.

use rusqlite::params;
use tidemap_wire::{NodeId, history_query::HistorySeries};

use super::{
    Store,
    calendar::HOUR,
    settle,
    state::{BAND, Deed, State},
};
use crate::{
    columns::Writer,
    database::{StoreError, Tx},
};

/// A label with more values than this says something about single nodes, not about groups.
const MAX_VALUES: u32 = 1_000;
/// Labels of which there are groups, and the other kinds.
const MAX_KINDS: usize = 200;

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
        let (values, kinds) = state.count_of_kind(group);
        let is_room = values < MAX_VALUES && (values > 0 || kinds < MAX_KINDS);
        if !is_room || !state.may(node, Deed::Group) {
            return Ok(None);
        }
    }
    state.number_of_group(tx, group).map(Some)
}

/// The band of a series.
pub(super) fn band(series: u32) -> u32 {
    series / BAND
}
