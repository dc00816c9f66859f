//! The browser, as far as the views need it.

use sycamore::reactive::use_current_scope;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, UnwrapThrowExt};
use web_sys::{Document, Element, EventTarget, HtmlElement, HtmlInputElement, HtmlSelectElement, Window};

pub(super) fn window() -> Window {
    web_sys::window().unwrap_throw()
}

pub(super) fn document() -> Document {
    window().document().unwrap_throw()
}

/// The element with this id.
pub(super) fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Whether what was clicked is, or is in, an element that this selector finds.
pub(super) fn is_inside(target: &EventTarget, selector: &str) -> bool {
    target.dyn_ref::<Element>().is_some_and(|element| matches!(element.closest(selector), Ok(Some(_))))
}

/// The value of the field or the list that this event is about.
pub(super) fn value(event: &web_sys::Event) -> String {
    let Some(target) = event.target() else { return String::new() };
    if let Some(input) = target.dyn_ref::<HtmlInputElement>() {
        return input.value();
    }
    target.dyn_ref::<HtmlSelectElement>().map(HtmlSelectElement::value).unwrap_or_default()
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

/// Listens for as long as the page lives. The handler runs in the scope that asked for it: without one, most
/// of what a signal can do panics.
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

/// Listens for clicks.
pub(super) fn on_click(element: &Element, mut then: impl FnMut() + 'static) {
    boxed_listen(element, "click", Box::new(move |_| then()));
}

/// Calls `then` for as long as the page lives whenever the element's size changes.
pub(super) fn on_resize(element: &Element, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    if let Ok(observer) = web_sys::ResizeObserver::new(closure.as_ref().unchecked_ref()) {
        observer.observe(element);
    }
    closure.forget();
}

/// Calls `then` every `ms` for as long as the page lives.
pub(super) fn every(ms: i32, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    // A page without timers has no browser around it.
    let _infallible =
        window().set_interval_with_callback_and_timeout_and_arguments_0(closure.as_ref().unchecked_ref(), ms);
    closure.forget();
}
