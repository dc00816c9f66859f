//! Animation frames, the clock, and what they cost.

use std::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};

use sycamore::prelude::window;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use crate::format;

/// Draws once before the next paint, however often it is asked to.
pub(super) struct Frames {
    inner: Rc<Inner>,
}

struct Inner {
    is_asked: Cell<bool>,
    callback: OnceCell<Closure<dyn FnMut(f64)>>,
}

impl Frames {
    pub(super) fn new(mut draw: impl FnMut(f64) + 'static) -> Self {
        let inner = Rc::new(Inner { is_asked: Cell::new(false), callback: OnceCell::new() });
        let weak: Weak<Inner> = Rc::downgrade(&inner);
        inner.callback.get_or_init(|| {
            Closure::new(move |now_ms| {
                if let Some(inner) = weak.upgrade() {
                    // Before drawing: what is drawn may ask for the frame after it.
                    inner.is_asked.set(false);
                    draw(now_ms);
                }
            })
        });
        Self { inner }
    }

    pub(super) fn request(&self) {
        if self.inner.is_asked.replace(true) {
            return;
        }
        if let Some(callback) = self.inner.callback.get() {
            let asked = window().request_animation_frame(callback.as_ref().unchecked_ref());
            self.inner.is_asked.set(asked.is_ok());
        }
    }
}

/// Calls `then` every `ms` for as long as the page lives.
pub(super) fn every(ms: i32, then: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(then);
    // A page without timers has no browser around it.
    let _infallible =
        window().set_interval_with_callback_and_timeout_and_arguments_0(closure.as_ref().unchecked_ref(), ms);
    closure.forget();
}

/// What frames and events cost, for `?debug`.
#[derive(Default)]
pub(super) struct Stopwatch {
    applied_ms: Cell<f64>,
    longest_ms: Cell<f64>,
    frames: Cell<u64>,
}

impl Stopwatch {
    /// An event has been applied.
    pub(super) fn applied(&self, ms: f64) {
        self.applied_ms.set(ms);
    }

    /// A frame has been drawn; says so.
    pub(super) fn drawn(&self, rows_ms: f64, map_ms: f64, rows: usize, pool: usize) -> String {
        let frame_ms = rows_ms + map_ms;
        self.frames.set(self.frames.get() + 1);
        self.longest_ms.set(self.longest_ms.get().max(frame_ms));
        let figures = [
            ("frame ", frame_ms),
            (" ms = rows ", rows_ms),
            (" + map ", map_ms),
            (", longest ", self.longest_ms.get()),
            (", event ", self.applied_ms.get()),
        ];
        let mut text: String = figures.map(|(label, ms)| label.to_owned() + &format::fixed(ms, 1)).concat();
        for (label, count) in
            [(" · frames ", self.frames.get()), (" · nodes ", rows as u64), (" · rows ", pool as u64)]
        {
            text.push_str(label);
            text.push_str(&format::count(count));
        }
        text
    }
}
