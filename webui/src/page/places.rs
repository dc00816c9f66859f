//! Keeps the address bar and the board in step.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsValue;

use crate::address::Address;

use super::board::{Board, set_changed};
use super::dom;
use super::engine::Engine;

/// What the address bar says now.
pub(super) fn read() -> Address {
    Address::parse(&window().location().search().unwrap_or_default())
}

/// Writes what changes on the board into the address bar, and back when somebody goes back.
pub(super) fn follow(board: Board, engine: &Rc<Engine>) {
    let mut was_open = board.open.get_clone_untracked().is_some();
    create_effect(move || {
        let address = Address {
            node: board.open.get_clone().map(|name| name.to_string()),
            filter: board.filter.get_clone(),
            sort: board.sort.get(),
            summary: board.is_summary.get(),
            by: board.by.get_clone(),
            unit: board.unit.get(),
            debug: board.debug,
        };
        // Opening details is a step that "back" undoes; typing a search is not.
        let is_step = address.node.is_some() && !was_open;
        was_open = address.node.is_some();
        write(&address.query(), is_step);
    });

    let engine = Rc::clone(engine);
    dom::listen(&window(), "popstate", move |_: web_sys::Event| {
        let address = read();
        batch(|| {
            match address.node.as_deref() {
                Some(node) if board.open.get_clone().as_deref() != Some(node) => board.open(Rc::from(node)),
                Some(_) => {}
                None => set_changed(board.open, None),
            }
            set_changed(board.filter, address.filter);
            set_changed(board.sort, address.sort);
            set_changed(board.is_summary, address.summary);
            set_changed(board.by, address.by);
            set_changed(board.unit, address.unit);
        });
        engine.request_frame();
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
    // Browsers refuse when a script writes too often; the next change brings the address up to date.
    let _written = if is_step {
        history.push_state_with_url(&JsValue::NULL, "", Some(&url))
    } else {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&url))
    };
}
