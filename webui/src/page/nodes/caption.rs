//! The line above the table: how many nodes are listed, and why not all.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::reactive::{Signal, create_effect};
use tidemap_format as format;
use tidemap_wire::Status;

use crate::filter::{Area, Filter};
use crate::fragments::{FILTER, Nodes};
use crate::page::dom;
use crate::page::html;
use crate::page::pool::Pool;
use crate::page::state::ListState;

/// How many nodes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Whether any snapshot has come.
    pub(super) is_loaded: bool,
    /// All nodes.
    pub(super) nodes: usize,
    /// Those that the table lists.
    pub(super) listed: usize,
}

/// Takes a filter away.
type Clear = fn(&mut Filter);

pub(super) fn bind(region: &Nodes, list: ListState, counts: Signal<Counts>, is_held: Signal<bool>) {
    html::text(&region.count, move || count_text(counts.get(), list.filter.with(Filter::is_empty)));
    html::text(&region.held, move || if is_held.get() { "order held" } else { "" }.to_owned());
    html::truth(&region.in_view, "aria-pressed", move || {
        list.filter.with(|filter| filter.area == Some(Area::InView))
    });
    dom::on_click(&region.in_view, move || list.filter.update(Filter::toggle_in_view));

    let pool = Rc::new(RefCell::new(Pool::new(region.filters.clone(), FILTER)));
    let clicked = Rc::clone(&pool);
    dom::listen(&region.filters, "click", move |event: web_sys::Event| {
        let at = event.target().and_then(|target| clicked.borrow().position_of(&target));
        let filters = list.filter.with_untracked(filters);
        if let Some((_, clear)) = at.and_then(|at| filters.get(at)) {
            list.filter.update(clear);
        }
    });
    create_effect(move || {
        let filters = list.filter.with(filters);
        let mut pool = pool.borrow_mut();
        pool.write(filters.iter().map(|(title, _)| vec![title.clone()]).collect());
        for (at, (title, _)) in filters.iter().enumerate() {
            if let Some(button) = pool.element(at) {
                dom::set_attribute(button, "aria-label", Some(&["Remove filter ", title].concat()));
            }
        }
    });
}

/// What is filtered by, and how each is taken away.
fn filters(filter: &Filter) -> Vec<(String, Clear)> {
    let mut filters: Vec<(String, Clear)> = Vec::new();
    if let Some(status) = filter.status {
        filters.push((Status::label(status).to_owned(), |filter| filter.status = None));
    }
    if filter.area == Some(Area::Nowhere) {
        filters.push(("No place".to_owned(), |filter| filter.area = None));
    }
    if let Some(group) = &filter.group {
        filters.push((group.title(), |filter| filter.group = None));
    }
    let query = filter.query.trim();
    if !query.is_empty() {
        filters.push((["“", query, "”"].concat(), |filter| filter.query.clear()));
    }
    filters
}

fn count_text(counts: Counts, lists_all: bool) -> String {
    let nodes = format::count(counts.nodes as u64);
    match (counts.is_loaded, lists_all) {
        (false, _) => String::new(),
        (true, true) => nodes,
        (true, false) => format::count(counts.listed as u64) + " of " + &nodes,
    }
}
