//! What frames and events cost, for `?debug`.

use std::cell::{Cell, RefCell};

use tidemap_format as format;

use super::dom::document;

/// The costs so far.
#[derive(Default)]
pub(super) struct Timings {
    event_ms: Cell<f64>,
    longest_ms: Cell<f64>,
    frames: Cell<u64>,
    /// The panels of the newest frame, the last one that was drawn first.
    panels: RefCell<String>,
    frame_ms: Cell<f64>,
}

impl Timings {
    /// An event has been applied.
    pub(super) fn note_event(&self, ms: f64) {
        self.event_ms.set(ms);
    }

    /// A panel has been drawn.
    pub(super) fn note_panel(&self, name: &str, ms: f64) {
        let mut panels = self.panels.borrow_mut();
        let before = std::mem::take(&mut *panels);
        *panels =
            [name, " ", &format::fixed(ms, 1), if before.is_empty() { "" } else { " + " }, &before].concat();
        self.frame_ms.set(self.frame_ms.get() + ms);
    }

    /// All panels have been drawn, for a fleet of so many rows; says what it cost.
    pub(super) fn note_frame(&self, rows: usize) -> String {
        let frame_ms = self.frame_ms.take();
        self.frames.set(self.frames.get() + 1);
        self.longest_ms.set(self.longest_ms.get().max(frame_ms));
        let pool = document().get_elements_by_class_name("grid-node").length();
        let ms = |ms: f64| format::fixed(ms, 1);
        [
            "frame ",
            &ms(frame_ms),
            " ms = ",
            &self.panels.take(),
            ", longest ",
            &ms(self.longest_ms.get()),
            ", event ",
            &ms(self.event_ms.get()),
            " · frames ",
            &format::count(self.frames.get()),
            " · nodes ",
            &format::count(rows as u64),
            " · rows ",
            &format::count(pool.into()),
        ]
        .concat()
    }
}
