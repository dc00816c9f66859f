//! Elements that are created once and updated only when something has changed.
//!
//! Making an element fails only for a malformed tag, and all tags are written here: such a failure is thrown.

use std::cell::{Cell, RefCell};

use js_sys::Number;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use web_sys::{Document, Element, Event, EventTarget, HtmlElement, Window};

use crate::placement::{Size, beside};
use crate::projection::{Point, Viewport};

/// An element whose text changes often. Writing the same text again costs nothing.
pub(super) struct Text {
    pub(super) element: HtmlElement,
    shown: RefCell<String>,
}

/// An element that is shown at times.
pub(super) struct Shown {
    pub(super) element: HtmlElement,
    shown: Cell<bool>,
    at: Cell<Option<(i32, i32)>>,
}

/// A listener that is removed when it is dropped.
pub(super) struct Listener {
    target: EventTarget,
    kind: &'static str,
    closure: Closure<dyn FnMut(Event)>,
}

pub(super) fn window() -> Window {
    web_sys::window().expect_throw("the page has a window")
}

pub(super) fn document() -> Document {
    window().document().expect_throw("the window has a document")
}

/// A new element as the last child of `parent`.
pub(super) fn create(parent: &Element, tag: &str, class: &str) -> HtmlElement {
    let element = document().create_element(tag).expect_throw("the tag is well-formed");
    element.set_class_name(class);
    parent.append_child(&element).expect_throw("the parent takes children");
    element.unchecked_into()
}

/// A new button that says what it does.
pub(super) fn button(parent: &Element, class: &str, text: &str, label: Option<&str>) -> HtmlElement {
    let button = create(parent, "button", class);
    set(&button, "type", "button");
    button.set_text_content(Some(text));
    if let Some(label) = label {
        set(&button, "aria-label", label);
        set(&button, "title", label);
    }
    button
}

pub(super) fn set(element: &Element, name: &str, value: &str) {
    element.set_attribute(name, value).expect_throw("the attribute's name is well-formed");
}

pub(super) fn style(element: &HtmlElement, property: &str, value: &str) {
    element.style().set_property(property, value).expect_throw("the property's name is well-formed");
}

/// A number as the browser formats it; Rust's float formatting would be larger than the code that draws the
/// map.
pub(super) fn number(value: f64) -> String {
    Number::from(value).to_string_with_radix(10).map(String::from).unwrap_or_default()
}

impl Text {
    pub(super) fn new(parent: &Element, tag: &str, class: &str) -> Self {
        Self { element: create(parent, tag, class), shown: RefCell::default() }
    }

    /// Shows the text, and returns whether that is a change.
    pub(super) fn set(&self, text: &str) -> bool {
        let mut shown = self.shown.borrow_mut();
        let changed = *shown != text;
        if changed {
            self.element.set_text_content(Some(text));
            text.clone_into(&mut shown);
        }
        changed
    }

    /// Likewise, with the whole text in the tooltip where the element may cut it off.
    pub(super) fn set_titled(&self, text: &str) -> bool {
        let changed = self.set(text);
        if changed {
            self.element.set_title(text);
        }
        changed
    }
}

impl Shown {
    /// Hidden at first.
    pub(super) fn new(element: HtmlElement) -> Self {
        element.set_hidden(true);
        Self { element, shown: Cell::new(false), at: Cell::default() }
    }

    pub(super) fn set(&self, shown: bool) {
        if self.shown.replace(shown) != shown {
            self.element.set_hidden(!shown);
        }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown.get()
    }

    /// Moves it beside a point, inside of the map.
    pub(super) fn stand_beside(&self, anchor: Point, gap_px: f64, viewport: &Viewport) {
        let (width, height) = (self.element.offset_width(), self.element.offset_height());
        let size = Size { width: f64::from(width), height: f64::from(height) };
        let map = Size { width: viewport.width(), height: viewport.height() };
        let at = beside(anchor, gap_px, size, map);
        let at = (at.x.round() as i32, at.y.round() as i32);
        if self.at.replace(Some(at)) != Some(at) {
            style(&self.element, "transform", &format!("translate({}px, {}px)", at.0, at.1));
        }
    }
}

impl Listener {
    pub(super) fn new(target: &EventTarget, kind: &'static str, handle: Box<dyn FnMut(Event)>) -> Self {
        let closure = Closure::wrap(handle);
        let function = closure.as_ref().unchecked_ref();
        target.add_event_listener_with_callback(kind, function).expect_throw("the target takes listeners");
        Self { target: target.clone(), kind, closure }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let function = self.closure.as_ref().unchecked_ref();
        // A listener that is no longer there needs no removing.
        drop(self.target.remove_event_listener_with_callback(self.kind, function));
    }
}
