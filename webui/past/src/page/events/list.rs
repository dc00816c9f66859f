//! A list of alerts. A line stays the same element for as long as its alert is listed, so that the focus and
//! what a reader has marked stay where they are.

use std::cell::RefCell;

use web_sys::HtmlElement;

use crate::events::{Finding, Line, Sign};
use crate::page::dom;

pub(super) struct List {
    list: HtmlElement,
    items: RefCell<Vec<Item>>,
}

struct Item {
    id: String,
    node: Option<String>,
    root: HtmlElement,
    line: Option<Line>,
}

impl List {
    pub(super) fn new(list: HtmlElement) -> Self {
        Self { list, items: RefCell::default() }
    }

    pub(super) fn write(&self, findings: &[Finding], line: impl Fn(&Finding) -> Line) {
        let mut items = self.items.borrow_mut();
        let mut left: Vec<Option<Item>> = items.drain(..).map(Some).collect();
        let mut kept: Vec<Item> = Vec::with_capacity(findings.len());
        // Most keep their order, so the next one is mostly found at once.
        let mut at = 0;
        for finding in findings {
            let found = (0..left.len())
                .map(|step| (at + step) % left.len())
                .find(|place| left[*place].as_ref().is_some_and(|item| item.id == finding.id));
            let item = found.and_then(|place| {
                at = place + 1;
                left[place].take()
            });
            kept.push(item.unwrap_or_else(|| Item::new(finding)));
        }
        for item in left.into_iter().flatten() {
            item.root.remove();
        }
        let mut next = self.list.first_element_child();
        for (item, finding) in kept.iter_mut().zip(findings) {
            if next.as_ref() == Some(&item.root) {
                next = item.root.next_element_sibling();
            } else {
                let _added = self.list.insert_before(&item.root, next.as_deref());
            }
            item.write(line(finding));
        }
        *items = kept;
    }

    /// Gives the focus to the line of a node, if it is listed.
    pub(super) fn focus(&self, node: &str) -> bool {
        let items = self.items.borrow();
        let item = items.iter().find(|item| item.node.as_deref() == Some(node));
        item.is_some_and(|item| dom::find(&item.root, "a").focus().is_ok())
    }
}

impl Item {
    fn new(finding: &Finding) -> Self {
        let root = dom::create(include_str!("../../html/event.html"));
        Self { id: finding.id.clone(), node: finding.node(), root, line: None }
    }

    fn write(&mut self, line: Line) {
        if self.line.as_ref() == Some(&line) {
            return;
        }
        let part = |selector: &str| dom::find(&self.root, selector);
        dom::set_attribute(&self.root, "data-sign", line.sign.name());
        dom::set_attribute(&part("path"), "d", shape(line.sign));
        dom::write(&part(".unseen"), line.sign.meaning());
        let name = part(".event-name");
        dom::write(&name, &line.name);
        // Without an address it is no link, and no place for the focus.
        match &line.query {
            Some(query) => dom::set_attribute(&name, "href", query),
            None => dom::remove_attribute(&name, "href"),
        }
        dom::write(&part(".event-summary"), &line.summary);
        let when = part(".event-when");
        dom::write(&when, &line.when);
        dom::set_attribute(&when, "title", &line.exact);
        dom::write(&part(".event-notes"), &line.notes);
        self.line = Some(line);
    }
}

/// A shape for each, because colours alone say nothing to some.
fn shape(sign: Sign) -> &'static str {
    match sign {
        Sign::Critical => "M8 1.5L14.5 8L8 14.5L1.5 8z",
        Sign::Warning => "M8 2.5L14.5 13.5H1.5z",
        Sign::Info => "M13 8A5 5 0 1 1 3 8a5 5 0 0 1 10 0z",
        Sign::Over => "M3 8.5L6.5 12L13 4.5",
    }
}
