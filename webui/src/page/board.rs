//! What the views show: the page's coarse signals.

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;

use crate::address::Address;
use crate::connection::Phase;
use crate::format::Unit;
use crate::groups::{By, Membership};
use crate::json::NodeAnswer;
use crate::order::{Area, Filter, Sort};
use crate::pace::{Chip, Pace};
use crate::reading::Reading;
use crate::summary::Summary;

use super::theme::Theme;

/// The page's coarse signals. Everything with one value per node is the engine's.
#[derive(Clone, Copy)]
pub(super) struct Board {
    /// The fleet's totals; absent until the first came.
    pub(super) reading: Signal<Option<Rc<Reading>>>,
    /// How many nodes there are.
    pub(super) census: Signal<Census>,
    /// The stream's state.
    pub(super) phase: Signal<Phase>,
    /// The same as the header's sign.
    pub(super) chip: Signal<Chip>,
    /// Whether the table's order stands still because somebody is at it.
    pub(super) is_held: Signal<bool>,
    /// Which nodes are listed.
    pub(super) filter: Signal<Filter>,
    /// In which order.
    pub(super) sort: Signal<Sort>,
    /// How rates are written.
    pub(super) unit: Signal<Unit>,
    /// How often the page follows.
    pub(super) pace: Signal<Pace>,
    /// In seconds, the pace while it is not paused.
    pub(super) every: Signal<u32>,
    /// Light or dark.
    pub(super) theme: Signal<Theme>,
    /// On a phone, the region that is shown.
    pub(super) tab: Signal<Tab>,
    /// The node that is marked on the map and in the table.
    pub(super) selected: Signal<Option<Rc<str>>>,
    /// The node whose details are open.
    pub(super) open: Signal<Option<Rc<str>>>,
    /// Its details.
    pub(super) detail: Signal<DetailState>,
    /// Details of the selected node, for its popup.
    pub(super) glance: Signal<DetailState>,
    /// Whether totals stand in the table's place.
    pub(super) is_summary: Signal<bool>,
    /// By what they are grouped.
    pub(super) by: Signal<By>,
    /// The totals themselves.
    pub(super) summary: Signal<Rc<Summary>>,
    /// What was announced last to those who cannot see the page.
    pub(super) said: Signal<String>,
    /// Frame times and counts.
    pub(super) frames: Signal<String>,
    /// Whether they are shown.
    pub(super) debug: bool,
}

/// How many nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Whether any snapshot has come.
    pub(super) is_loaded: bool,
    /// All nodes.
    pub(super) nodes: usize,
    /// Those that the table lists.
    pub(super) listed: usize,
}

/// What is known of the node whose details are open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum DetailState {
    /// Nothing yet.
    #[default]
    Loading,
    /// The answer.
    Known(Rc<NodeAnswer>),
    /// There is no such node.
    Missing,
    /// The server could not be asked; what was known before is kept.
    Failed(Option<Rc<NodeAnswer>>),
}

/// A region of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Map,
    Nodes,
}

impl Board {
    /// The signals as this address wants them.
    pub(super) fn new(address: &Address) -> Self {
        let name = address.node.as_deref().map(Rc::from);
        Self {
            reading: create_signal(None),
            census: create_signal(Census::default()),
            phase: create_signal(Phase::Loading),
            chip: create_signal(Chip::new(Phase::Loading, Pace::Every(1), 0.0, None)),
            is_held: create_signal(false),
            filter: create_signal(address.filter.clone()),
            sort: create_signal(address.sort),
            unit: create_signal(address.unit),
            pace: create_signal(Pace::Every(1)),
            every: create_signal(1),
            theme: create_signal(Theme::stored()),
            tab: create_signal(Tab::Overview),
            selected: create_signal(Option::clone(&name)),
            open: create_signal(name),
            detail: create_signal(DetailState::default()),
            glance: create_signal(DetailState::default()),
            is_summary: create_signal(address.summary),
            by: create_signal(address.by.clone()),
            summary: create_signal(Rc::default()),
            said: create_signal(String::new()),
            frames: create_signal(String::new()),
            debug: address.debug,
        }
    }

    /// Shows a node's details.
    pub(super) fn open(self, name: Rc<str>) {
        batch(|| {
            self.detail.set(DetailState::Loading);
            self.selected.set(Some(Rc::clone(&name)));
            self.open.set(Some(name));
        });
    }

    /// Lists the nodes of a group, and nothing else.
    pub(super) fn list_group(self, group: Membership) {
        self.filter.set(Filter { group: Some(group), ..Filter::default() });
        self.show_table();
    }

    /// Shows the table, on a screen of any size.
    pub(super) fn show_table(self) {
        set_changed(self.is_summary, false);
        set_changed(self.tab, Tab::Nodes);
    }

    /// Lists only nodes with this status, or all again if that is so already.
    pub(super) fn toggle_status(self, status: Status) {
        set_changed(self.is_summary, false);
        self.filter.update(|filter| {
            filter.status = (filter.status != Some(status)).then_some(status);
        });
    }

    /// Lists all nodes that are not on the map, and nothing else.
    pub(super) fn list_nowhere(self) {
        self.filter.set(Filter { area: Some(Area::Nowhere), ..Filter::default() });
        self.show_table();
    }
}

impl DetailState {
    /// The newest that is known.
    pub(super) fn known(&self) -> Option<&Rc<NodeAnswer>> {
        match self {
            Self::Known(detail) => Some(detail),
            Self::Failed(detail) => detail.as_ref(),
            Self::Loading | Self::Missing => None,
        }
    }
}

impl Tab {
    pub(super) const ALL: [Tab; 3] = [Self::Overview, Self::Map, Self::Nodes];

    /// Its name for the style sheet.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Map => "map",
            Self::Nodes => "nodes",
        }
    }
}

/// Sets a signal only if that changes it: every set wakes all that depend on it.
pub(super) fn set_changed<T: PartialEq + 'static>(signal: Signal<T>, value: T) {
    if signal.with_untracked(|old| *old != value) {
        signal.set(value);
    }
}
