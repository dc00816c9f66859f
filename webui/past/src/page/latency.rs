//! The part of a node's details that is about its round trips.

use std::cell::RefCell;
use std::rc::Rc;

use tidemap_parts::encoding::path_segment;
use tidemap_parts::fetch;
use web_sys::{HtmlElement, XmlHttpRequestResponseType};

use crate::latency::{HEIGHT, Strips};

use super::dom;

/// Agents report once a minute on the minute before.
const ASK_MS: i32 = 10_000;
/// So many nodes' minutes are kept, those that were opened last.
const MOST_NODES: usize = 20;

pub(super) struct Latency {
    section: HtmlElement,
    node: RefCell<Option<String>>,
    /// The one that was opened last is the last.
    known: RefCell<Vec<(String, Strips)>>,
}

impl Latency {
    pub(super) fn new() -> Rc<Self> {
        let section = dom::create("<section class=drawer-section id=latency><h3></h3></section>");
        let latency = Rc::new(Self { section, node: RefCell::default(), known: RefCell::default() });
        let asking = Rc::clone(&latency);
        dom::every(ASK_MS, move || asking.ask());
        let resized = Rc::clone(&latency);
        dom::on_resize(&latency.section, move || resized.draw());
        latency
    }

    /// A node's details are open, or none are.
    pub(super) fn follow(self: &Rc<Self>, node: Option<String>) {
        if *self.node.borrow() == node {
            return;
        }
        self.node.replace(node.clone());
        if let Some(node) = node {
            let mut known = self.known.borrow_mut();
            let at = known.iter().position(|(name, _)| *name == node);
            let entry = at.map_or_else(|| (node, Strips::default()), |at| known.remove(at));
            known.push(entry);
            if known.len() > MOST_NODES {
                known.remove(0);
            }
        }
        self.draw();
        self.ask();
    }

    fn ask(self: &Rc<Self>) {
        let Some(node) = self.node.borrow().clone() else { return };
        if dom::is_resting() {
            // What nobody hears grows old.
            return self.draw();
        }
        let latency = Rc::clone(self);
        let url = ["api/nodes/", &path_segment(&node)].concat();
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            let mut known = latency.known.borrow_mut();
            if let Some((_, strips)) =
                known.iter_mut().find(|(name, _)| answer.status == 200 && *name == node)
            {
                // What cannot be read says nothing; the next answer may.
                let _heard = strips.hear(&answer.body, dom::now_ms());
            }
            drop(known);
            latency.draw();
        });
    }

    fn draw(&self) {
        let known = self.known.borrow();
        let node = self.node.borrow();
        let strips = known.last().filter(|(name, _)| node.as_ref() == Some(name)).map(|(_, strips)| strips);
        let Some(strips) = strips.filter(|strips| !strips.of.is_empty()) else {
            return self.section.remove();
        };
        if !self.section.is_connected()
            && let Some(interfaces) = dom::by_id("detail-interfaces")
        {
            let _added = interfaces.before_with_node_1(&self.section);
        }
        let now_ms = dom::now_ms();
        dom::write(
            &dom::find(&self.section, "h3"),
            &["Latency, ", &strips.span(now_ms, &dom::zone)].concat(),
        );
        while self.section.child_element_count() > 1 + strips.of.len() as u32 {
            if let Some(last) = self.section.last_element_child() {
                last.remove();
            }
        }
        while self.section.child_element_count() < 1 + strips.of.len() as u32 {
            let line = dom::create(include_str!("../html/trip.html"));
            let _added = self.section.append_with_node_1(&line);
        }
        let width = i64::from(self.section.client_width().max(200));
        for (at, strip) in strips.of.iter().enumerate() {
            let Some(line) = self.section.children().item(1 + at as u32) else { continue };
            dom::write(&dom::find(&line, ".trip-target"), &strip.target);
            dom::write(&dom::find(&line, ".trip-words"), &strips.words(strip, now_ms, &dom::zone));
            let svg = dom::find(&line, "svg");
            let view_box = ["0 0 ", &width.to_string(), " ", &HEIGHT.to_string()].concat();
            dom::set_attribute(&svg, "viewBox", &view_box);
            svg.set_inner_html(&strips.drawing(strip, width));
        }
    }
}
