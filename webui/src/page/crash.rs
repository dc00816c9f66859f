//! What people see when the page's program has come to an end: plain elements, since nothing else works any more.

use std::panic;

use sycamore::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlTextAreaElement};

use super::dom;

/// Shows the overlay on a panic.
pub(super) fn install() {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| [place.file(), ":", &place.line().to_string()].concat());
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(|text| &**text));
        show(&[message.unwrap_or("The program stopped"), " at ", &place].concat());
    }));
}

/// Puts the overlay above everything. Whatever cannot be made is left out: there is nobody to tell.
fn show(report: &str) -> Option<()> {
    let body = document().body()?;
    if body.query_selector(".crash").ok()?.is_some() {
        return None;
    }
    let overlay = child(&body, "div", "crash", None)?;
    dom::set_attribute(&overlay, "role", Some("alertdialog"));
    dom::set_attribute(&overlay, "aria-label", Some("The page has crashed"));
    let card = child(&overlay, "div", "crash-card", None)?;
    child(&card, "h1", "", Some("The page has crashed"))?;
    child(&card, "p", "", Some("Nothing on it is true any more. The fleet is not affected."))?;
    let reload = child(&card, "button", "button", Some("Reload"))?;
    dom::listen(&reload, "click", |_: web_sys::Event| {
        let _reloads = sycamore::prelude::window().location().reload();
    });
    let text: HtmlTextAreaElement = child(&card, "textarea", "", None)?.unchecked_into();
    text.set_value(&[report, "\n", env!("CARGO_PKG_VERSION")].concat());
    text.set_read_only(true);
    dom::set_attribute(&text, "aria-label", Some("Report to copy"));
    dom::focus(reload.unchecked_ref());
    Some(())
}

fn child(parent: &Element, tag: &str, class: &str, text: Option<&str>) -> Option<Element> {
    let element = document().create_element(tag).ok()?;
    element.set_class_name(class);
    element.set_text_content(text);
    parent.append_child(&element).ok()?;
    Some(element)
}
