//! One node in full, beside everything else.

mod chart;
mod details;

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue};
use web_sys::{Element, HtmlElement, KeyboardEvent};

use crate::format;
use crate::json::NodeAnswer;

use super::Page;
use super::board::{Board, DetailState};
use super::dom;
use super::html::{self, html};

use details::Details;

const SHEET: &str = "<div class=drawer-head><div class=drawer-title><h2 id=detail-title></h2>\
    <p class=drawer-since><span class=status-sign aria-hidden=true></span><span id=detail-since></span></p></div>\
    <button class=button id=detail-copy type=button></button>\
    <button class='button button-icon' id=detail-close type=button aria-label='Close details'>\
    <svg class=icon viewBox='0 0 16 16' aria-hidden=true><path d='M3.5 3.5l9 9M12.5 3.5l-9 9'/></svg></button></div>\
    <div class=drawer-body><p class=drawer-word id=detail-word role=status></p><div id=detail-known>\
    <table class=figures id=detail-rates><thead><tr><th scope=col id=detail-unit><th scope=col class=cell-rate>Now\
    <th scope=col class=cell-rate>10 s<th scope=col class=cell-rate>1 min<th scope=col class=cell-rate>5 min\
    <th scope=col class=cell-rate>15 min</tr></thead><tbody></tbody></table>\
    <section class=drawer-section id=chart-60s></section><section class=drawer-section id=chart-15m></section>\
    <section class=drawer-section id=detail-interfaces><h3>Interfaces</h3><table class='figures interfaces'><thead><tr>\
    <th scope=col>Name<th scope=col>Counts<th scope=col class=cell-rate>↓<th scope=col class=cell-rate>↑</tr></thead>\
    <tbody></tbody></table></section>\
    <section class=drawer-section><h3>Host</h3><dl class=facts id=detail-host></dl></section>\
    <section class=drawer-section><h3>Identity</h3><dl class=facts id=detail-identity></dl></section></div></div>";

/// The drawer, hidden while no node is open.
#[component]
pub(super) fn Drawer() -> View {
    let Page { board, engine } = use_context();
    let (sheet, view) = html("aside", "drawer", SHEET);
    for (name, value) in [("id", "detail"), ("tabindex", "-1"), ("aria-labelledby", "detail-title")] {
        dom::set_attribute(&sheet, name, Some(value));
    }
    let name = create_selector(move || board.open.get_clone());
    html::text(&sheet, "h2", move || name.with(|name| name.as_deref().unwrap_or("").to_owned()));
    let status = move || known(board, |detail| detail.node.status.as_str()).unwrap_or("unknown").to_owned();
    html::attribute(&sheet, ".status-sign", "data-status", status);
    html::text(&sheet, "#detail-since", move || known(board, since).unwrap_or_default());
    html::text(&sheet, "#detail-word", move || board.detail.with(word).to_owned());
    copy_link(&sheet, name);
    if let Some(details) = Details::new(&sheet) {
        create_effect(move || {
            let (detail, unit) = (board.detail.with(|state| state.known().cloned()), board.unit.get());
            details.show(detail.as_deref(), unit);
        });
    }
    if let Ok(sheet) = sheet.dyn_into::<HtmlElement>() {
        let returns_to = follow(&sheet, name);
        let close = move || {
            let left = board.open.get_clone();
            board.open.set(None);
            let is_at_row = left.is_some_and(|name| engine.focus_node(&name));
            if let (false, Some(element)) = (is_at_row, returns_to.get_clone_untracked()) {
                dom::focus(&element);
            }
            engine.request_frame();
        };
        close_by(&sheet, board, Rc::new(close));
    }
    view
}

/// Shows and hides the sheet, and remembers where the focus was before.
fn follow(sheet: &HtmlElement, name: ReadSignal<Option<Rc<str>>>) -> Signal<Option<HtmlElement>> {
    let (sheet, returns_to) = (sheet.clone(), create_signal(None::<HtmlElement>));
    let mut was_open = false;
    sheet.set_hidden(true);
    create_effect(move || {
        let name = name.get_clone();
        sheet.set_hidden(name.is_none());
        dom::set_attribute(&sheet, "data-node", name.as_deref());
        if name.is_some() && !was_open {
            returns_to.set_silent(document().active_element().and_then(|element| element.dyn_into().ok()));
            let sheet = sheet.clone();
            // It may not be in the page yet.
            on_mount(move || dom::focus(&sheet));
        }
        was_open = name.is_some();
    });
    returns_to
}

fn close_by(sheet: &HtmlElement, board: Board, close: Rc<dyn Fn()>) {
    let by_key = Rc::clone(&close);
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        if event.key() == "Escape" && !event.default_prevented() && board.open.with_untracked(Option::is_some)
        {
            by_key();
        }
    });
    html::on_click(sheet, "#detail-close", move || close());
}

/// Copies the page's address, which names the node. Hidden where the browser has no clipboard for us: the address bar
/// says the same.
fn copy_link(sheet: &Element, name: ReadSignal<Option<Rc<str>>>) {
    let clipboard = window().navigator().clipboard();
    let is_copied = create_signal(false);
    html::text(sheet, "#detail-copy", move || {
        if is_copied.get() { "Copied" } else { "Copy link" }.to_owned()
    });
    if clipboard.is_undefined() {
        html::attribute(sheet, "#detail-copy", "hidden", String::new);
        return;
    }
    // Another node is another link.
    create_effect(move || {
        name.track();
        is_copied.set(false);
    });
    let done = Closure::<dyn FnMut(JsValue)>::new(move |_| is_copied.set(true));
    // A refusal leaves the clipboard as it was, and the button says nothing else.
    let refused = Closure::<dyn FnMut(JsValue)>::new(|_| {});
    html::on_click(sheet, "#detail-copy", move || {
        if let Ok(url) = window().location().href() {
            let _outcome = clipboard.write_text(&url).then2(&done, &refused);
        }
    });
}

/// What stands there instead of details, or above those that may be old.
fn word(state: &DetailState) -> &'static str {
    match state {
        DetailState::Loading => "Loading…",
        DetailState::Missing => "No such node. It may have been forgotten.",
        DetailState::Failed(None) => "The server does not answer. Trying again each second.",
        DetailState::Failed(Some(_)) => "The server does not answer; this may be old.",
        DetailState::Known(_) => "",
    }
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
        Status::Warning => "Warning",
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
