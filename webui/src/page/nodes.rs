//! The region of the table: what is listed, the headings, the rows, and what stands there when there are
//! none.

mod caption;
mod headings;
mod input;
mod slot;
mod table;

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::{View, component};
use sycamore::reactive::{Signal, batch, create_effect, create_signal, use_context};
use web_sys::HtmlElement;

use crate::filter::Filter;
use crate::fragments;
use crate::order::Listing;

use super::controller::Controller;
use super::dom::{self, document};
use super::html;
use super::panel::{Frame, Panel};
use super::redraw::Redraw;
use super::state::{ListState, Reveal, SelectionState, set_changed};

use caption::Counts;
use table::Table;

struct Nodes {
    list: ListState,
    selection: SelectionState,
    redraw: Redraw,
    table: Rc<Table>,
    listing: RefCell<Listing>,
    counts: Signal<Counts>,
    /// Whether the order stands still because somebody is at the table.
    is_held: Signal<bool>,
}

#[component]
pub(super) fn Nodes() -> View {
    let (list, redraw): (ListState, Redraw) = (use_context(), use_context());
    let (counts, is_held) = (create_signal(Counts::default()), create_signal(false));
    let region = fragments::Nodes::create();
    caption::bind(&region, list, counts, is_held);
    headings::add(&region.headings, list);
    // The heading is a row too.
    html::attribute(&region.table, "aria-rowcount", move || (counts.get().listed + 1).to_string());
    let table = Rc::new(Table::new(&region));
    input::listen(&table, &region, use_context(), &redraw);
    follow_scroller(&region.scroller, &redraw);
    dom::on_click(&region.clear, move || list.filter.set(Filter::default()));
    show_instead([region.bones, region.empty, region.no_match], counts);
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(Nodes {
        list,
        selection: use_context(),
        redraw,
        table,
        listing: RefCell::default(),
        counts,
        is_held,
    }));
    html::view(&region.root)
}

/// Gives the focus to the row of this node, if it is on screen.
pub(super) fn focus_row(name: &str) -> bool {
    let rows = document().get_elements_by_class_name("grid-node");
    for at in 0..rows.length() {
        let row = rows.item(at).filter(|row| row.get_attribute("data-node").as_deref() == Some(name));
        if let Some(row) = row {
            dom::focus(wasm_bindgen::JsCast::unchecked_ref(&row));
            return true;
        }
    }
    false
}

/// Other rows are needed when it is scrolled or changes its size.
fn follow_scroller(scroller: &HtmlElement, redraw: &Redraw) {
    let resized = redraw.clone();
    dom::on_resize(scroller, move || resized.request());
    let scrolled = redraw.clone();
    dom::listen(scroller, "scroll", move |_: web_sys::Event| scrolled.request());
}

/// What stands in place of rows: nothing loaded yet, no nodes, none that match.
fn show_instead(parts: [HtmlElement; 3], counts: Signal<Counts>) {
    create_effect(move || {
        let counts = counts.get();
        let shown = match (counts.is_loaded, counts.nodes, counts.listed) {
            (false, ..) => Some(0),
            (true, 0, _) => Some(1),
            (true, _, 0) => Some(2),
            _ => None,
        };
        for (at, part) in parts.iter().enumerate() {
            part.set_hidden(shown != Some(at));
        }
    });
}

impl Panel for Nodes {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn draw(&self, frame: &Frame<'_>) {
        let Self { list, table, .. } = self;
        let is_held = table.is_held();
        let mut listing = self.listing.borrow_mut();
        // A row must not move away while the pointer is on it.
        if !table.is_pointed_at() {
            listing.look_at(list.view.get_untracked());
        }
        let filter = list.filter.get_clone_untracked();
        listing.renew(frame.fleet, &filter, list.sort.get_untracked(), is_held, frame.now_ms);
        let counts = Counts {
            is_loaded: frame.fleet.snapshots() > 0,
            nodes: frame.fleet.node_count(),
            listed: listing.rows().len(),
        };
        batch(|| {
            set_changed(self.counts, counts);
            set_changed(self.is_held, is_held);
        });
        self.show(&listing, frame);
        if listing.is_behind() {
            self.redraw.request();
        }
    }
}

impl Nodes {
    fn show(&self, listing: &Listing, frame: &Frame<'_>) {
        let reveal = self.selection.reveal.take_silent();
        let position = match reveal {
            Some(Reveal::Selected) => frame.selected.and_then(|row| listing.position_of(row)),
            Some(Reveal::First) => Some(0),
            None => None,
        };
        if let Some(position) = position {
            self.table.scroll_to(position);
        }
        self.table.show(listing, frame);
        if let Some(Reveal::First) = reveal {
            self.table.focus_position(0);
        }
    }
}
