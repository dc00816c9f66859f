//! The region of the table: what is listed, the headings, the rows, and what stands there when there are none.

mod keys;
mod slot;
mod table;

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;
use web_sys::Element;

use crate::format;
use crate::order::{Area, Filter, Key, Sort};

use super::Page;
use super::board::Board;
use super::dom;
use super::engine::Engine;
use super::html::{self, html};
use super::pool::Pool;

pub(super) use table::{Content, Table};

/// The table is a grid for assistive technology too: one stop of the tab key, arrow keys from row to row.
const REGION: &str = "<div class=caption><h2 id=nodes-title class=region-title>Nodes</h2><span class=caption-count id=count></span>\
    <button class='filter filter-toggle' id=in-view type=button title='Only nodes that the map shows'>In view</button>\
    <span class=filters></span>\
    <span class=caption-held title='The order stands still while you are at it.'></span></div>\
    <div class=scroller><table class=grid id=nodes role=grid aria-labelledby=nodes-title>\
    <thead role=rowgroup><tr role=row class='grid-row grid-head' aria-rowindex=1></tr></thead>\
    <tbody role=rowgroup class=grid-body></tbody></table>\
    <div class=bones aria-hidden=true><div class=bone-row><span class=bone></span></div><div class=bone-row><span class=bone></span></div>\
    <div class=bone-row><span class=bone></span></div><div class=bone-row><span class=bone></span></div>\
    <div class=bone-row><span class=bone></span></div><div class=bone-row><span class=bone></span></div></div>\
    <div class=instead id=empty hidden><p class=instead-title>No nodes have reported yet</p>\
    <p>Enrol one here, then start its agent with the line that this prints:</p><code class=command>tidemap enroll web-01</code></div>\
    <div class=instead id=no-match hidden><p class=instead-title>No node matches</p>\
    <button class=button type=button>Clear filters</button></div></div>";

const FILTER: &str = "<button class=filter type=button><span class='text filter-text'></span>\
    <svg class=icon viewBox='0 0 16 16' aria-hidden=true><path d='M3.5 3.5l9 9M12.5 3.5l-9 9'/></svg></button>";

/// The headings: key, class, name, and what of it is seen.
const HEADINGS: [(Key, &str, &str, &str); 5] = [
    (Key::Status, "status", "Status", ""),
    (Key::Name, "name", "Name", "Name"),
    (Key::Place, "place", "Place", "Place"),
    (Key::Download, "rate", "Download", "↓"),
    (Key::Upload, "rate", "Upload", "↑"),
];

/// Takes a filter away.
type Clear = fn(&mut Filter);

/// The region.
#[component]
pub(super) fn Nodes() -> View {
    let Page { board, engine } = use_context();
    let (region, view) = html("section", "region region-nodes panel", REGION);
    dom::set_attribute(&region, "aria-labelledby", Some("nodes-title"));
    caption(&region, board, &engine);
    headings(&region, board, &engine);
    grid(&region, board, &engine);
    view
}

/// How many nodes are listed, and why not all.
fn caption(region: &Element, board: Board, engine: &Rc<Engine>) -> Option<()> {
    html::text(region, "#count", move || count_text(board));
    html::text(region, ".caption-held", move || {
        if board.is_held.get() { "order held" } else { "" }.to_owned()
    });
    let is_in_view = move || board.filter.with(|filter| filter.area == Some(Area::InView));
    html::truth(region, "#in-view", "aria-pressed", is_in_view);
    let frame = Rc::clone(engine);
    html::on_click(region, "#in-view", move || {
        board.filter.update(|filter| {
            filter.area = (filter.area != Some(Area::InView)).then_some(Area::InView);
        });
        frame.request_frame();
    });

    let list = html::part(region, ".filters")?;
    let pool = Rc::new(RefCell::new(Pool::new(list.clone(), FILTER)));
    let (clicked, frame) = (Rc::clone(&pool), Rc::clone(engine));
    dom::listen(&list, "click", move |event: web_sys::Event| {
        let at = event.target().and_then(|target| clicked.borrow().position_of(&target));
        let filters = board.filter.with_untracked(filters);
        if let Some((_, clear)) = at.and_then(|at| filters.get(at)) {
            board.filter.update(clear);
            frame.request_frame();
        }
    });
    create_effect(move || {
        let filters = board.filter.with(filters);
        let mut pool = pool.borrow_mut();
        pool.write(filters.iter().map(|(title, _)| vec![title.clone()]).collect());
        for (at, (title, _)) in filters.iter().enumerate() {
            if let Some(button) = pool.element(at) {
                dom::set_attribute(button, "aria-label", Some(&["Remove filter ", title].concat()));
            }
        }
    });
    Some(())
}

/// What is filtered by, and how each is taken away.
fn filters(filter: &Filter) -> Vec<(String, Clear)> {
    let mut filters: Vec<(String, Clear)> = Vec::new();
    if let Some(status) = filter.status {
        filters.push((status_label(status).to_owned(), |filter| filter.status = None));
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

fn headings(region: &Element, board: Board, engine: &Rc<Engine>) -> Option<()> {
    let heads = html::find(region, ".grid-head")?;
    let heading = |(_, class, name, label): &(Key, &str, &str, &str)| {
        let head = [
            "<th role=columnheader class='cell cell-",
            class,
            "'><button class=sort type=button title=",
            name,
        ]
        .concat();
        let label = ["><span class=unseen>", name, " </span><span class=sort-label aria-hidden=true>", label]
            .concat();
        let sign = "</span><span class=sort-unit></span><span class=sort-sign aria-hidden=true></span></button></th>";
        head + &label + sign
    };
    let trend = "<th role=columnheader class='cell cell-trend'>1 min</th>";
    heads.set_inner_html(&(HEADINGS.iter().map(heading).collect::<String>() + trend));
    for (key, _, name, _) in HEADINGS {
        let button = ["[title=", name, "]"].concat();
        let cell = html::find(&heads, &button)?.parent_element()?;
        html::attribute(&cell, "", "aria-sort", move || {
            let sort = board.sort.get();
            let is_this = sort.key == key;
            if !is_this {
                "none"
            } else if sort.descending {
                "descending"
            } else {
                "ascending"
            }
            .to_owned()
        });
        if matches!(key, Key::Download | Key::Upload) {
            html::text(&cell, ".sort-unit", move || board.unit.get().heading().to_owned());
        }
        let frame = Rc::clone(engine);
        html::on_click(&cell, "button", move || {
            board.sort.set(Sort::clicked(board.sort.get_untracked(), key));
            frame.request_frame();
        });
    }
    Some(())
}

/// The rows, and what stands there when there are none.
fn grid(region: &Element, board: Board, engine: &Rc<Engine>) -> Option<()> {
    // The heading is a row too.
    html::attribute(region, "#nodes", "aria-rowcount", move || (board.census.get().listed + 1).to_string());
    let scroller = html::part(region, ".scroller")?;
    let table = Table::new(
        scroller.clone(),
        html::part(region, "thead")?,
        html::part(region, "tbody")?,
        use_current_scope(),
    );
    table.listen(board, engine);
    engine.attach_table(table);
    let frame = Rc::clone(engine);
    dom::on_resize(&scroller, move || frame.request_frame());
    let frame = Rc::clone(engine);
    dom::listen(&scroller, "scroll", move |_: web_sys::Event| frame.request_frame());

    let frame = Rc::clone(engine);
    html::on_click(region, "#no-match button", move || {
        board.filter.set(Filter::default());
        frame.request_frame();
    });
    let parts = [".bones", "#empty", "#no-match"].map(|selector| html::part(region, selector));
    create_effect(move || {
        let census = board.census.get();
        let shown = match (census.is_loaded, census.nodes, census.listed) {
            (false, ..) => Some(0),
            (true, 0, _) => Some(1),
            (true, _, 0) => Some(2),
            _ => None,
        };
        for (at, part) in parts.iter().enumerate() {
            if let Some(part) = part {
                part.set_hidden(shown != Some(at));
            }
        }
    });
    Some(())
}
