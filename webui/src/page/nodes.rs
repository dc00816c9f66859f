//! The region of the table: what is listed, the headings, the rows, and what stands there when there are none.

mod keys;
mod slot;
mod table;

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;

use crate::format;
use crate::order::{Filter, Key, Sort};

use super::Page;
use super::board::Board;
use super::engine::Engine;
use super::{dom, icons};

pub(super) use table::{Content, Table};

/// The region.
#[component]
pub(super) fn Nodes() -> View {
    view! {
        section(class="region region-nodes panel", aria-labelledby="nodes-title") {
            Caption()
            Grid()
        }
    }
}

/// How many nodes are listed, and why not all.
#[component]
fn Caption() -> View {
    let Page { board, engine } = use_context();
    let count = dom::text(move || count_text(board));
    let status = create_selector(move || board.filter.with(|filter| filter.status));
    let query = dom::text(move || board.filter.with(|filter| filter.query.trim().to_owned()));
    let change = move |change: fn(&mut Filter)| {
        board.filter.update(change);
        engine.request_frame();
    };
    let (clear_status, clear_query) = (change.clone(), change);
    let status_filter = dom::view(move || {
        let clear = clear_status.clone();
        let button =
            |status| remove_button(status_label(status), move || clear(|filter| filter.status = None));
        status.get().map(button).unwrap_or_default()
    });
    let query_filter = dom::view(move || {
        let clear = clear_query.clone();
        match &*query.get_clone() {
            "" => View::new(),
            query => {
                remove_button(&["“", query, "”"].concat(), move || clear(|filter| filter.query.clear()))
            }
        }
    });
    let held = dom::text(move || if board.is_held.get() { "order held" } else { "" }.to_owned());
    view! {
        div(class="caption") {
            h2(id="nodes-title", class="region-title") { "Nodes" }
            span(class="caption-count", id="count") { (count) }
            (status_filter)
            (query_filter)
            span(class="caption-held", title="The order stands still while you are at it.") { (held) }
        }
    }
}

fn remove_button(text: &str, mut remove: impl FnMut() + 'static) -> View {
    let (text, label) = (text.to_owned(), ["Remove filter ", text].concat());
    let icon = icons::close();
    view! {
        button(class="filter", r#type="button", aria-label=label, on:click=move |_| remove()) {
            span(class="filter-text") { (text) }
            (icon)
        }
    }
}

fn count_text(board: Board) -> String {
    let census = board.census.get();
    let nodes = format::count(census.nodes as u64);
    match (census.is_loaded, board.filter.with(Filter::is_empty)) {
        (false, _) => String::new(),
        (true, true) => nodes,
        (true, false) => format::count(census.listed as u64) + " of " + &nodes,
    }
}

fn status_label(status: Status) -> &'static str {
    match status {
        Status::Online => "Online",
        Status::Warning => "Warning",
        Status::Offline => "Offline",
    }
}

/// The table itself. It is a grid for assistive technology too: one stop of the tab key, arrow keys from row to row.
#[component]
fn Grid() -> View {
    let Page { board, engine } = use_context();
    let (scroller, head, body) = (create_node_ref(), create_node_ref(), create_node_ref());
    let scope = use_current_scope();
    {
        let engine = Rc::clone(&engine);
        on_mount(move || {
            let elements = (dom::element(scroller), dom::element(head), dom::element(body));
            if let (Some(scroller), Some(head), Some(body)) = elements {
                let table = Table::new(scroller.clone(), head, body, scope);
                table.listen(board, &engine);
                engine.attach_table(table);
                dom::on_resize(&scroller, move || engine.request_frame());
            }
        });
    }
    let on_scroll = Rc::clone(&engine);
    // The heading is a row too.
    let rows = dom::text(move || (board.census.get().listed + 1).to_string());
    view! {
        div(class="scroller", r#ref=scroller, on:scroll=move |_| on_scroll.request_frame()) {
            table(
                class="grid",
                id="nodes",
                role="grid",
                aria-labelledby="nodes-title",
                aria-rowcount=rows,
            ) {
                thead(role="rowgroup", r#ref=head) {
                    tr(role="row", class="grid-row grid-head", aria-rowindex="1") {
                        Heading(key=Key::Status, label="", class="cell cell-status")
                        Heading(key=Key::Name, label="Name", class="cell cell-name")
                        Heading(key=Key::Place, label="Place", class="cell cell-place")
                        Heading(key=Key::Download, label="↓", class="cell cell-rate")
                        Heading(key=Key::Upload, label="↑", class="cell cell-rate")
                        th(role="columnheader", class="cell cell-trend") { "1 min" }
                    }
                }
                tbody(role="rowgroup", class="grid-body", r#ref=body)
            }
            Instead()
        }
    }
}

#[component(inline_props)]
fn Heading(key: Key, label: &'static str, class: &'static str) -> View {
    let Page { board, engine } = use_context();
    let direction = create_selector(move || {
        let sort = board.sort.get();
        (sort.key == key).then_some(sort.descending)
    });
    let name = match key {
        Key::Download => Some("Download"),
        Key::Upload => Some("Upload"),
        Key::Status => Some("Status"),
        Key::Name | Key::Place => None,
    };
    let unit = dom::text(move || match key {
        Key::Download | Key::Upload => board.unit.get().heading().to_owned(),
        Key::Status | Key::Name | Key::Place => String::new(),
    });
    let sort = move |_| {
        board.sort.set(Sort::clicked(board.sort.get(), key));
        engine.request_frame();
    };
    let aria_sort = dom::text(move || direction_name(direction.get()).to_owned());
    view! {
        th(role="columnheader", class=class, aria-sort=aria_sort) {
            button(class="sort", r#type="button", aria-label=name, title=name, on:click=sort) {
                span(class="sort-label") { (label) }
                span(class="sort-unit") { (unit) }
                span(class="sort-sign", "aria-hidden"="true")
            }
        }
    }
}

fn direction_name(is_descending: Option<bool>) -> &'static str {
    match is_descending {
        None => "none",
        Some(false) => "ascending",
        Some(true) => "descending",
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Absence {
    None,
    Loading,
    NoNodes,
    NoMatch,
}

/// What stands there when no row does.
#[component]
fn Instead() -> View {
    let Page { board, engine } = use_context();
    let absence = create_selector(move || {
        let census = board.census.get();
        match (census.is_loaded, census.nodes, census.listed) {
            (false, ..) => Absence::Loading,
            (true, 0, _) => Absence::NoNodes,
            (true, _, 0) => Absence::NoMatch,
            _ => Absence::None,
        }
    });
    dom::view(move || match absence.get() {
        Absence::None => View::new(),
        Absence::Loading => bones(),
        Absence::NoNodes => no_nodes(),
        Absence::NoMatch => no_match(board, Rc::clone(&engine)),
    })
}

fn bones() -> View {
    let bars: Vec<View> = (0..8).map(|_| view! { div(class="bone-row") { span(class="bone") } }).collect();
    view! { div(class="bones", "aria-hidden"="true") { (bars) } }
}

fn no_nodes() -> View {
    view! {
        div(class="instead", id="empty") {
            p(class="instead-title") { "No nodes have reported yet" }
            p { "Enrol one here, then start its agent with the line that this prints:" }
            code(class="command") { "tidemap enroll web-01" }
        }
    }
}

fn no_match(board: Board, engine: Rc<Engine>) -> View {
    let clear = move |_| {
        board.filter.set(Filter::default());
        engine.request_frame();
    };
    view! {
        div(class="instead", id="no-match") {
            p(class="instead-title") { "No node matches" }
            button(class="button", r#type="button", on:click=clear) { "Clear filters" }
        }
    }
}
