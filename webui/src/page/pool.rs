//! Rows of a list that is written anew each second: elements made once from a piece of HTML, and their texts.

use sycamore::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::dom;

/// The rows of a list. Whoever points at one, or has it focused, keeps the element.
pub(super) struct Pool {
    list: HtmlElement,
    html: &'static str,
    rows: Vec<Row>,
}

struct Row {
    element: HtmlElement,
    texts: Vec<HtmlElement>,
    shown: Vec<String>,
}

impl Pool {
    /// Rows for this list, each made from `html`, where elements of the class `text` stand for texts, which may be the row itself. It holds no word
    /// of anybody else's.
    pub(super) fn new(list: HtmlElement, html: &'static str) -> Self {
        Self { list, html, rows: Vec::new() }
    }

    /// Writes one row for each line, and hides those that are left. The first text is also the row's title, in case it
    /// is cut off.
    pub(super) fn write(&mut self, lines: Vec<Vec<String>>) {
        while self.rows.len() < lines.len() {
            let Some(row) = Row::new(&self.list, self.html) else { return };
            self.rows.push(row);
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
    pub(super) fn position_of(&self, target: &web_sys::EventTarget) -> Option<usize> {
        let target: &web_sys::Node = target.dyn_ref()?;
        self.rows.iter().position(|row| row.element.contains(Some(target)))
    }

    /// Whether somebody is at the list: its order must stand still.
    pub(super) fn is_held(&self) -> bool {
        let is_focused = || Some(self.list.contains(Some(document().active_element()?.as_ref())));
        self.list.matches(":hover").unwrap_or(false) || is_focused().unwrap_or(false)
    }
}

impl Row {
    fn new(list: &HtmlElement, html: &'static str) -> Option<Self> {
        list.insert_adjacent_html("beforeend", html).ok()?;
        let element: HtmlElement = list.last_element_child()?.dyn_into().ok()?;
        let found = element.get_elements_by_class_name("text");
        let itself = (element.class_name() == "text").then(|| element.clone());
        let inside = (0..found.length()).filter_map(|at| found.item(at)?.dyn_into().ok());
        let texts = itself.into_iter().chain(inside).collect();
        Some(Self { element, texts, shown: Vec::new() })
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
