//! The details of one node: asked for each second while they are open.

use std::cell::Cell;
use std::rc::Rc;

use js_sys::futures::{JsFuture, spawn_local};
use sycamore::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use crate::address::encoded;
use crate::json::{self, NodeAnswer};
use crate::page::board::{Board, DetailState};

use super::Engine;

/// Asks for the details of the node that is open on the board.
pub(super) struct Asking {
    board: Board,
    scope: NodeHandle,
    is_asked: Rc<Cell<bool>>,
}

enum Answer {
    Known(Box<NodeAnswer>),
    Missing,
    Failed,
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
        spawn_local(async move {
            let answer = answer(&name).await;
            // Meanwhile another node may have been opened, whose answer is on its way.
            if board.open.get_clone_untracked().as_ref() == Some(&name) {
                is_asked.set(false);
                scope.run_in(|| take(board, answer));
            }
        });
    }
}

fn take(board: Board, answer: Answer) {
    let state = match answer {
        Answer::Known(detail) => DetailState::Known(Rc::from(detail)),
        Answer::Missing => DetailState::Missing,
        Answer::Failed => DetailState::Failed(board.detail.with_untracked(|state| state.known().cloned())),
    };
    board.detail.set(state);
}

async fn answer(name: &str) -> Answer {
    match fetch(&("/api/nodes/".to_owned() + &encoded(name))).await {
        Ok((404, _)) => Answer::Missing,
        Ok((200, json)) => json::node(&json).map_or(Answer::Failed, |answer| Answer::Known(Box::new(answer))),
        Ok(_) | Err(_) => Answer::Failed,
    }
}

async fn fetch(url: &str) -> Result<(u16, String), JsValue> {
    let response: Response = JsFuture::from(window().fetch_with_str(url)).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    Ok((response.status(), text.as_string().unwrap_or_default()))
}
