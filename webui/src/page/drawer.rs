//! One node in full, beside everything else.

mod chart;
mod details;

use std::rc::Rc;

use sycamore::prelude::{View, component, on_mount};
use sycamore::reactive::{ReadSignal, Signal, create_effect, create_selector, create_signal, use_context};
use tidemap_format as format;
use tidemap_wire::Status;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, KeyboardEvent};

use crate::fragments;
use crate::json::NodeAnswer;

use super::controller::Controller;
use super::dom::{self, document};
use super::html;
use super::node_poll::{DetailState, NodePoll};
use super::nodes;
use super::panel::{Frame, Panel};
use super::state::{DisplayState, SelectionState};

use details::Details;

/// The drawer, hidden while no node is open.
struct Drawer {
    /// Asks for the open node's details.
    poll: Rc<NodePoll>,
}

#[component]
pub(super) fn Drawer() -> View {
    let (selection, display): (SelectionState, DisplayState) = (use_context(), use_context());
    let sheet = fragments::Drawer::create();
    let view = html::view(&sheet.root);
    let poll = NodePoll::new(selection.open, use_context());
    let detail = poll.detail();
    let name = create_selector(move || selection.open.get_clone());
    // Until the answer is there, it is called by the name in the address.
    let title = move || known(detail, |detail| detail.node.display_name.clone());
    let named = move || name.with(|name| name.as_deref().unwrap_or("").to_owned());
    html::text(&sheet.title, move || title().unwrap_or_else(named));
    let status = move || known(detail, |detail| detail.node.status.as_str()).unwrap_or("unknown").to_owned();
    html::attribute(&sheet.sign, "data-status", status);
    html::text(&sheet.since, move || known(detail, since).unwrap_or_default());
    html::text(&sheet.word, move || detail.with(word).to_owned());
    let returns_to = follow(&sheet.root, name);
    close_by(&sheet.close, selection, returns_to);
    let details = Details::new(sheet);
    create_effect(move || {
        let (detail, unit) = (detail.with(|state| state.known().cloned()), display.unit.get());
        details.show(detail.as_deref(), unit);
    });
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(Drawer { poll }));
    view
}

impl Panel for Drawer {
    fn name(&self) -> &'static str {
        "drawer"
    }

    fn draw(&self, frame: &Frame<'_>) {
        self.poll.ask(frame);
    }
}

/// Shows and hides the sheet, and remembers where the focus was before.
fn follow(sheet: &HtmlElement, name: ReadSignal<Option<Rc<str>>>) -> Signal<Option<HtmlElement>> {
    let (sheet, returns_to) = (sheet.clone(), create_signal(None::<HtmlElement>));
    let mut was_open = false;
    create_effect(move || {
        let name = name.get_clone();
        sheet.set_hidden(name.is_none());
        dom::set_attribute(&sheet, "data-node", name.as_deref());
        if name.is_some() && !was_open {
            returns_to.set_silent(document().active_element().and_then(|element| element.dyn_into().ok()));
            let sheet = sheet.clone();
            // It may not be in the page yet.
            on_mount(move || dom::focus(&sheet));
        }
        was_open = name.is_some();
    });
    returns_to
}

/// Closes the sheet by its button and by Escape, and gives the focus back: to the node's row, if that is on
/// screen.
fn close_by(button: &Element, selection: SelectionState, returns_to: Signal<Option<HtmlElement>>) {
    let close = move || {
        let left = selection.open.get_clone_untracked();
        selection.open.set(None);
        let is_at_row = left.is_some_and(|name| nodes::focus_row(&name));
        if let (false, Some(element)) = (is_at_row, returns_to.get_clone_untracked()) {
            dom::focus(&element);
        }
    };
    dom::listen(&document(), "keydown", move |event: KeyboardEvent| {
        let is_open = selection.open.with_untracked(Option::is_some);
        if event.key() == "Escape" && !event.default_prevented() && is_open {
            close();
        }
    });
    dom::on_click(button, close);
}

/// What stands there instead of details, or above those that may be old.
fn word(state: &DetailState) -> &'static str {
    match state {
        DetailState::Loading => "Loading…",
        DetailState::Missing => "No such node. It may have been forgotten.",
        DetailState::Failed(None) => "The server does not answer. Trying again each second.",
        DetailState::Failed(Some(_)) => "The server does not answer; this may be old.",
        DetailState::Known(_) => "",
    }
}

/// Something of the newest details.
fn known<T>(detail: Signal<DetailState>, of: impl FnOnce(&NodeAnswer) -> T) -> Option<T> {
    let detail = detail.with(|state| state.known().cloned());
    detail.map(|detail| of(&detail))
}

fn since(detail: &NodeAnswer) -> String {
    let node = &detail.node;
    let mut text = [node.status.label(), " for ", &format::duration(node.status_for_s)].concat();
    if node.status != Status::Online {
        text.push_str(", last seen ");
        text.push_str(&format::age(node.age_ms));
        text.push_str(" ago");
    }
    text
}
