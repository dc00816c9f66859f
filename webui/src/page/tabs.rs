//! The bar at the bottom of a phone: one region at a time.

use sycamore::prelude::{View, component};
use sycamore::reactive::use_context;

use crate::fragments::Tabs;

use super::dom;
use super::html;
use super::state::{ListState, Tab};

#[component]
pub(super) fn Tabs() -> View {
    let list: ListState = use_context();
    let tabs = Tabs::create();
    for (button, tab) in [(tabs.overview, Tab::Overview), (tabs.map, Tab::Map), (tabs.nodes, Tab::Nodes)] {
        html::truth(&button, "aria-current", move || list.tab.get() == tab);
        dom::on_click(&button, move || list.tab.set(tab));
    }
    html::view(&tabs.root)
}
