//! The details of one node: asked for each second while they are shown.

use std::cell::Cell;
use std::rc::Rc;

use sycamore::reactive::{NodeHandle, Signal, create_effect, create_signal, use_current_scope};
use web_sys::XmlHttpRequestResponseType;

use crate::json::{self, NodeAnswer};
use tidemap_parts::encoding::path_segment;
use tidemap_parts::fetch::{self, Answer};

use super::dom;
use super::panel::Frame;
use super::redraw::Redraw;
use super::state::set_changed;

/// Slightly less than a second, because frames come about once a second, but not exactly.
const INTERVAL_MS: f64 = 900.0;

/// What is known of the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum DetailState {
    #[default]
    Loading,
    Known(Rc<NodeAnswer>),
    /// There is no such node.
    Missing,
    /// The server could not be asked; what was known before is kept.
    Failed(Option<Rc<NodeAnswer>>),
}

/// Asks for the details of the node that a signal names.
pub(super) struct NodePoll {
    node: Signal<Option<Rc<str>>>,
    detail: Signal<DetailState>,
    scope: NodeHandle,
    redraw: Redraw,
    asked_ms: Cell<f64>,
    is_waiting: Cell<bool>,
}

impl NodePoll {
    /// Asks at once whenever another node is named, and has answers drawn.
    pub(super) fn new(node: Signal<Option<Rc<str>>>, redraw: Redraw) -> Rc<Self> {
        let poll = Rc::new(Self {
            node,
            detail: create_signal(DetailState::default()),
            scope: use_current_scope(),
            redraw,
            asked_ms: Cell::new(0.0),
            is_waiting: Cell::new(false),
        });
        let asking = Rc::clone(&poll);
        create_effect(move || {
            node.track();
            set_changed(asking.detail, DetailState::Loading);
            asking.ask_now();
        });
        poll
    }

    pub(super) fn detail(&self) -> Signal<DetailState> {
        self.detail
    }

    /// Asks again when it is time to, unless the page is paused or an answer is still on its way.
    pub(super) fn ask(self: &Rc<Self>, frame: &Frame<'_>) {
        let is_due = frame.now_ms - self.asked_ms.get() >= INTERVAL_MS;
        if is_due && !frame.is_paused && !self.is_waiting.get() {
            self.ask_now();
        }
    }

    fn ask_now(self: &Rc<Self>) {
        let Some(name) = self.node.get_clone_untracked() else { return };
        self.is_waiting.set(true);
        self.asked_ms.set(dom::now_ms());
        let url = "api/nodes/".to_owned() + &path_segment(&name);
        let poll = Rc::clone(self);
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            // Another node may have been selected meanwhile; its answer is on its way.
            if poll.node.with_untracked(|node| node.as_ref() == Some(&name)) {
                poll.is_waiting.set(false);
                poll.scope.run_in(|| poll.detail.set(poll.state(&answer)));
                poll.redraw.request();
            }
        });
    }

    /// What is known after this answer; what was known before a failed one stays.
    fn state(&self, answer: &Answer) -> DetailState {
        match answer.status {
            404 => return DetailState::Missing,
            200 => {
                if let Ok(node) = json::node(&answer.body) {
                    return DetailState::Known(Rc::new(node));
                }
            }
            _ => {}
        }
        DetailState::Failed(self.detail.with_untracked(|state| state.known().cloned()))
    }
}

impl DetailState {
    /// The newest that is known.
    pub(super) fn known(&self) -> Option<&Rc<NodeAnswer>> {
        match self {
            Self::Known(detail) => Some(detail),
            Self::Failed(detail) => detail.as_ref(),
            Self::Loading | Self::Missing => None,
        }
    }
}
