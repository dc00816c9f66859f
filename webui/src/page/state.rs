//! State that several parts of the page share, one context for each concern.
//!
//! Nothing here has one value per node: the fleet is in columns, which panels get in [`super::panel::Frame`].

use std::rc::Rc;

use sycamore::reactive::{Signal, batch, create_signal, provide_context};
use tidemap_format::Unit;
use tidemap_map::projection::Bounds;
use tidemap_wire::Status;

use crate::address::Address;
use crate::connection::Phase;
use crate::filter::{Area, Filter};
use crate::groups::{By, Membership};
use crate::order::Sort;
use crate::pace::{Chip, Pace};
use crate::theme::Theme;
use crate::totals_view::TotalsView;

/// What the stream reports, and how current it is.
#[derive(Clone, Copy)]
pub(super) struct LiveState {
    /// The fleet's totals; absent until the first came.
    pub(super) totals: Signal<Option<Rc<TotalsView>>>,
    /// Whether any snapshot has come.
    pub(super) is_loaded: Signal<bool>,
    /// The stream's state.
    pub(super) phase: Signal<Phase>,
    /// The same as the header's sign.
    pub(super) chip: Signal<Chip>,
}

/// What the lists contain, and which region is seen.
#[derive(Clone, Copy)]
pub(super) struct ListState {
    /// Which nodes are listed.
    pub(super) filter: Signal<Filter>,
    /// In which order.
    pub(super) sort: Signal<Sort>,
    /// What stands in the table's place, as in [`Address::view`].
    pub(super) instead: Signal<String>,
    /// What they are grouped by.
    pub(super) by: Signal<By>,
    /// On a phone, the region that is shown.
    pub(super) tab: Signal<Tab>,
    /// The part of the world that the map shows; none while it is not seen.
    pub(super) view: Signal<Option<Bounds>>,
}

/// The nodes that the reader looks at.
#[derive(Clone, Copy)]
pub(super) struct SelectionState {
    /// The node that is marked on the map and in the table.
    pub(super) selected: Signal<Option<Rc<str>>>,
    /// The node whose details are open.
    pub(super) open: Signal<Option<Rc<str>>>,
    /// The row that the table brings into view with the next frame.
    pub(super) reveal: Signal<Option<Reveal>>,
}

/// How things are shown.
#[derive(Clone, Copy)]
pub(super) struct DisplayState {
    /// How rates are written.
    pub(super) unit: Signal<Unit>,
    pub(super) theme: Signal<Theme>,
    /// Set after the page's colours have changed.
    pub(super) colours: Signal<()>,
    /// The time that is shown, as in [`Address::time`].
    pub(super) time: Signal<String>,
    /// How often the page follows.
    pub(super) pace: Signal<Pace>,
    /// In seconds, the pace while it is not paused.
    pub(super) every: Signal<u32>,
    /// Frame times and counts; absent unless they were asked for.
    pub(super) figures: Option<Signal<String>>,
}

/// All of it.
#[derive(Clone, Copy)]
pub(super) struct AppState {
    pub(super) live: LiveState,
    pub(super) list: ListState,
    pub(super) selection: SelectionState,
    pub(super) display: DisplayState,
}

/// A row to bring into view.
#[derive(Clone, Copy)]
pub(super) enum Reveal {
    /// That of the selected node.
    Selected,
    /// The first one, which also takes the focus.
    First,
}

/// A region of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Map,
    Nodes,
}

impl AppState {
    /// The state that an address asks for, provided as a context each.
    pub(super) fn provide(address: &Address, theme: Theme) -> Self {
        let name = address.node.as_deref().map(Rc::from);
        let live = LiveState {
            totals: create_signal(None),
            is_loaded: create_signal(false),
            phase: create_signal(Phase::Loading),
            chip: create_signal(Chip::new(Phase::Loading, Pace::Every(1), 0.0, None)),
        };
        let list = ListState {
            filter: create_signal(address.filter.clone()),
            sort: create_signal(address.sort),
            instead: create_signal(address.view.clone()),
            by: create_signal(address.by.clone()),
            tab: create_signal(Tab::Overview),
            view: create_signal(None),
        };
        let selection = SelectionState {
            selected: create_signal(Option::clone(&name)),
            open: create_signal(name),
            reveal: create_signal(None),
        };
        let display = DisplayState {
            unit: create_signal(address.unit),
            theme: create_signal(theme),
            colours: create_signal(()),
            time: create_signal(address.time.clone()),
            pace: create_signal(Pace::Every(1)),
            every: create_signal(1),
            figures: address.debug.then(|| create_signal(String::new())),
        };
        provide_context(live);
        provide_context(list);
        provide_context(selection);
        provide_context(display);
        Self { live, list, selection, display }
    }

    /// Subscribes to every choice of the reader that a frame depends on.
    pub(super) fn track_choices(self) {
        let Self { list, selection, display, .. } = self;
        list.filter.track();
        list.sort.track();
        list.by.track();
        selection.selected.track();
        selection.open.track();
        display.unit.track();
        display.pace.track();
    }
}

impl ListState {
    /// Lists the nodes of a group, and nothing else.
    pub(super) fn list_group(self, group: Membership) {
        self.list_only(Filter { group: Some(group), ..Filter::default() });
    }

    /// Lists all nodes that are not on the map, and nothing else.
    pub(super) fn list_unplaced(self) {
        self.list_only(Filter { area: Some(Area::Nowhere), ..Filter::default() });
    }

    /// Lists all nodes with this status, and nothing else.
    pub(super) fn list_status(self, status: Status) {
        self.list_only(Filter { status: Some(status), ..Filter::default() });
    }

    /// Lists only nodes with this status, or all again if that is so already.
    pub(super) fn toggle_status(self, status: Status) {
        self.leave_view();
        self.filter.update(|filter| {
            filter.status = (filter.status != Some(status)).then_some(status);
        });
    }

    /// Shows the table, on a screen of any size.
    pub(super) fn show_table(self) {
        self.leave_view();
        set_changed(self.tab, Tab::Nodes);
    }

    /// Has nothing stand in the table's place.
    pub(super) fn leave_view(self) {
        set_changed(self.instead, String::new());
    }

    fn list_only(self, filter: Filter) {
        self.filter.set(filter);
        self.show_table();
    }
}

impl SelectionState {
    /// Shows a node's details.
    pub(super) fn open(self, name: Rc<str>) {
        batch(|| {
            self.selected.set(Some(Rc::clone(&name)));
            self.open.set(Some(name));
        });
    }
}

impl DisplayState {
    /// Whether the reader wants nothing to move.
    pub(super) fn is_paused(self) -> bool {
        self.pace.get() == Pace::Paused
    }
}

impl Tab {
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
