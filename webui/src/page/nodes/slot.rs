//! One element of the pool. Only what has changed is written.

use std::rc::Rc;

use web_sys::{Element, HtmlElement};

use crate::fragments::NodeRow;
use crate::page::dom;
use crate::row::Row;

/// One element of the pool and what it shows; nothing while it rests.
pub(super) struct Slot {
    parts: NodeRow,
    row: Option<Row>,
}

impl Slot {
    /// Adds an element to the table's body.
    pub(super) fn new(body: &HtmlElement) -> Self {
        Self { parts: NodeRow::append(body), row: None }
    }

    pub(super) fn show(&mut self, row: Option<Row>) {
        if self.row != row {
            write(&self.parts, self.row.as_ref(), row.as_ref());
            self.row = row;
        }
    }

    pub(super) fn element(&self) -> &HtmlElement {
        &self.parts.root
    }

    pub(super) fn name(&self) -> Option<Rc<str>> {
        self.row.as_ref().map(|row| Rc::clone(&row.name))
    }

    pub(super) fn position(&self) -> Option<usize> {
        self.row.as_ref().map(|row| row.position)
    }
}

fn write(parts: &NodeRow, before: Option<&Row>, now: Option<&Row>) {
    let Some(now) = now else {
        parts.root.set_hidden(true);
        dom::set_attribute(&parts.root, "data-node", None);
        return;
    };
    let differs = |part: fn(&Row, &Row) -> bool| before.is_none_or(|before| part(before, now));
    if before.is_none() {
        parts.root.set_hidden(false);
    }
    if differs(|a, b| a.position != b.position) {
        write_position(parts, now.position);
    }
    if differs(|a, b| a.name != b.name) {
        dom::set_attribute(&parts.root, "data-node", Some(&now.name));
    }
    if differs(|a, b| a.title != b.title) {
        write_titled(&parts.name, &now.title);
    }
    if differs(|a, b| a.place != b.place) {
        write_titled(&parts.place, now.place.as_deref().unwrap_or(""));
    }
    if differs(|a, b| a.status != b.status || a.age != b.age) {
        write_status(parts, now);
    }
    if differs(|a, b| a.download != b.download) {
        parts.download.set_text_content(Some(&now.download));
    }
    if differs(|a, b| a.upload != b.upload) {
        parts.upload.set_text_content(Some(&now.upload));
    }
    if differs(|a, b| a.trend != b.trend) {
        dom::set_attribute(&parts.trend, "d", Some(&now.trend));
    }
    if differs(|a, b| a.is_selected != b.is_selected) {
        let is_selected = if now.is_selected { "true" } else { "false" };
        dom::set_attribute(&parts.root, "aria-selected", Some(is_selected));
    }
    if differs(|a, b| a.is_tab_stop != b.is_tab_stop) {
        parts.root.set_tab_index(if now.is_tab_stop { 0 } else { -1 });
    }
}

fn write_position(parts: &NodeRow, position: usize) {
    // The heading is row 1.
    dom::set_attribute(&parts.root, "aria-rowindex", Some(&(position + 2).to_string()));
    dom::set_style(&parts.root, "--at", &position.to_string());
}

fn write_status(parts: &NodeRow, now: &Row) {
    let status = now.status.as_str();
    dom::set_attribute(&parts.root, "data-status", Some(status));
    dom::set_attribute(&parts.sign, "data-status", Some(status));
    parts.status.set_text_content(Some(status));
    // Coarse, so that it seldom changes; exact where the pointer rests on it.
    let [coarse, exact] = [0, 1].map(|at| now.age.as_ref().map(|age| [&age[at], " ago"].concat()));
    parts.age.set_text_content(coarse.as_deref());
    dom::set_attribute(&parts.age, "title", exact.as_deref());
}

/// Writes a text that may be cut off, and in full where the pointer rests on it.
fn write_titled(element: &Element, text: &str) {
    element.set_text_content(Some(text));
    dom::set_attribute(element, "title", Some(text));
}
