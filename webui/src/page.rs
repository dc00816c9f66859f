//! The page in a browser: panels, and the controller that draws them.
//!
//! Bulk data never lives in signals. The [`controller`] holds the fleet and draws one frame for whatever has
//! changed; each [`panel`] writes what of it is on screen. Everything else that views show is a dozen coarse
//! signals, in contexts by concern ([`state`]). A new panel is its own file, its fragment of HTML, a line in
//! [`build`], and its style.

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

use sycamore_reactive::{create_root, provide_context};
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

use crate::fragments::{AppFrame, Debug, MainFrame};

use controller::Controller;
use state::AppState;

#[wasm_bindgen(start)]
fn start() {
    crash::install();
    let Some(app) = dom::by_id("app") else { return };
    // What stands there until now is the skeleton.
    app.set_text_content(None);
    // The page lives as long as the browser's tab: nothing is ever disposed of.
    let _root = create_root(|| build(&app));
}

fn build(parent: &HtmlElement) {
    let state = AppState::provide(&address_bar::read(), theme::stored());
    let controller = Controller::new(state);
    provide_context(Rc::clone(controller.feed()));
    provide_context(Rc::clone(controller.link()));
    provide_context(controller.redraw().clone());

    let app = frame(parent, state);
    header::add(&app);
    controller.add(notice::add(&app));
    let main = MainFrame::append(&app).root;
    kpis::add(&main);
    controller.add(map::add(&main));
    controller.add(nodes::add(&main));
    controller.add(summary::add(&main));
    tabs::add(&app);
    controller.add(drawer::add(&app));
    controller.add(announcer::add(&app));
    add_figures(&app, state);

    address_bar::follow(state);
    theme::follow(state.display);
    tab_title::follow(state);
    controller.start();
}

/// The element that holds everything, and what the style sheet has to know.
fn frame(parent: &HtmlElement, state: AppState) -> HtmlElement {
    let AppState { live, list, .. } = state;
    let app = AppFrame::append(parent).root;
    html::attribute(&app, "data-tab", move || list.tab.get().name().to_owned());
    html::attribute(&app, "data-link", move || live.chip.with(|chip| chip.kind.to_owned()));
    html::attribute(&app, "data-side", move || {
        if list.is_summary.get() { "summary" } else { "nodes" }.to_owned()
    });
    html::truth(&app, "data-loaded", move || live.is_loaded.get());
    app
}

/// Frame times and counts, for those who ask for them with `?debug`.
fn add_figures(app: &HtmlElement, state: AppState) {
    if let Some(figures) = state.display.figures {
        crash::on_request();
        html::text(&Debug::append(app).root, move || figures.get_clone());
    }
}
