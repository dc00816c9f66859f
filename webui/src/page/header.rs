//! The bar at the top: search, the state of the stream, and how things are shown.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, HtmlSelectElement, KeyboardEvent};

use crate::format::Unit;
use crate::pace::Pace;

use super::Page;
use super::board::{Board, Tab};
use super::theme::Theme;
use super::{dom, icons};

/// The bar.
#[component]
pub(super) fn Header() -> View {
    let Page { board, engine } = use_context();
    let is_open = create_signal(false);
    let kind = dom::text(move || board.chip.with(|chip| chip.kind.to_owned()));
    let expanded = dom::truth(move || is_open.get());
    let (brand, settings) = (icons::brand(), icons::settings());
    let text = dom::text(move || board.chip.with(|chip| chip.text.clone()));
    view! {
        header(class="header") {
            h1(class="brand") { (brand) span { "Tidemap" } }
            Search()
            div(class="header-end") {
                div(class="chip", id="connection", "data-connection"=kind) {
                    span(class="chip-dot", "aria-hidden"="true")
                    span(class="chip-text") { (text) }
                }
                PauseButton()
                button(
                    class="button button-icon settings-toggle",
                    r#type="button",
                    aria-label="Settings",
                    aria-expanded=expanded,
                    aria-controls="settings",
                    on:click=move |_| is_open.set(!is_open.get()),
                ) { (settings) }
                Settings(board=board, is_open=is_open, engine=engine)
            }
        }
    }
}

#[component]
fn Search() -> View {
    let Page { board, engine } = use_context();
    let input = create_node_ref();
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if event.key() == "/" && is_plain && !is_typing() {
            event.prevent_default();
            board.tab.set(Tab::Nodes);
            if let Some(input) = dom::element(input) {
                dom::focus(&input);
            }
        }
    });
    let search = move |text: String| {
        board.filter.update(|filter| filter.query = text);
        engine.request_frame();
    };
    let clear = search.clone();
    let icon = icons::search();
    let query = dom::text(move || board.filter.with(|filter| filter.query.clone()));
    view! {
        label(class="search") {
            (icon)
            input(
                r#type="search",
                id="search",
                r#ref=input,
                placeholder="Search nodes, places, labels",
                aria-label="Search nodes, places, labels",
                aria-keyshortcuts="/",
                autocomplete="off",
                "spellcheck"="false",
                prop:value=move || wasm_bindgen::JsValue::from(query.get_clone()),
                on:input=move |event: web_sys::Event| search(value(&event)),
                on:keydown=move |event: KeyboardEvent| {
                    if event.key() == "Escape" {
                        clear(String::new());
                    }
                },
            )
            kbd(class="search-key", "aria-hidden"="true") { "/" }
        }
    }
}

#[component]
fn PauseButton() -> View {
    let Page { board, engine } = use_context();
    let is_paused = dom::flag(move || board.pace.get() == Pace::Paused);
    let is_on = dom::truth(move || is_paused.get());
    let icon = dom::view(move || if is_paused.get() { icons::play() } else { icons::pause() });
    let label = dom::text(move || if is_paused.get() { "Resume" } else { "Pause" }.to_owned());
    // The pace to return to.
    let pace = create_signal(Pace::Every(1));
    let toggle = move |_| {
        let now = board.pace.get();
        if now != Pace::Paused {
            pace.set(now);
        }
        board.pace.set(if now == Pace::Paused { pace.get() } else { Pace::Paused });
        engine.request_frame();
    };
    view! {
        button(class="button pause", id="pause", r#type="button", "data-on"=is_on, on:click=toggle) {
            (icon)
            span(class="button-text") { (label) }
        }
    }
}

#[component(inline_props)]
fn Settings(board: Board, is_open: Signal<bool>, engine: Rc<super::Engine>) -> View {
    let paces =
        Pace::CHOICES.map(|seconds| (seconds.to_string(), ["every ", &seconds.to_string(), " s"].concat()));
    let units = Unit::ALL.map(|unit| (unit.label().to_owned(), unit.label().to_owned()));
    let themes = Theme::ALL.map(|theme| (theme.name().to_owned(), theme.name().to_owned()));
    let open = dom::truth(move || is_open.get());
    let redraw = Rc::clone(&engine);
    let pace = dom::text(move || match board.pace.get() {
        Pace::Every(seconds) => seconds.to_string(),
        Pace::Paused => "1".to_owned(),
    });
    view! {
        div(class="settings", id="settings", "data-open"=open) {
            Choice(id="pace", label="Update", choices=paces.into(), chosen=pace, choose=Box::new(move |name| {
                let chosen = Pace::CHOICES.into_iter().find(|seconds| seconds.to_string() == name);
                board.pace.set(Pace::Every(chosen.unwrap_or(1)));
                engine.request_frame();
            }))
            Choice(
                id="unit", label="Units", choices=units.into(),
                chosen=dom::text(move || board.unit.get().label().to_owned()),
                choose=Box::new(move |name| {
                    board.unit.set(Unit::from_label(&name).unwrap_or_default());
                    redraw.request_frame();
                }),
            )
            Choice(
                id="theme", label="Theme", choices=themes.into(),
                chosen=dom::text(move || board.theme.get().name().to_owned()),
                choose=Box::new(move |name| board.theme.set(Theme::from_name(&name).unwrap_or(Theme::Auto))),
            )
        }
    }
}

/// A labelled list to choose one of.
#[component(inline_props)]
fn Choice(
    id: &'static str,
    label: &'static str,
    choices: Vec<(String, String)>,
    chosen: ReadSignal<String>,
    choose: Box<dyn Fn(String)>,
) -> View {
    let options = choices.into_iter().map(|(name, text)| {
        let value = name.clone();
        let is_chosen = dom::flag(move || chosen.with(|chosen| *chosen == name));
        view! { option(value=value, selected=is_chosen) { (text) } }
    });
    let options: Vec<View> = options.collect();
    view! {
        label(class="choice") {
            span(class="choice-label") { (label) }
            select(id=id, on:change=move |event: web_sys::Event| choose(value(&event))) { (options) }
        }
    }
}

fn value(event: &web_sys::Event) -> String {
    let target = event.target();
    let input =
        target.as_ref().and_then(|target| target.dyn_ref::<HtmlInputElement>()).map(HtmlInputElement::value);
    let select = target
        .as_ref()
        .and_then(|target| target.dyn_ref::<HtmlSelectElement>())
        .map(HtmlSelectElement::value);
    input.or(select).unwrap_or_default()
}

/// Whether keys are text at the moment.
fn is_typing() -> bool {
    let focused = document().active_element();
    focused.is_some_and(|element| matches!(&*element.tag_name(), "INPUT" | "TEXTAREA" | "SELECT"))
}
