//! Elements that follow signals.

use sycamore::prelude::View;
use sycamore::reactive::create_effect;
use sycamore::web::{HtmlNode, ViewHtmlNode};
use wasm_bindgen::UnwrapThrowExt;
use web_sys::{Element, HtmlElement};

use super::dom;

/// An element as what a component returns.
pub(super) fn view(element: &HtmlElement) -> View {
    View::from_node(HtmlNode::from_web_sys(element.clone().into()))
}

/// An element with these views as its children.
pub(super) fn within<const COUNT: usize>(element: &HtmlElement, children: [View; COUNT]) -> View {
    for child in children {
        for node in child.as_web_sys() {
            element.append_child(&node).unwrap_throw();
        }
    }
    view(element)
}

/// Keeps an element's text.
///
/// It takes its closure to the heap first: everything behind it is then in the page once, not once for each
/// of a hundred closures. That is a tenth of the views' size.
pub(super) fn text(element: &Element, text: impl FnMut() -> String + 'static) {
    boxed(element, None, Box::new(text));
}

/// Keeps an attribute of an element.
pub(super) fn attribute(element: &Element, name: &'static str, value: impl FnMut() -> String + 'static) {
    boxed(element, Some(name), Box::new(value));
}

/// Keeps an attribute that says `true` or `false`.
pub(super) fn truth(element: &Element, name: &'static str, mut flag: impl FnMut() -> bool + 'static) {
    attribute(element, name, move || if flag() { "true" } else { "false" }.to_owned());
}

fn boxed(element: &Element, name: Option<&'static str>, mut value: Box<dyn FnMut() -> String>) {
    let element = element.clone();
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
