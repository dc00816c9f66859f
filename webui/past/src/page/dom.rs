//! The browser, as far as the views need it.

use wasm_bindgen::prelude::{Closure, JsValue};
use wasm_bindgen::{JsCast, UnwrapThrowExt};
use web_sys::{Document, Element, EventTarget, HtmlElement, PopStateEvent, Window};

pub(super) fn window() -> Window {
    web_sys::window().unwrap_throw()
}

pub(super) fn document() -> Document {
    window().document().unwrap_throw()
}

/// How many minutes the reader's clock is ahead of UTC at a moment.
pub(super) fn zone(ms: i64) -> i64 {
    -js_sys::Date::new(&JsValue::from_f64(ms as f64)).get_timezone_offset() as i64
}

/// The reader's clock, Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// The page's query string.
pub(super) fn query() -> String {
    window().location().search().unwrap_or_default()
}

/// Changes the page's address, and tells the page's other program; the reader can go back if it is a step.
pub(super) fn navigate(query: &str, is_step: bool) {
    let (window, path) = (window(), window().location().pathname().unwrap_or_default());
    let (Ok(history), url) = (window.history(), path + query) else { return };
    // Browsers refuse when a script writes too often.
    let _written = if is_step {
        history.push_state_with_url(&JsValue::NULL, "", Some(&url))
    } else {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&url))
    };
    if let Ok(event) = PopStateEvent::new("popstate") {
        let _handled = window.dispatch_event(&event);
    }
}

/// Whether nobody looks at the page, or its reader has paused it: then nothing is asked again.
pub(super) fn is_resting() -> bool {
    let is_paused =
        by_id("pause").is_some_and(|pause| pause.get_attribute("data-on").as_deref() == Some("true"));
    document().hidden() || is_paused
}

/// An element of the page, or of a part of it.
pub(super) fn find(root: &Element, selector: &str) -> HtmlElement {
    root.query_selector(selector).ok().flatten().unwrap_throw().unchecked_into()
}

/// All elements of the page that a selector names.
pub(super) fn all(selector: &str) -> Vec<Element> {
    let Ok(found) = document().query_selector_all(selector) else { return Vec::new() };
    (0..found.length()).filter_map(|at| found.get(at)?.dyn_into().ok()).collect()
}

/// The element with this id, if it is in the page.
pub(super) fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// A piece of HTML, which is one element, not in the page yet.
pub(super) fn create(html: &str) -> HtmlElement {
    let holder = document().create_element("div").unwrap_throw();
    holder.set_inner_html(html.trim());
    let element: HtmlElement = holder.first_element_child().unwrap_throw().unchecked_into();
    element.remove();
    element
}

/// An element with a text, as the last child of `parent`.
pub(super) fn append(parent: &Element, tag: &str, class: &str, text: &str) -> HtmlElement {
    let element = document().create_element(tag).unwrap_throw();
    element.set_class_name(class);
    element.set_text_content(Some(text));
    parent.append_child(&element).unwrap_throw().unchecked_into()
}

/// Writes a text unless it stands there, so that what a reader has marked stays marked.
pub(super) fn write(element: &Element, text: &str) {
    if element.text_content().as_deref() != Some(text) {
        element.set_text_content(Some(text));
    }
}

/// Writes paragraphs.
pub(super) fn write_lines(parent: &Element, lines: &[String]) {
    if parent.text_content().unwrap_or_default() != lines.concat() {
        parent.set_text_content(None);
        for line in lines {
            append(parent, "p", "", line);
        }
    }
}

/// A row of a table: its heading, then its cells.
pub(super) fn append_row(body: &Element, cells: &[String]) {
    let row = append(body, "tr", "", "");
    for (at, cell) in cells.iter().enumerate() {
        if at == 0 {
            let head = append(&row, "th", "", cell);
            set_attribute(&head, "scope", "row");
        } else {
            append(&row, "td", "cell-rate", cell);
        }
    }
}

/// Sets an attribute. Only names that are wrong can fail, and ours are constants.
pub(super) fn set_attribute(element: &Element, name: &str, value: &str) {
    let _infallible = element.set_attribute(name, value);
}

/// Removes an attribute, if it is there.
pub(super) fn remove_attribute(element: &Element, name: &str) {
    let _infallible = element.remove_attribute(name);
}

/// Listens for as long as the page lives.
pub(super) fn listen<E: JsCast + 'static>(
    target: &EventTarget,
    event: &str,
    mut handler: impl FnMut(E) + 'static,
) {
    let closure = Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| {
        handler(event.unchecked_into());
    });
    let _infallible = target.add_event_listener_with_callback(event, closure.as_ref().unchecked_ref());
    closure.forget();
}

/// Listens for clicks.
pub(super) fn on_click(element: &Element, mut then: impl FnMut() + 'static) {
    listen(element, "click", move |_: web_sys::Event| then());
}

/// Calls `then` for as long as the page lives whenever the element's size changes.
pub(super) fn on_resize(element: &Element, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    if let Ok(observer) = web_sys::ResizeObserver::new(closure.as_ref().unchecked_ref()) {
        observer.observe(element);
    }
    closure.forget();
}

/// Calls `then` for as long as the page lives after this attribute of any element has changed.
pub(super) fn on_change(attribute: &str, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    if let Ok(observer) = web_sys::MutationObserver::new(closure.as_ref().unchecked_ref()) {
        let options = web_sys::MutationObserverInit::new();
        options.set_subtree(true);
        options.set_attribute_filter(&js_sys::Array::of1(&attribute.into()));
        // Only options that contradict each other can fail.
        let _infallible = observer.observe_with_options(&document(), &options);
    }
    closure.forget();
}

/// Calls `then` every `ms` for as long as the page lives.
pub(super) fn every(ms: i32, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    let _infallible =
        window().set_interval_with_callback_and_timeout_and_arguments_0(closure.as_ref().unchecked_ref(), ms);
    closure.forget();
}
