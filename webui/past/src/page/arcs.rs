//! Arcs on the map from the open node to those it measures round trips with.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_parts::encoding::encoded;
use tidemap_parts::fetch;
use web_sys::{HtmlElement, XmlHttpRequestResponseType};

use crate::arcs::{self, Connection, MapWindow};

use super::dom;

/// Agents report their probes once a minute.
const REFRESH_MS: i32 = 60_000;
/// Where the map says what it shows, whenever it is painted again.
const VIEW: &str = "data-view-px";

pub(super) struct Arcs {
    drawing: HtmlElement,
    /// Who probes the node, in the details.
    line: HtmlElement,
    node: RefCell<Option<String>>,
    connections: RefCell<Vec<Connection>>,
    is_watching: Cell<bool>,
}

impl Arcs {
    pub(super) fn new() -> Rc<Self> {
        let arcs = Rc::new(Self {
            drawing: dom::create(
                "<div class=map-arcs aria-hidden=true><svg><path class=map-arc /></svg></div>",
            ),
            line: dom::create("<p class=drawer-word id=probed-by></p>"),
            node: RefCell::default(),
            connections: RefCell::default(),
            is_watching: Cell::new(false),
        });
        let refreshed = Rc::clone(&arcs);
        dom::every(REFRESH_MS, move || {
            if !dom::is_resting() {
                refreshed.ask();
            }
        });
        arcs
    }

    /// A node's details are open, or none are.
    pub(super) fn follow(self: &Rc<Self>, node: Option<String>) {
        if *self.node.borrow() != node {
            self.node.replace(node);
            self.connections.take();
            self.draw();
            self.ask();
        }
    }

    fn ask(self: &Rc<Self>) {
        let Some(node) = self.node.borrow().clone() else { return };
        let arcs = Rc::clone(self);
        let url = ["api/connections?node=", &encoded(&node)].concat();
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            // Another node may have been opened meanwhile.
            if arcs.node.borrow().as_ref() != Some(&node) || answer.status != 200 {
                return;
            }
            arcs.connections.replace(arcs::of_node(&answer.body, &node).unwrap_or_default());
            if !arcs.connections.borrow().is_empty() && !arcs.is_watching.replace(true) {
                let drawn = Rc::clone(&arcs);
                dom::on_change(VIEW, move || drawn.draw());
            }
            arcs.draw();
        });
    }

    fn draw(&self) {
        let connections = self.connections.borrow();
        let words = arcs::words(&connections);
        dom::write(&self.line, &words);
        match dom::by_id("detail-interfaces").filter(|_| !words.is_empty()) {
            Some(interfaces) => {
                if !self.line.is_connected() {
                    let _added = interfaces.before_with_node_1(&self.line);
                }
            }
            None => self.line.remove(),
        }
        let layers = dom::document().query_selector(".map-layers").ok().flatten();
        let window = layers.as_ref().and_then(|layers| MapWindow::parse(&layers.get_attribute(VIEW)?));
        let (Some(layers), Some(window), false) = (layers, window, connections.is_empty()) else {
            return self.drawing.remove();
        };
        // Above the land, below the nodes.
        if !self.drawing.is_connected()
            && let Some(land) = layers.first_element_child()
        {
            let _added = land.after_with_node_1(&self.drawing);
        }
        let nearest = arcs::nearest(&connections, false);
        let paths: Vec<String> =
            nearest.into_iter().filter_map(|connection| window.arc(connection)).collect();
        dom::set_attribute(&dom::find(&self.drawing, "path"), "d", &paths.concat());
    }
}
