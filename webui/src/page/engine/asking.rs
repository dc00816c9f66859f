//! The details of one node: asked for each second while they are open.

use std::cell::Cell;
use std::rc::Rc;

use sycamore::prelude::*;
use web_sys::XmlHttpRequestResponseType;

use crate::address::encoded;
use crate::fetch::{self, Answer};
use crate::json;
use crate::page::board::{Board, DetailState};

use super::Engine;

/// Asks for the details of the node that is open on the board.
pub(super) struct Asking {
    board: Board,
    scope: NodeHandle,
    is_asked: Rc<Cell<bool>>,
}

impl Asking {
    pub(super) fn new(board: Board) -> Self {
        Self { board, scope: use_current_scope(), is_asked: Rc::new(Cell::new(false)) }
    }

    /// Asks at once whenever another node is opened.
    pub(super) fn follow(&self, engine: &Rc<Engine>) {
        let (board, engine) = (self.board, Rc::clone(engine));
        self.scope.run_in(|| {
            create_effect(move || {
                if board.open.get_clone().is_some() {
                    engine.asking.is_asked.set(false);
                    engine.asking.ask_now();
                }
            });
        });
    }

    /// Asks again, unless the page is paused, nothing is open or an answer is still on its way.
    pub(super) fn ask(&self, is_paused: bool) {
        if !is_paused && !self.is_asked.get() {
            self.ask_now();
        }
    }

    fn ask_now(&self) {
        let Some(name) = self.board.open.get_clone_untracked() else { return };
        self.is_asked.set(true);
        let (board, scope, is_asked) = (self.board, self.scope, Rc::clone(&self.is_asked));
        let url = "/api/nodes/".to_owned() + &encoded(&name);
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            // Meanwhile another node may have been opened, whose answer is on its way.
            if board.open.get_clone_untracked().as_ref() == Some(&name) {
                is_asked.set(false);
                scope.run_in(|| board.detail.set(state(board, &answer)));
            }
        });
    }
}

/// What is known now; what was known before an answer failed stays.
fn state(board: Board, answer: &Answer) -> DetailState {
    let known = |text: String| json::node(&text).map(|node| DetailState::Known(Rc::new(node))).ok();
    match answer.status {
        404 => Some(DetailState::Missing),
        200 => answer.body.as_string().and_then(known),
        _ => None,
    }
    .unwrap_or_else(|| DetailState::Failed(board.detail.with_untracked(|state| state.known().cloned())))
}
