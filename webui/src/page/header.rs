//! The bar at the top: search, the state of the stream, and how things are shown.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlInputElement, HtmlSelectElement, KeyboardEvent};

use crate::format::Unit;
use crate::pace::Pace;

use super::Page;
use super::board::{Board, set_changed};
use super::dom;
use super::engine::Engine;
use super::html::{self, html};
use super::theme::Theme;

const BAR: &str = "\
    <h1 class=brand><svg class=brand-sign viewBox='0 0 24 24' aria-hidden=true>\
    <path class=brand-down d='M2 9c3.3-5 6.7-5 10 0s6.7 5 10 0'/><path class=brand-up d='M2 16c3.3-5 6.7-5 10 0s6.7 5 10 0'/>\
    </svg><span>Tidemap</span></h1>\
    <label class=search><svg class=icon viewBox='0 0 16 16' aria-hidden=true>\
    <path d='M11.5 7a4.5 4.5 0 1 1-9 0a4.5 4.5 0 0 1 9 0zM10.3 10.3L14 14'/></svg>\
    <input type=search id=search placeholder='Search nodes, places, labels' aria-label='Search nodes, places, labels' \
    aria-keyshortcuts='/' autocomplete=off spellcheck=false><kbd class=search-key aria-hidden=true>/</kbd></label>\
    <div class=header-end><div class=chip id=connection><span class=chip-dot aria-hidden=true></span><span class=chip-text></span></div>\
    <button class='button pause' id=pause type=button><svg class=icon viewBox='0 0 16 16' aria-hidden=true><path/></svg>\
    <span class=button-text></span></button>\
    <button class='button button-icon settings-toggle' type=button aria-label=Settings aria-controls=settings>\
    <svg class=icon viewBox='0 0 16 16' aria-hidden=true><path d='M2 4.5h5M11 4.5h3M2 11.5h3M9 11.5h5M11 4.5a2 2 0 1 1-4 0a2 2 0 0 1 4 0z\
    M9 11.5a2 2 0 1 1-4 0a2 2 0 0 1 4 0z'/></svg></button>\
    <div class=settings id=settings>\
    <label class=choice><span class=choice-label>Update</span><select id=pace><option value=1>every 1 s<option value=5>every 5 s\
    <option value=30>every 30 s</select></label>\
    <label class=choice><span class=choice-label>Units</span><select id=unit><option>MB/s<option>Mbit/s<option>auto</select></label>\
    <label class=choice><span class=choice-label>Theme</span><select id=theme><option>auto<option>light<option>dark</select></label>\
    </div></div>";

const PLAY: &str = "M5 3l7.5 5L5 13z";
const PAUSE: &str = "M5.5 3.5v9M10.5 3.5v9";

/// The bar.
#[component]
pub(super) fn Header() -> View {
    let Page { board, engine } = use_context();
    let (bar, view) = html("header", "header", BAR);
    html::attribute(&bar, "#connection", "data-connection", move || {
        board.chip.with(|chip| chip.kind.to_owned())
    });
    html::text(&bar, ".chip-text", move || board.chip.with(|chip| chip.text.clone()));
    search(&bar, board, &engine);
    pause(&bar, board, &engine);
    settings(&bar, board, &engine);
    view
}

/// What the field or the list says that this event is about.
pub(super) fn value(event: &web_sys::Event) -> String {
    let target = event.target();
    let input =
        target.as_ref().and_then(|target| target.dyn_ref::<HtmlInputElement>()).map(HtmlInputElement::value);
    let select = target
        .as_ref()
        .and_then(|target| target.dyn_ref::<HtmlSelectElement>())
        .map(HtmlSelectElement::value);
    input.or(select).unwrap_or_default()
}

fn search(bar: &Element, board: Board, engine: &Rc<Engine>) -> Option<()> {
    let input: HtmlInputElement = html::find(bar, "#search")?.dyn_into().ok()?;
    let field = input.clone();
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if event.key() == "/" && is_plain && !is_typing() {
            event.prevent_default();
            board.show_table();
            dom::focus(&field);
        } else if event.key() == "Escape" && document().active_element().as_ref() == Some(&field) {
            board.filter.update(|filter| filter.query.clear());
        }
    });
    let engine = Rc::clone(engine);
    dom::listen(&input, "input", move |event: web_sys::Event| {
        board.filter.update(|filter| filter.query = value(&event));
        set_changed(board.is_summary, false);
        engine.request_frame();
    });
    create_effect(move || {
        let query = board.filter.with(|filter| filter.query.clone());
        // Writing what stands there already would move the caret.
        if input.value() != query {
            input.set_value(&query);
        }
    });
    Some(())
}

fn pause(bar: &Element, board: Board, engine: &Rc<Engine>) {
    let is_paused = move || board.pace.get() == Pace::Paused;
    html::truth(bar, "#pause", "data-on", is_paused);
    html::attribute(bar, "#pause path", "d", move || if is_paused() { PLAY } else { PAUSE }.to_owned());
    html::text(bar, "#pause .button-text", move || if is_paused() { "Resume" } else { "Pause" }.to_owned());
    let engine = Rc::clone(engine);
    html::on_click(bar, "#pause", move || {
        let chosen = Pace::Every(board.every.get_untracked());
        board.pace.set(if board.pace.get_untracked() == Pace::Paused { chosen } else { Pace::Paused });
        engine.request_frame();
    });
}

fn settings(bar: &Element, board: Board, engine: &Rc<Engine>) {
    let is_open = create_signal(false);
    html::truth(bar, ".settings-toggle", "aria-expanded", move || is_open.get());
    html::truth(bar, "#settings", "data-open", move || is_open.get());
    html::on_click(bar, ".settings-toggle", move || is_open.set(!is_open.get_untracked()));
    choice(bar, "#pace", move || board.every.get().to_string());
    choice(bar, "#unit", move || board.unit.get().label().to_owned());
    choice(bar, "#theme", move || board.theme.get().name().to_owned());
    let engine = Rc::clone(engine);
    let Some(settings) = html::find(bar, "#settings") else { return };
    dom::listen(&settings, "change", move |event: web_sys::Event| {
        let value = value(&event);
        let id = event.target().and_then(|target| Some(target.dyn_ref::<Element>()?.id()));
        match id.as_deref() {
            Some("pace") => {
                board.every.set(value.parse().unwrap_or(1));
                // A paused page stays so: the choice is for when it goes on.
                if board.pace.get_untracked() != Pace::Paused {
                    board.pace.set(Pace::Every(board.every.get_untracked()));
                }
            }
            Some("unit") => board.unit.set(Unit::from_label(&value).unwrap_or_default()),
            _ => board.theme.set(Theme::from_name(&value).unwrap_or(Theme::Auto)),
        }
        engine.request_frame();
    });
}

/// Keeps what a list says.
fn choice(bar: &Element, selector: &str, chosen: impl Fn() -> String + 'static) {
    let select = html::find(bar, selector).and_then(|select| select.dyn_into::<HtmlSelectElement>().ok());
    let Some(select) = select else { return };
    create_effect(move || select.set_value(&chosen()));
}

/// Whether keys are text at the moment.
fn is_typing() -> bool {
    let focused = document().active_element();
    focused.is_some_and(|element| matches!(&*element.tag_name(), "INPUT" | "TEXTAREA" | "SELECT"))
}
