//! Parts of the page written as HTML, with the few places named where something changes.
//!
//! A view of many elements is a program that makes each of them; the same as HTML is a third of its size. It never
//! holds a word of anybody else's: what is bound is set as text or as an attribute, and is never read as HTML.

use sycamore::prelude::*;
use sycamore::web::{HtmlNode, ViewHtmlNode};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

use super::dom;

/// An element of this class with fixed content, and its view.
pub(super) fn html(tag: &'static str, class: &str, content: &str) -> (Element, View) {
    let node = HtmlNode::create_element(tag.into());
    let element: Element = node.as_web_sys().clone().unchecked_into();
    element.set_class_name(class);
    element.set_inner_html(content);
    (element, View::from_node(node))
}

/// Keeps the text of the first element that the selector finds.
pub(super) fn text(root: &Element, selector: &str, text: impl FnMut() -> String + 'static) {
    boxed(root, selector, None, Box::new(text));
}

/// Keeps an attribute of the first element that the selector finds.
pub(super) fn attribute(
    root: &Element,
    selector: &str,
    name: &'static str,
    value: impl FnMut() -> String + 'static,
) {
    boxed(root, selector, Some(name), Box::new(value));
}

/// Keeps an attribute that says `true` or `false`.
pub(super) fn truth(
    root: &Element,
    selector: &str,
    name: &'static str,
    mut flag: impl FnMut() -> bool + 'static,
) {
    attribute(root, selector, name, move || if flag() { "true" } else { "false" }.to_owned());
}

/// Hears clicks on the first element that the selector finds.
pub(super) fn on_click(root: &Element, selector: &str, mut then: impl FnMut() + 'static) {
    if let Some(element) = find(root, selector) {
        dom::listen(&element, "click", move |_: web_sys::Event| then());
    }
}

/// The first element that the selector finds, in the element or the element itself.
pub(super) fn find(root: &Element, selector: &str) -> Option<Element> {
    if selector.is_empty() { Some(root.clone()) } else { root.query_selector(selector).ok()? }
}

/// The same as an element of HTML, which all are but those of drawings.
pub(super) fn part(root: &Element, selector: &str) -> Option<HtmlElement> {
    find(root, selector)?.dyn_into().ok()
}

fn boxed(root: &Element, selector: &str, name: Option<&'static str>, mut value: Box<dyn FnMut() -> String>) {
    let Some(element) = find(root, selector) else { return };
    let mut before = None;
    create_effect(move || {
        let now = value();
        // What has not changed stays untouched, so that what a reader has marked stays marked.
        if before.as_ref() != Some(&now) {
            match name {
                Some(name) => dom::set_attribute(&element, name, Some(&now)),
                None => element.set_text_content(Some(&now)),
            }
            before = Some(now);
        }
    });
}
