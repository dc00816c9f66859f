//! Keeps the address bar and the page's state synchronised.

use std::rc::Rc;

use sycamore::reactive::{batch, create_effect};
use wasm_bindgen::JsValue;

use crate::address::Address;

use super::dom::{self, window};
use super::link::show_past;
use super::state::{AppState, set_changed};

/// The present content of the address bar.
pub(super) fn read() -> Address {
    Address::parse(&window().location().search().unwrap_or_default())
}

/// Writes changes of the state into the address bar, and applies the address when the reader goes back.
pub(super) fn follow(AppState { list, selection, display, .. }: AppState) {
    let mut was_open = selection.open.with_untracked(Option::is_some);
    create_effect(move || {
        let address = Address {
            node: selection.open.get_clone().map(|name| name.to_string()),
            filter: list.filter.get_clone(),
            sort: list.sort.get(),
            view: list.instead.get_clone(),
            by: list.by.get_clone(),
            time: display.time.get_clone(),
            unit: display.unit.get(),
            debug: display.figures.is_some(),
        };
        // Opening details adds an entry to the history, typing a search does not.
        let is_step = address.node.is_some() && !was_open;
        was_open = address.node.is_some();
        let query = address.query();
        write(&query, is_step);
        show_past(&query);
    });

    dom::listen(&window(), "popstate", move |_: web_sys::Event| {
        let address = read();
        batch(|| {
            match address.node.as_deref() {
                Some(node) if selection.open.get_clone().as_deref() != Some(node) => {
                    selection.open(Rc::from(node));
                }
                Some(_) => {}
                None => set_changed(selection.open, None),
            }
            set_changed(list.filter, address.filter);
            set_changed(list.sort, address.sort);
            set_changed(list.instead, address.view);
            set_changed(list.by, address.by);
            set_changed(display.time, address.time);
            set_changed(display.unit, address.unit);
        });
    });
}

fn write(query: &str, is_step: bool) {
    let (Ok(history), Ok(search), Ok(path)) =
        (window().history(), window().location().search(), window().location().pathname())
    else {
        return;
    };
    if search == query {
        return;
    }
    let url = path + query;
    // Browsers refuse when a script writes too often; the next change updates the address.
    let _written = if is_step {
        history.push_state_with_url(&JsValue::NULL, "", Some(&url))
    } else {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&url))
    };
}
