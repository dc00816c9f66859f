//! The bar at the top: search, the state of the stream, and how things are shown.

use sycamore::prelude::{View, component};
use sycamore::reactive::{create_effect, create_signal, use_context};
use tidemap_format::Unit;
use web_sys::{HtmlSelectElement, KeyboardEvent};

use crate::fragments::Header;
use crate::pace::Pace;
use crate::theme::Theme;

use super::dom::{self, document};
use super::html;
use super::state::{DisplayState, ListState, LiveState};

const PLAY: &str = "M5 3l7.5 5L5 13z";
const PAUSE: &str = "M5.5 3.5v9M10.5 3.5v9";

#[component]
pub(super) fn Header() -> View {
    let (live, list, display): (LiveState, ListState, DisplayState) =
        (use_context(), use_context(), use_context());
    let bar = Header::create();
    html::attribute(&bar.connection, "data-connection", move || live.chip.with(|chip| chip.kind.to_owned()));
    html::text(&bar.connection_text, move || live.chip.with(|chip| chip.text.clone()));
    search(&bar, list);
    pause(&bar, display);
    settings(&bar, display);
    html::view(&bar.root)
}

fn search(bar: &Header, list: ListState) {
    let input = bar.search.clone();
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if event.key() == "/" && is_plain && !is_typing() {
            event.prevent_default();
            list.show_table();
            dom::focus(&input);
        } else if event.key() == "Escape" && document().active_element().as_ref() == Some(&input) {
            list.filter.update(|filter| filter.query.clear());
        }
    });
    dom::listen(&bar.search, "input", move |event: web_sys::Event| {
        list.filter.update(|filter| filter.query = dom::value(&event));
        list.leave_view();
    });
    let input = bar.search.clone();
    create_effect(move || {
        let query = list.filter.with(|filter| filter.query.clone());
        // Writing what stands there already would move the caret.
        if input.value() != query {
            input.set_value(&query);
        }
    });
}

fn pause(bar: &Header, display: DisplayState) {
    html::truth(&bar.pause, "data-on", move || display.is_paused());
    html::attribute(&bar.pause_sign, "d", move || if display.is_paused() { PLAY } else { PAUSE }.to_owned());
    html::text(&bar.pause_text, move || if display.is_paused() { "Resume" } else { "Pause" }.to_owned());
    dom::on_click(&bar.pause, move || {
        let chosen = Pace::Every(display.every.get_untracked());
        display.pace.set(if display.pace.get_untracked() == Pace::Paused { chosen } else { Pace::Paused });
    });
}

fn settings(bar: &Header, display: DisplayState) {
    let is_open = create_signal(false);
    html::truth(&bar.settings_toggle, "aria-expanded", move || is_open.get());
    html::truth(&bar.settings, "data-open", move || is_open.get());
    dom::on_click(&bar.settings_toggle, move || is_open.set(!is_open.get_untracked()));
    choice(
        &bar.pace,
        move || display.every.get().to_string(),
        move |value| {
            display.every.set(value.parse().unwrap_or(1));
            // A paused page stays so: the choice is for when it goes on.
            if display.pace.get_untracked() != Pace::Paused {
                display.pace.set(Pace::Every(display.every.get_untracked()));
            }
        },
    );
    choice(
        &bar.unit,
        move || display.unit.get().label().to_owned(),
        move |value| display.unit.set(Unit::from_label(value).unwrap_or_default()),
    );
    choice(
        &bar.theme,
        move || display.theme.get().name().to_owned(),
        move |value| display.theme.set(Theme::from_name(value).unwrap_or_default()),
    );
}

/// Keeps what a list shows, and takes what the reader chooses.
fn choice(select: &HtmlSelectElement, shown: impl Fn() -> String + 'static, chosen: impl Fn(&str) + 'static) {
    dom::listen(select, "change", move |event: web_sys::Event| chosen(&dom::value(&event)));
    let select = select.clone();
    create_effect(move || select.set_value(&shown()));
}

/// Whether keys are text at the moment.
fn is_typing() -> bool {
    let focused = document().active_element();
    focused.is_some_and(|element| matches!(&*element.tag_name(), "INPUT" | "TEXTAREA" | "SELECT"))
}
