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
mod header;
mod icons;
mod kpis;
mod map_panel;
mod nodes;
mod notice;
mod places;
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
    let loaded = dom::truth(move || board.census.get().is_loaded);
    view! {
        div(
            class="app",
            "data-tab"=tab,
            "data-link"=link,
            "data-loaded"=loaded,
        ) {
            header::Header()
            notice::Notice()
            main(class="main", id="main") {
                kpis::Kpis()
                map_panel::MapPanel()
                nodes::Nodes()
            }
            Tabs()
            drawer::Drawer()
            announcer::Announcer()
            DebugPanel()
        }
    }
}

/// On a phone, one region at a time.
#[component]
fn Tabs() -> View {
    let board = use_context::<Page>().board;
    let tabs: Vec<View> = Vec::from(Tab::ALL.map(|tab| {
        let current = dom::truth(move || board.tab.get() == tab);
        let icon = icons::tab(tab);
        let label = tab.label();
        view! {
            button(
                class="tab",
                r#type="button",
                aria-current=current,
                on:click=move |_| board.tab.set(tab),
            ) {
                (icon)
                span { (label) }
            }
        }
    }));
    view! {
        nav(class="tabs", aria-label="Regions") { (tabs) }
    }
}

/// Frame times and counts, for those who ask for them with `?debug`.
#[component]
fn DebugPanel() -> View {
    let board = use_context::<Page>().board;
    if !board.debug {
        return View::new();
    }
    view! {
        output(class="debug", id="debug") { (board.frames) }
    }
}
