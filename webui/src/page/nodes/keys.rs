//! The table by keyboard: arrows, page keys, Home and End move the focus from row to row, Enter opens.

use std::rc::Rc;

use web_sys::KeyboardEvent;

use crate::page::board::Board;
use crate::page::dom;
use crate::page::engine::Engine;

use super::table::{Table, open};

/// Hears keys while a row has the focus.
pub(super) fn listen(table: &Rc<Table>, board: Board, engine: &Rc<Engine>) {
    let (body, table, engine) = (table.body().clone(), Rc::clone(table), Rc::clone(engine));
    dom::listen(&body, "keydown", move |event: KeyboardEvent| {
        use wasm_bindgen::JsCast;
        let element = event.target().and_then(|target| target.dyn_into().ok());
        let Some(position) = table.position_at(element) else { return };
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if !is_plain {
            return;
        }
        if matches!(&*event.key(), "Enter" | " ") {
            event.prevent_default();
            open(&engine, board, position);
        } else if let Some(next) = next(&event.key(), position, table.len(), table.page_len()) {
            event.prevent_default();
            table.set_tab_position(next);
            table.scroll_to(next);
            // The row must stand there before it can take the focus.
            engine.draw_now();
            table.focus_position(next);
        }
    });
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
