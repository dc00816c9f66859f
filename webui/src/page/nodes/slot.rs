//! One element of the pool. It is written by a single effect that touches only what has changed.

use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use crate::page::board::set_changed;
use crate::page::dom;
use crate::page::html;
use crate::row::{Row, TREND_SIZE};

/// A row, up to the size of its small line's box.
const ROW: &str = "<tr role=row class='grid-row grid-node' hidden>\
    <td role=gridcell class='cell cell-status' data-cell=status><span class=status-sign aria-hidden=true></span>\
    <span class=unseen></span></td><td role=gridcell class='cell cell-name' data-cell=name></td>\
    <td role=gridcell class='cell cell-place' data-cell=place></td><td role=gridcell class='cell cell-rate live' data-cell=rx></td>\
    <td role=gridcell class='cell cell-rate live' data-cell=tx></td><td role=gridcell class='cell cell-trend' data-cell=trend>\
    <span class=age></span><svg class=trend preserveAspectRatio=none aria-hidden=true viewBox='";
const ROW_END: &str = "'><path /></svg></td></tr>";

/// One element of the pool and what it shows; nothing while it rests.
#[derive(Clone)]
pub(super) struct Slot {
    row: Signal<Option<Row>>,
    element: HtmlElement,
}

/// The parts of a row that change.
struct Parts {
    row: HtmlElement,
    sign: Element,
    status: Element,
    name: Element,
    place: Element,
    download: Element,
    upload: Element,
    age: Element,
    trend: Element,
}

impl Slot {
    /// Adds an element to the table's body.
    pub(super) fn new(body: &HtmlElement) -> Option<Self> {
        let row = create_signal(None);
        let parts = Parts::new(body)?;
        let element = parts.row.clone();
        let mut before: Option<Row> = None;
        create_effect(move || {
            let now = row.get_clone();
            parts.write(before.as_ref(), now.as_ref());
            before = now;
        });
        Some(Self { row, element })
    }

    pub(super) fn show(&self, row: Option<Row>) {
        set_changed(self.row, row);
    }

    pub(super) fn element(&self) -> &HtmlElement {
        &self.element
    }

    pub(super) fn name(&self) -> Option<Rc<str>> {
        self.row.with_untracked(|row| row.as_ref().map(|row| Rc::clone(&row.name)))
    }

    pub(super) fn position(&self) -> Option<usize> {
        self.row.with_untracked(|row| row.as_ref().map(|row| row.position))
    }
}

impl Parts {
    fn new(body: &HtmlElement) -> Option<Self> {
        let (width, height) = (TREND_SIZE.0.to_string(), TREND_SIZE.1.to_string());
        body.insert_adjacent_html("beforeend", &[ROW, "0 0 ", &width, " ", &height, ROW_END].concat())
            .ok()?;
        let row: HtmlElement = body.last_element_child()?.dyn_into().ok()?;
        let part = |selector| html::find(&row, selector);
        Some(Self {
            sign: part(".status-sign")?,
            status: part(".unseen")?,
            name: part(".cell-name")?,
            place: part(".cell-place")?,
            download: part("[data-cell=rx]")?,
            upload: part("[data-cell=tx]")?,
            age: part(".age")?,
            trend: part("path")?,
            row,
        })
    }

    fn write(&self, before: Option<&Row>, now: Option<&Row>) {
        let Some(now) = now else {
            self.row.set_hidden(true);
            dom::set_attribute(&self.row, "data-node", None);
            return;
        };
        let differs = |part: fn(&Row, &Row) -> bool| before.is_none_or(|before| part(before, now));
        if before.is_none() {
            self.row.set_hidden(false);
        }
        if differs(|a, b| a.position != b.position) {
            self.write_position(now.position);
        }
        if differs(|a, b| a.name != b.name) {
            dom::set_attribute(&self.row, "data-node", Some(&now.name));
            titled(&self.name, &now.name);
        }
        if differs(|a, b| a.place != b.place) {
            titled(&self.place, now.place.as_deref().unwrap_or(""));
        }
        if differs(|a, b| a.status != b.status || a.age != b.age) {
            self.write_status(now);
        }
        if differs(|a, b| a.download != b.download) {
            self.download.set_text_content(Some(&now.download));
        }
        if differs(|a, b| a.upload != b.upload) {
            self.upload.set_text_content(Some(&now.upload));
        }
        if differs(|a, b| a.trend != b.trend) {
            dom::set_attribute(&self.trend, "d", Some(&now.trend));
        }
        if differs(|a, b| a.is_selected != b.is_selected) {
            dom::set_attribute(
                &self.row,
                "aria-selected",
                Some(if now.is_selected { "true" } else { "false" }),
            );
        }
        if differs(|a, b| a.is_tab_stop != b.is_tab_stop) {
            self.row.set_tab_index(if now.is_tab_stop { 0 } else { -1 });
        }
    }

    fn write_position(&self, position: usize) {
        // The heading is row 1.
        dom::set_attribute(&self.row, "aria-rowindex", Some(&(position + 2).to_string()));
        dom::set_style(&self.row, "--at", &position.to_string());
    }

    fn write_status(&self, now: &Row) {
        let status = now.status.as_str();
        dom::set_attribute(&self.row, "data-status", Some(status));
        dom::set_attribute(&self.sign, "data-status", Some(status));
        self.status.set_text_content(Some(status));
        // Coarse, so that it seldom changes; exact where the pointer rests on it.
        let [coarse, exact] = [0, 1].map(|at| now.age.as_ref().map(|age| [&age[at], " ago"].concat()));
        self.age.set_text_content(coarse.as_deref());
        dom::set_attribute(&self.age, "title", exact.as_deref());
    }
}

/// Writes a text that may be cut off, and in full where the pointer rests on it.
fn titled(element: &Element, text: &str) {
    element.set_text_content(Some(text));
    dom::set_attribute(element, "title", Some(text));
}
