//! The bar at the bottom of a phone: one region at a time.

use sycamore_reactive::use_context;
use web_sys::Element;

use crate::fragments::Tabs;

use super::dom;
use super::html;
use super::state::{ListState, Tab};

pub(super) fn add(app: &Element) {
    let list: ListState = use_context();
    let tabs = Tabs::append(app);
    for (button, tab) in [(tabs.overview, Tab::Overview), (tabs.map, Tab::Map), (tabs.nodes, Tab::Nodes)] {
        html::truth(&button, "aria-current", move || list.tab.get() == tab);
        dom::on_click(&button, move || list.tab.set(tab));
    }
}
