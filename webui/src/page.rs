//! The page in a browser: thin views, and the engine that drives them.
//!
//! Bulk data never lives in signals. The engine holds the fleet, applies what the stream says to it, and asks for one
//! animation frame; the frame writes the rows on screen and lets the map draw. Everything else the views show is a dozen
//! coarse signals, the [`board`].

mod announcer;
mod board;
mod crash;
mod dom;
mod drawer;
mod engine;
mod groups;
mod header;
mod html;
mod kpis;
mod map_panel;
mod nodes;
mod notice;
mod places;
mod pool;
mod theme;

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::prelude::*;

use board::{Board, Tab};
use engine::Engine;

/// What every view may use.
#[derive(Clone)]
struct Page {
    board: Board,
    engine: Rc<Engine>,
}

#[wasm_bindgen(start)]
fn start() {
    crash::install();
    let Some(app) = dom::by_id("app") else { return };
    // What stands there until now is the skeleton: rendering only appends.
    app.set_text_content(None);
    sycamore::render_to(App, &app);
}

#[component]
fn App() -> View {
    let board = Board::new(&places::read());
    let engine = Engine::new(board);
    provide_context(Page { board, engine: Rc::clone(&engine) });
    places::follow(board, &engine);
    theme::follow(board, &engine);
    announcer::follow(board);
    on_mount(move || engine.start());
    let tab = dom::text(move || board.tab.get().name().to_owned());
    let link = dom::text(move || board.chip.with(|chip| chip.kind.to_owned()));
    let side = dom::text(move || if board.is_summary.get() { "summary" } else { "nodes" }.to_owned());
    let loaded = dom::truth(move || board.census.get().is_loaded);
    view! {
        div(
            class="app",
            "data-tab"=tab,
            "data-side"=side,
            "data-link"=link,
            "data-loaded"=loaded,
        ) {
            header::Header()
            notice::Notice()
            main(class="main", id="main") {
                kpis::Kpis()
                map_panel::MapPanel()
                nodes::Nodes()
                groups::Summary()
            }
            Tabs()
            drawer::Drawer()
            announcer::Announcer()
            DebugPanel()
        }
    }
}

const TABS: &str = "<button class=tab type=button data-of=overview><svg class=icon viewBox='0 0 16 16' aria-hidden=true>\
    <path d='M2 13V8M6 13V3M10 13V6M14 13V9'/></svg><span>Overview</span></button>\
    <button class=tab type=button data-of=map><svg class=icon viewBox='0 0 16 16' aria-hidden=true>\
    <path d='M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM2 8h12M8 2c-4.5 4-4.5 8 0 12M8 2c4.5 4 4.5 8 0 12'/></svg><span>Map</span></button>\
    <button class=tab type=button data-of=nodes><svg class=icon viewBox='0 0 16 16' aria-hidden=true>\
    <path d='M2 3.5h12M2 8h12M2 12.5h12'/></svg><span>Nodes</span></button>";

/// On a phone, one region at a time.
#[component]
fn Tabs() -> View {
    let board = use_context::<Page>().board;
    let (tabs, view) = html::html("nav", "tabs", TABS);
    dom::set_attribute(&tabs, "aria-label", Some("Regions"));
    for tab in Tab::ALL {
        let button = ["[data-of=", tab.name(), "]"].concat();
        html::truth(&tabs, &button, "aria-current", move || board.tab.get() == tab);
        html::on_click(&tabs, &button, move || board.tab.set(tab));
    }
    view
}

/// Frame times and counts, for those who ask for them with `?debug`.
#[component]
fn DebugPanel() -> View {
    let board = use_context::<Page>().board;
    if !board.debug {
        return View::new();
    }
    crash::on_request();
    view! {
        output(class="debug", id="debug") { (board.frames) }
    }
}
