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
        html::truth(&button, "aria-current", move || {
            list.tab.get() == tab && list.instead.with(|view| is_in_tabs(view))
        });
        dom::on_click(&button, move || {
            list.leave_view();
            list.tab.set(tab);
        });
    }
    html::view(&tabs.root)
}

/// Whether these tabs show what stands in the table's place: any but totals has a tab of its own.
fn is_in_tabs(view: &str) -> bool {
    view.is_empty() || view.starts_with("view=summary")
}
