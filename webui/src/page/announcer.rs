//! The page's only live region, which is invisible: it announces changes to users of screen readers.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::{View, component};
use sycamore::reactive::use_context;
use tidemap_format as format;
use web_sys::HtmlElement;

use crate::announce_limit::AnnounceLimit;
use crate::connection::Phase;
use crate::fragments;

use super::controller::Controller;
use super::html;
use super::panel::{Frame, Panel};
use super::state::LiveState;

struct Announcer {
    region: HtmlElement,
    live: LiveState,
    limit: RefCell<AnnounceLimit>,
}

#[component]
pub(super) fn Announcer() -> View {
    let region = fragments::Announcer::create().root;
    let view = html::view(&region);
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(Announcer { region, live: use_context(), limit: RefCell::default() }));
    view
}

impl Panel for Announcer {
    fn name(&self) -> &'static str {
        "announcer"
    }

    fn draw(&self, frame: &Frame<'_>) {
        let text = text(self.live);
        if self.limit.borrow_mut().admits(&text, frame.now_ms) {
            self.region.set_text_content(Some(&text));
        }
    }
}

/// What there is to announce now.
fn text(live: LiveState) -> String {
    if let Phase::Disconnected { .. } = live.phase.get_untracked() {
        return "The connection to the server is lost.".to_owned();
    }
    live.totals.with_untracked(|totals| {
        let Some(totals) = totals else { return String::new() };
        let stats = &totals.stats;
        let [online, warning, offline] =
            [stats.online_nodes, stats.warning_nodes, stats.offline_nodes].map(format::count);
        [&online, " online, ", &warning, " warning, ", &offline, " offline"].concat()
    })
}
