//! The region of the map. What is in it is the map's own.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::{View, component, on_mount};
use sycamore::reactive::{create_effect, use_context, use_current_scope};
use tidemap_map::{Fetched, MapEvents, MapView, Markers};
use web_sys::XmlHttpRequestResponseType;

use crate::fragments;
use crate::glance::glance;
use crate::pace::Feed;
use tidemap_parts::fetch;

use super::controller::Controller;
use super::dom;
use super::html;
use super::node_poll::NodePoll;
use super::panel::{Frame, Panel};
use super::redraw::Redraw;
use super::state::{DisplayState, ListState, Reveal, SelectionState};

struct Map {
    view: Rc<MapView>,
    /// Asks for the selected node's details, for its popup.
    poll: Rc<NodePoll>,
    list: ListState,
}

#[component]
pub(super) fn Map() -> View {
    let (list, selection, redraw): (ListState, SelectionState, Redraw) =
        (use_context(), use_context(), use_context());
    let fragments::Map { root, container } = fragments::Map::create();
    let view = MapView::new(container.clone(), events(list, selection, redraw.clone()));
    let resized = Rc::clone(&view);
    dom::on_resize(&container, move || resized.resize());
    let mounted = Rc::clone(&view);
    on_mount(move || mounted.resize());
    let (display, coloured): (DisplayState, _) = (use_context(), Rc::clone(&view));
    create_effect(move || {
        display.colours.track();
        coloured.change_theme();
    });
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(Map { view, poll: NodePoll::new(selection.selected, redraw), list }));
    html::view(&root)
}

/// What the page does when the map asks for it.
fn events(list: ListState, selection: SelectionState, redraw: Redraw) -> MapEvents {
    let (scope, feed): (_, Rc<RefCell<Feed>>) = (use_current_scope(), use_context());
    let named = Rc::clone(&feed);
    MapEvents {
        on_select: Box::new(move |row| {
            let name = row.and_then(|row| named.borrow().shown().name(row).cloned());
            selection.reveal.set_silent(Some(Reveal::Selected));
            scope.run_in(|| selection.selected.set(name));
        }),
        on_open: Box::new(move |row| {
            let name = feed.borrow().shown().name(row).cloned();
            if let Some(name) = name {
                scope.run_in(|| selection.open(name));
            }
        }),
        on_nowhere: Box::new(move || {
            selection.reveal.set_silent(Some(Reveal::First));
            scope.run_in(|| list.list_unplaced());
        }),
        request_frame: Box::new(move || redraw.request()),
        fetch: Box::new(|url: &str, then: Fetched| {
            fetch::get(url, XmlHttpRequestResponseType::Arraybuffer, move |answer| then(answer.bytes()));
        }),
    }
}

impl Panel for Map {
    fn name(&self) -> &'static str {
        "map"
    }

    fn draw(&self, frame: &Frame<'_>) {
        let Frame { fleet, unit, selected, .. } = *frame;
        self.poll.ask(frame);
        let answer = self.poll.detail().with_untracked(|state| state.known().cloned());
        let glance = selected.map(|row| glance(fleet, row, unit, frame.fleet_ms, answer.as_deref()));
        let ((lat, lon), (rx, tx)) = (fleet.coordinates(), fleet.rates());
        self.view.set_unit(unit);
        self.view.draw(
            frame.frame_ms,
            &Markers {
                name: fleet.titles(),
                lat,
                lon,
                location: fleet.locations(),
                status: fleet.statuses(),
                rx,
                tx,
                selected,
                glance: glance.as_ref(),
                generation: fleet.generation(),
                changes: fleet.changes(),
            },
        );
        self.list.view.set_silent(self.view.bounds());
    }
}
