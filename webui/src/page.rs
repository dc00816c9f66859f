//! The page in a browser: panels, and the controller that draws them.
//!
//! Bulk data never lives in signals. The [`controller`] holds the fleet and draws one frame for whatever has
//! changed; each [`panel`] writes what of it is on screen. Everything else that views show is a dozen coarse
//! signals, in contexts by concern ([`state`]). A new panel is its own file, its fragment of HTML, a line in
//! [`App`], and its style.

mod address_bar;
mod announcer;
mod controller;
mod crash;
mod dom;
mod drawer;
mod header;
pub(crate) mod html;
mod kpis;
mod link;
mod map;
mod node_poll;
mod nodes;
mod notice;
mod panel;
mod pool;
mod redraw;
mod state;
mod summary;
mod tab_title;
mod tabs;
mod theme;
mod timings;

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::prelude::wasm_bindgen;

use controller::Controller;
use state::{AppState, DisplayState};

#[wasm_bindgen(start)]
fn start() {
    crash::install();
    let Some(app) = dom::by_id("app") else { return };
    // What stands there until now is the skeleton: rendering only appends.
    app.set_text_content(None);
    sycamore::render_to(App, &app);
}

/// The whole page. Panels are drawn in the order in which they stand here.
#[component]
fn App() -> View {
    let state = AppState::provide(&address_bar::read(), theme::stored());
    let controller = Controller::new(state);
    provide_context(Rc::clone(&controller));
    provide_context(Rc::clone(controller.feed()));
    provide_context(Rc::clone(controller.link()));
    provide_context(controller.redraw().clone());
    address_bar::follow(state);
    theme::follow(state.display);
    tab_title::follow(state);
    on_mount(move || controller.start());

    // What the style sheet has to know.
    let AppState { live, list, .. } = state;
    let tab = create_selector(move || list.tab.get().name());
    let link = create_selector(move || live.chip.with(|chip| chip.kind));
    let side = create_selector(move || if list.is_summary.get() { "summary" } else { "nodes" });
    let loaded = create_selector(move || if live.is_loaded.get() { "true" } else { "false" });
    view! {
        div(class="app", "data-tab"=tab, "data-link"=link, "data-side"=side, "data-loaded"=loaded) {
            header::Header()
            notice::Notice()
            main(class="main", id="main") {
                kpis::Kpis()
                map::Map()
                nodes::Nodes()
                summary::Summary()
            }
            tabs::Tabs()
            drawer::Drawer()
            announcer::Announcer()
            Figures()
        }
    }
}

/// Frame times and counts, for those who ask for them with `?debug`.
#[component]
fn Figures() -> View {
    let display: DisplayState = use_context();
    let Some(figures) = display.figures else { return View::new() };
    crash::on_request();
    view! { output(class="debug", id="debug") { (figures) } }
}
