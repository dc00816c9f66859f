//! Rows of a list that is rewritten each second: elements made once from a piece of HTML, and their texts.

use wasm_bindgen::JsCast;
use web_sys::{EventTarget, HtmlElement, Node};

use crate::fragments::{self, RowTemplate};

use super::dom::{self, document};

/// The rows of a list. A row under the pointer or with the focus keeps its element.
pub(super) struct Pool {
    list: HtmlElement,
    template: RowTemplate,
    rows: Vec<PoolRow>,
}

struct PoolRow {
    element: HtmlElement,
    texts: Vec<HtmlElement>,
    shown: Vec<String>,
}

impl Pool {
    pub(super) fn new(list: HtmlElement, template: RowTemplate) -> Self {
        Self { list, template, rows: Vec::new() }
    }

    /// Writes one row for each line, and hides those that are left. The first text is also the row's title,
    /// in case it is cut off.
    pub(super) fn write(&mut self, lines: Vec<Vec<String>>) {
        while self.rows.len() < lines.len() {
            self.rows.push(PoolRow::new(&self.list, self.template));
        }
        let mut lines = lines.into_iter();
        for row in &mut self.rows {
            row.write(lines.next());
        }
    }

    /// The row's element.
    pub(super) fn element(&self, at: usize) -> Option<&HtmlElement> {
        Some(&self.rows.get(at)?.element)
    }

    /// The number of the row that holds this element.
    pub(super) fn position_of(&self, target: &EventTarget) -> Option<usize> {
        let target: &Node = target.dyn_ref()?;
        self.rows.iter().position(|row| row.element.contains(Some(target)))
    }

    /// Whether somebody is at the list: its order must stand still.
    pub(super) fn is_held(&self) -> bool {
        let focused = document().active_element();
        self.list.matches(":hover").unwrap_or(false)
            || focused.is_some_and(|focused| self.list.contains(Some(&focused)))
    }
}

impl PoolRow {
    fn new(list: &HtmlElement, template: RowTemplate) -> Self {
        let element = fragments::append(list, template.html);
        let mut texts = Vec::with_capacity(template.texts);
        // The row may be its own text.
        if element.class_name() == "text" {
            texts.push(element.clone());
        }
        let inside = element.get_elements_by_class_name("text");
        for at in 0..inside.length() {
            texts.extend(inside.item(at).map(JsCast::unchecked_into::<HtmlElement>));
        }
        Self { element, texts, shown: Vec::new() }
    }

    fn write(&mut self, line: Option<Vec<String>>) {
        let Some(line) = line else {
            self.element.set_hidden(true);
            return;
        };
        for (at, (element, text)) in self.texts.iter().zip(&line).enumerate() {
            if self.shown.get(at) != Some(text) {
                element.set_text_content(Some(text));
                if at == 0 {
                    dom::set_attribute(element, "title", Some(text));
                }
            }
        }
        self.element.set_hidden(false);
        self.shown = line;
    }
}
