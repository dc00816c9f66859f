//! One node in full, beside everything else.

mod chart;
mod facts;
mod interfaces;

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue};
use web_sys::{HtmlElement, KeyboardEvent};

use crate::detail::{self, HOST, IDENTITY, WINDOWS};
use crate::format;
use crate::json::NodeAnswer;

use super::Page;
use super::board::{Board, DetailState};
use super::{dom, icons};

use chart::History;
use facts::Facts;
use interfaces::Interfaces;

/// The drawer, there only while a node is open.
#[component]
pub(super) fn Drawer() -> View {
    let Page { board, engine } = use_context();
    let name = create_selector(move || board.open.get_clone());
    let is_open = dom::flag(move || name.with(Option::is_some));
    let sheet = create_node_ref();
    let returns_to = create_signal(None::<HtmlElement>);
    create_effect(move || {
        if is_open.get() {
            returns_to.set_silent(document().active_element().and_then(|element| element.dyn_into().ok()));
            on_mount(move || {
                if let Some(sheet) = dom::element(sheet) {
                    dom::focus(&sheet);
                }
            });
        }
    });
    let close = move || {
        let left = board.open.get_clone();
        board.open.set(None);
        let is_at_row = left.is_some_and(|name| engine.focus_node(&name));
        if let (false, Some(element)) = (is_at_row, returns_to.get_clone_untracked()) {
            dom::focus(&element);
        }
        engine.request_frame();
    };
    let close_by_key = close.clone();
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        if event.key() == "Escape" && !event.default_prevented() && board.open.with_untracked(Option::is_some)
        {
            close_by_key();
        }
    });
    let close: Rc<dyn Fn()> = Rc::new(close);
    dom::view(move || {
        let close = Rc::clone(&close);
        if is_open.get() {
            view! { Sheet(sheet=sheet, close=close) }
        } else {
            View::new()
        }
    })
}

#[component(inline_props)]
fn Sheet(sheet: NodeRef, close: Rc<dyn Fn()>) -> View {
    let board = use_context::<Page>().board;
    let name = dom::text(move || board.open.with(|name| name.as_deref().unwrap_or("").to_owned()));
    let status =
        dom::text(move || known(board, |detail| detail.node.status.as_str()).unwrap_or("unknown").to_owned());
    let icon = icons::close();
    let since = dom::text(move || known(board, since).unwrap_or_default());
    view! {
        aside(
            class="drawer",
            id="detail",
            tabindex="-1",
            r#ref=sheet,
            aria-labelledby="detail-title",
            "data-node"=name,
        ) {
            div(class="drawer-head") {
                div(class="drawer-title") {
                    h2(id="detail-title", title=name) { (name) }
                    p(class="drawer-since") {
                        span(
                            class="status-sign",
                            "data-status"=status,
                            "aria-hidden"="true",
                        )
                        span { (since) }
                    }
                }
                CopyLink()
                button(
                    class="button button-icon",
                    id="detail-close",
                    r#type="button",
                    aria-label="Close details",
                    on:click=move |_| close(),
                ) { (icon) }
            }
            div(class="drawer-body") { Content() }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Loading,
    Missing,
    Failed,
    Known,
}

/// The details, or what stands there instead. What was known before an answer failed stays.
#[component]
fn Content() -> View {
    let board = use_context::<Page>().board;
    let face = create_selector(move || {
        board.detail.with(|state| match state {
            DetailState::Loading => Face::Loading,
            DetailState::Missing => Face::Missing,
            DetailState::Failed(None) => Face::Failed,
            DetailState::Failed(Some(_)) | DetailState::Known(_) => Face::Known,
        })
    });
    let word = |word: &'static str| view! { p(class="drawer-word") { (word) } };
    dom::view(move || match face.get() {
        Face::Loading => word("Loading…"),
        Face::Missing => word("No such node. It may have been forgotten."),
        Face::Failed => word("The server does not answer. Trying again each second."),
        Face::Known => view! { Known() },
    })
}

#[component]
fn Known() -> View {
    let board = use_context::<Page>().board;
    let is_fresh = dom::flag(move || board.detail.with(|state| !matches!(state, DetailState::Failed(_))));
    view! {
        p(class="drawer-word drawer-stale", role="status", hidden=is_fresh) {
            "The server does not answer; this may be old."
        }
        Rates()
        History(title="Last minute", id="chart-60s", of=|detail| detail.last_60s.as_ref(), span="60 s")
        History(title="Last 15 minutes", id="chart-15m", of=|detail| detail.last_15m.as_ref(), span="15 min")
        Interfaces()
        Facts(title="Host", facts=&HOST)
        Facts(title="Identity", facts=&IDENTITY)
    }
}

/// Both directions, now and over each window.
#[component]
fn Rates() -> View {
    let board = use_context::<Page>().board;
    let heads: Vec<View> =
        WINDOWS.iter().map(|window| view! { th(class="cell-rate", scope="col") { (*window) } }).collect();
    let unit = dom::text(move || board.unit.get().heading().to_owned());
    let cells = move |rates: fn(&NodeAnswer, crate::format::Unit) -> [String; 5]| -> Vec<View> {
        let all = create_selector(move || known(board, |detail| rates(detail, board.unit.get())));
        let cell = |at: usize| {
            let text = dom::text(move || {
                all.with(|all| all.as_ref().map_or_else(String::new, |all| all[at].clone()))
            });
            view! { td(class="cell-rate live") { (text) } }
        };
        (0..WINDOWS.len()).map(cell).collect()
    };
    let (download, upload) = (cells(detail::download), cells(detail::upload));
    view! {
        table(class="figures", id="detail-rates") {
            thead { tr { th(scope="col", class="figures-unit") { (unit) } (heads) } }
            tbody {
                tr("data-direction"="download") { th(scope="row") { span(class="arrow") { "↓" } " Download" } (download) }
                tr("data-direction"="upload") { th(scope="row") { span(class="arrow") { "↑" } " Upload" } (upload) }
            }
        }
    }
}

/// Copies the page's address, which names the node. Absent where the browser has no clipboard for us: the address bar
/// says the same.
#[component]
fn CopyLink() -> View {
    let clipboard = window().navigator().clipboard();
    if clipboard.is_undefined() {
        return View::new();
    }
    let is_copied = create_signal(false);
    let done = Closure::<dyn FnMut(JsValue)>::new(move |_| {
        if is_copied.is_alive() {
            is_copied.set(true);
        }
    });
    // A refusal leaves the clipboard as it was, and the button says nothing else.
    let refused = Closure::<dyn FnMut(JsValue)>::new(|_| {});
    let copy = move |_| {
        if let Ok(url) = window().location().href() {
            let _outcome = clipboard.write_text(&url).then2(&done, &refused);
        }
    };
    let label = dom::text(move || if is_copied.get() { "Copied" } else { "Copy link" }.to_owned());
    view! { button(class="button", r#type="button", on:click=copy) { (label) } }
}

/// Something of the newest details.
fn known<T>(board: Board, of: impl FnOnce(&NodeAnswer) -> T) -> Option<T> {
    let detail = board.detail.with(|state| state.known().cloned());
    detail.map(|detail| of(&detail))
}

fn since(detail: &NodeAnswer) -> String {
    let node = &detail.node;
    let status = match node.status {
        Status::Online => "Online",
        Status::Warning => "Late",
        Status::Offline => "Offline",
    };
    let mut text = [status, " for ", &format::duration(node.status_for_s)].concat();
    if node.status != Status::Online {
        text.push_str(", last seen ");
        text.push_str(&format::age(node.age_ms));
        text.push_str(" ago");
    }
    text
}
