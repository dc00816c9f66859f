//! The browser, as far as the views need it without Sycamore.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{Element, EventTarget, HtmlElement};

/// The element with this id.
pub(super) fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Whether what was clicked is, or is in, an element that this selector finds.
pub(super) fn is_inside(target: &EventTarget, selector: &str) -> bool {
    target.dyn_ref::<Element>().is_some_and(|element| matches!(element.closest(selector), Ok(Some(_))))
}

/// Milliseconds since the page was opened; never goes back.
pub(super) fn now_ms() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// Sets an attribute, or removes it. Only names that are wrong can fail, and ours are constants.
pub(super) fn set_attribute(element: &Element, name: &str, value: Option<&str>) {
    let _infallible = match value {
        Some(value) => element.set_attribute(name, value),
        None => element.remove_attribute(name),
    };
}

/// Sets a style property through the object model: style attributes are forbidden by the page's policy.
pub(super) fn set_style(element: &HtmlElement, property: &str, value: &str) {
    let _infallible = element.style().set_property(property, value);
}

/// Gives an element the focus. What is not focusable just does not take it.
pub(super) fn focus(element: &HtmlElement) {
    let _infallible = element.focus();
}

/// Listens for as long as the page lives. The handler runs in the scope that asked for it, as Sycamore's own do: without
/// one, most of what a signal can do panics.
pub(super) fn listen<E: JsCast + 'static>(
    target: &EventTarget,
    event: &str,
    mut handler: impl FnMut(E) + 'static,
) {
    boxed_listen(target, event, Box::new(move |event: web_sys::Event| handler(event.unchecked_into())));
}

fn boxed_listen(target: &EventTarget, event: &str, mut handler: Box<dyn FnMut(web_sys::Event)>) {
    let scope = use_current_scope();
    let closure = Closure::<dyn FnMut(web_sys::Event)>::new(move |event| scope.run_in(|| handler(event)));
    let _infallible = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
    closure.forget();
}

/// Calls `then` for as long as the page lives whenever the element's size changes.
pub(super) fn on_resize(element: &Element, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    if let Ok(observer) = web_sys::ResizeObserver::new(closure.as_ref().unchecked_ref()) {
        observer.observe(element);
    }
    closure.forget();
}

/// The element of a node reference, once it is in the page.
pub(super) fn element(node: NodeRef) -> Option<HtmlElement> {
    untrack(|| node.try_get())?.dyn_into().ok()
}

/// A text that is written anew only when it has changed, so that what a reader has marked stays marked.
///
/// It takes its closure to the heap first: everything behind it is then in the page once, not once for each of a hundred
/// closures. That is a tenth of the views' size.
pub(super) fn text(text: impl FnMut() -> String + 'static) -> ReadSignal<String> {
    boxed_text(Box::new(text))
}

/// A condition as an attribute that says `true` or `false`.
pub(super) fn truth(mut flag: impl FnMut() -> bool + 'static) -> ReadSignal<String> {
    text(move || if flag() { "true" } else { "false" }.to_owned())
}

fn boxed_text(text: Box<dyn FnMut() -> String>) -> ReadSignal<String> {
    create_selector(text)
}
