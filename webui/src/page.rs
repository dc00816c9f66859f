//! The page in a browser: panels, and the controller that draws them.
//!
//! Bulk data is never in signals. The [`controller`] holds the fleet and draws one frame for all changes;
//! each [`panel`] writes the visible part. Everything else that views show is in a dozen coarse signals, in
//! contexts by concern ([`state`]). A new panel is a file of its own, its fragment of HTML, a line in
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

use sycamore::prelude::{View, component, on_mount};
use sycamore::reactive::{provide_context, use_context};
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::HtmlElement;

use crate::fragments::{AppFrame, Debug, MainFrame};

use controller::Controller;
use state::{AppState, DisplayState};

#[wasm_bindgen(start)]
fn start() {
    crash::install();
    let Some(app) = dom::by_id("app") else { return };
    // Until now the skeleton of `index.html` is there; rendering only appends.
    app.set_text_content(None);
    sycamore::render_to(App, &app);
}

/// The whole page. Panels are drawn in this order. Written with `view!`, the frame would make the page 4 KB
/// larger, compressed.
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

    html::within(
        &frame(state),
        [
            header::Header(),
            notice::Notice(),
            html::within(
                &MainFrame::create().root,
                [kpis::Kpis(), map::Map(), nodes::Nodes(), summary::Summary()],
            ),
            tabs::Tabs(),
            drawer::Drawer(),
            announcer::Announcer(),
            Figures(),
        ],
    )
}

/// The element that holds everything, and what the style sheet has to know.
fn frame(AppState { live, list, .. }: AppState) -> HtmlElement {
    let app = AppFrame::create().root;
    html::attribute(&app, "data-tab", move || list.tab.get().name().to_owned());
    html::attribute(&app, "data-link", move || live.chip.with(|chip| chip.kind.to_owned()));
    html::truth(&app, "data-loaded", move || live.is_loaded.get());
    app
}

/// Frame times and counts, shown with `?debug`.
#[component]
fn Figures() -> View {
    let display: DisplayState = use_context();
    let Some(figures) = display.figures else { return View::new() };
    crash::on_request();
    let output = Debug::create().root;
    html::text(&output, move || figures.get_clone());
    html::view(&output)
}
