//! Light, dark, or as the system is.

use std::rc::Rc;

use sycamore::prelude::*;

use super::board::Board;
use super::dom;
use super::engine::Engine;

/// The boot script reads the same key, so that the page is never painted in the wrong colours first.
const KEY: &str = "tidemap-theme";

/// Which colours the page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Theme; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// What was chosen last.
    pub(super) fn stored() -> Self {
        let storage = window().local_storage().ok().flatten();
        let name = storage.and_then(|storage| storage.get_item(KEY).ok().flatten());
        name.and_then(|name| Self::from_name(&name)).unwrap_or(Self::Auto)
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn store(self) {
        if let Ok(Some(storage)) = window().local_storage() {
            // A browser that keeps nothing forgets the choice; the page works all the same.
            let _kept = storage.set_item(KEY, self.name());
        }
    }
}

/// Gives the page the colours that its reader chooses.
pub(super) fn follow(board: Board, engine: &Rc<Engine>) {
    let redraw = {
        let engine = Rc::clone(engine);
        move || engine.theme_changed()
    };
    if let Ok(Some(system)) = window().match_media("(prefers-color-scheme: dark)") {
        let redraw = redraw.clone();
        dom::listen(&system, "change", move |_: web_sys::Event| redraw());
    }
    create_effect(move || {
        let theme = board.theme.get();
        theme.store();
        if let Some(root) = document().document_element() {
            dom::set_attribute(&root, "data-theme", Some(theme.name()));
        }
        redraw();
    });
}
