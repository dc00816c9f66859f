//! Fragments of HTML in the page, and their elements.

use wasm_bindgen::{JsCast, UnwrapThrowExt, throw_str};
use web_sys::{Element, HtmlElement};

/// The HTML, which is one element, as the last child of `parent`.
pub(crate) fn append(parent: &Element, html: &str) -> HtmlElement {
    parent.insert_adjacent_html("beforeend", html).unwrap_throw();
    parent.last_element_child().unwrap_throw().unchecked_into()
}

/// The HTML, which is one element, not in the page yet.
pub(crate) fn create(html: &str) -> HtmlElement {
    let holder = web_sys::window()
        .and_then(|window| window.document())
        .unwrap_throw()
        .create_element("div")
        .unwrap_throw();
    let element = append(&holder, html);
    element.remove();
    element
}

/// The element of a fragment that a selector finds. One that finds nothing ends the page with an error on
/// screen.
pub(crate) fn bound<T: JsCast>(root: &Element, selector: &str) -> T {
    found(root, selector).unchecked_into()
}

fn found(root: &Element, selector: &str) -> Element {
    let found = root.query_selector(selector).ok().flatten();
    found.unwrap_or_else(|| throw_str(&["the page's HTML has no ", selector].concat()))
}
