//! The page's colours, as the reader chooses them.

use sycamore::reactive::create_effect;

use crate::theme::Theme;

use super::dom::{self, document, window};
use super::state::DisplayState;

/// The boot script reads the same key, so that the first paint already has the right colours.
const KEY: &str = "tidemap-theme";

/// What was chosen last.
pub(super) fn stored() -> Theme {
    let storage = window().local_storage().ok().flatten();
    let name = storage.and_then(|storage| storage.get_item(KEY).ok().flatten());
    name.and_then(|name| Theme::from_name(&name)).unwrap_or_default()
}

/// Gives the page the colours of the chosen theme.
pub(super) fn follow(display: DisplayState) {
    if let Ok(Some(system)) = window().match_media("(prefers-color-scheme: dark)") {
        dom::listen(&system, "change", move |_: web_sys::Event| display.colours.set(()));
    }
    create_effect(move || {
        let theme = display.theme.get();
        store(theme);
        if let Some(root) = document().document_element() {
            dom::set_attribute(&root, "data-theme", Some(theme.name()));
        }
        display.colours.set(());
    });
}

fn store(theme: Theme) {
    if let Ok(Some(storage)) = window().local_storage() {
        // If the browser has no storage, the choice is forgotten; nothing else depends on it.
        let _kept = storage.set_item(KEY, theme.name());
    }
}
