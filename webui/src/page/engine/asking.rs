//! The details of one node: asked for each second while they are shown.

use std::cell::Cell;
use std::rc::Rc;

use sycamore::prelude::*;
use web_sys::XmlHttpRequestResponseType;

use crate::address::encoded;
use crate::fetch::{self, Answer};
use crate::json;
use crate::page::board::DetailState;

use super::Engine;

/// Asks for the details of the node that a signal names, and puts them into another.
pub(super) struct Asking {
    node: Signal<Option<Rc<str>>>,
    detail: Signal<DetailState>,
    scope: NodeHandle,
    is_asked: Rc<Cell<bool>>,
}

impl Asking {
    pub(super) fn new(node: Signal<Option<Rc<str>>>, detail: Signal<DetailState>) -> Rc<Self> {
        Rc::new(Self { node, detail, scope: use_current_scope(), is_asked: Rc::new(Cell::new(false)) })
    }

    /// Asks at once whenever another node is named, and has answers drawn.
    pub(super) fn follow(self: &Rc<Self>, engine: &Rc<Engine>) {
        let (asking, engine) = (Rc::clone(self), Rc::clone(engine));
        self.scope.run_in(|| {
            let (node, detail) = (asking.node, asking.detail);
            create_effect(move || {
                if node.get_clone().is_some() {
                    asking.is_asked.set(false);
                    asking.ask_now();
                }
            });
            create_effect(move || {
                detail.track();
                engine.request_frame();
            });
        });
    }

    /// Asks again, unless the page is paused, no node is named or an answer is still on its way.
    pub(super) fn ask(&self, is_paused: bool) {
        if !is_paused && !self.is_asked.get() {
            self.ask_now();
        }
    }

    fn ask_now(&self) {
        let Some(name) = self.node.get_clone_untracked() else { return };
        self.is_asked.set(true);
        let (node, detail, scope) = (self.node, self.detail, self.scope);
        let is_asked = Rc::clone(&self.is_asked);
        let url = "/api/nodes/".to_owned() + &encoded(&name);
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            // Meanwhile another node may have been named, whose answer is on its way.
            if node.get_clone_untracked().as_ref() == Some(&name) {
                is_asked.set(false);
                scope.run_in(|| detail.set(state(detail, &answer)));
            }
        });
    }
}

/// What is known now; what was known before an answer failed stays.
fn state(detail: Signal<DetailState>, answer: &Answer) -> DetailState {
    let known = |text: String| json::node(&text).map(|node| DetailState::Known(Rc::new(node))).ok();
    match answer.status {
        404 => Some(DetailState::Missing),
        200 => answer.body.as_string().and_then(known),
        _ => None,
    }
    .unwrap_or_else(|| DetailState::Failed(detail.with_untracked(|state| state.known().cloned())))
}
