//! Requests frames: however often it is called, the page is drawn once before the browser's next paint.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::dom::{self, window};

/// The handle for everything that may need a frame.
#[derive(Clone)]
pub(super) struct Redraw(Rc<Inner>);

struct Inner {
    is_requested: Cell<bool>,
    draw: Rc<dyn Fn(f64)>,
    callback: Closure<dyn FnMut(f64)>,
}

impl Redraw {
    /// `draw` takes the time at which the frame began, on the page's clock.
    pub(super) fn new(draw: impl Fn(f64) + 'static) -> Self {
        let draw: Rc<dyn Fn(f64)> = Rc::new(draw);
        Self(Rc::new_cyclic(|weak: &std::rc::Weak<Inner>| {
            let (weak, in_frame) = (std::rc::Weak::clone(weak), Rc::clone(&draw));
            let callback = Closure::new(move |frame_ms: f64| {
                if let Some(inner) = weak.upgrade() {
                    // Before drawing: what is drawn may ask for the frame after it.
                    inner.is_requested.set(false);
                }
                in_frame(frame_ms);
            });
            Inner { is_requested: Cell::new(false), draw, callback }
        }))
    }

    /// Asks for a frame.
    pub(super) fn request(&self) {
        if self.0.is_requested.replace(true) {
            return;
        }
        let requested = window().request_animation_frame(self.0.callback.as_ref().unchecked_ref());
        self.0.is_requested.set(requested.is_ok());
    }

    /// Draws at once, for what has to be there right now.
    pub(super) fn now(&self) {
        (self.0.draw)(dom::now_ms());
    }
}
