//! Tables that are written again while somebody reads them: what stays keeps its elements, and with them the
//! focus and the place to which the reader has scrolled.

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::dom;

/// What tells a row from the others of its table.
const KEY: &str = "data-key";

/// An empty body of a table that is not in the page, to be filled and handed to [`renew`].
pub(super) fn body() -> HtmlElement {
    let table = dom::create("<table><tbody></tbody></table>");
    dom::find(&table, "tbody")
}

/// Adds a row with its key.
pub(super) fn append(body: &HtmlElement, key: &str) -> HtmlElement {
    let row = dom::append(body, "tr", "", "");
    dom::set_attribute(&row, KEY, key);
    row
}

/// Makes the body of a table that is in the page like a fresh one.
pub(super) fn renew(shown: &HtmlElement, fresh: &HtmlElement) {
    let focused = dom::document().active_element().filter(|focused| shown.contains(Some(focused)));
    let scroller = shown.closest("[tabindex]").ok().flatten();
    let scrolled = scroller.as_ref().map_or(0, Element::scroll_top);
    let (before, rows) = (children(shown), children(fresh));
    let count = rows.len();
    for (at, row) in rows.into_iter().enumerate() {
        let key = row.get_attribute(KEY);
        let known = before.iter().find(|known| known.get_attribute(KEY) == key);
        if let Some(known) = known {
            liken(known, &row);
        }
        let row = known.unwrap_or(&row);
        let there = shown.children().item(at as u32);
        if there.as_ref() != Some(row) {
            let _placed = shown.insert_before(row, there.as_ref().map(AsRef::as_ref));
        }
    }
    for surplus in children(shown).into_iter().skip(count) {
        surplus.remove();
    }
    // A row that was moved has lost the focus.
    let lost = focused.filter(|focused| dom::document().active_element().as_ref() != Some(focused));
    if let Some(focused) = lost.filter(|focused| focused.is_connected()) {
        let _focused = focused.unchecked_ref::<HtmlElement>().focus();
    }
    if let Some(scroller) = scroller.filter(|scroller| scroller.scroll_top() != scrolled) {
        scroller.set_scroll_top(scrolled);
    }
}

/// Takes over the cells that say something else. A link that has the focus is the same before and after.
fn liken(shown: &Element, fresh: &Element) {
    for (cell, other) in children(shown).into_iter().zip(children(fresh)) {
        if cell.outer_html() != other.outer_html() {
            let _replaced = cell.replace_with_with_node_1(&other);
        }
    }
}

fn children(of: &Element) -> Vec<Element> {
    let all = of.children();
    (0..all.length()).filter_map(|at| all.item(at)).collect()
}
