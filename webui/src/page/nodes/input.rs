//! What people do to the rows: a click or Enter opens one; arrows, page keys, Home and End move the focus.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{Element, Event, KeyboardEvent, PointerEvent};

use crate::fragments::Nodes;
use crate::page::dom;
use crate::page::redraw::Redraw;
use crate::page::state::SelectionState;

use super::table::Table;

pub(super) fn listen(table: &Rc<Table>, region: &Nodes, selection: SelectionState, redraw: &Redraw) {
    for (event, is_inside) in [("pointerenter", true), ("pointerleave", false)] {
        let table = Rc::clone(table);
        dom::listen(&region.scroller, event, move |_: PointerEvent| table.set_pointer_inside(is_inside));
    }
    let clicked = Rc::clone(table);
    dom::listen(&region.body, "click", move |event: Event| {
        if let Some(position) = position(&clicked, &event) {
            clicked.set_tab_position(position);
            open(&clicked, selection, position);
        }
    });
    let (table, redraw) = (Rc::clone(table), redraw.clone());
    dom::listen(&region.body, "keydown", move |event: KeyboardEvent| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        let Some(position) = position(&table, &event).filter(|_| is_plain) else { return };
        if matches!(&*event.key(), "Enter" | " ") {
            event.prevent_default();
            open(&table, selection, position);
        } else if let Some(next) = next(&event.key(), position, table.len(), table.page_len()) {
            event.prevent_default();
            table.set_tab_position(next);
            table.scroll_to(next);
            // The row must stand there before it can take the focus.
            redraw.now();
            table.focus_position(next);
        }
    });
}

/// The position of the row that the event is about.
fn position(table: &Table, event: &Event) -> Option<usize> {
    table.position_at(&event.target()?.dyn_into::<Element>().ok()?)
}

fn open(table: &Table, selection: SelectionState, position: usize) {
    if let Some(name) = table.name_at(position) {
        selection.open(name);
    }
}

/// The position that a key leads to from `position`.
fn next(key: &str, position: usize, len: usize, page: usize) -> Option<usize> {
    let last = len.checked_sub(1)?;
    match key {
        "ArrowDown" => Some(position + 1),
        "ArrowUp" => Some(position.saturating_sub(1)),
        "PageDown" => Some(position + page),
        "PageUp" => Some(position.saturating_sub(page)),
        "Home" => Some(0),
        "End" => Some(last),
        _ => None,
    }
    .map(|next| next.min(last))
}
