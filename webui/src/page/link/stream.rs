//! The event stream, which all tabs of the browser share: `stream.js` holds it, `boot.js` leads to it.

use std::cell::RefCell;

use js_sys::Function;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue, wasm_bindgen};

/// What the stream brings, or what happens to it. Texts stay in the browser until they are read.
pub(super) enum Event {
    Opened,
    /// It broke; the browser tries again by itself.
    Interrupted,
    /// It broke, and the browser gave up.
    Closed,
    /// It is withheld on its way, and what is new is asked for instead.
    Polled,
    Snapshot(JsValue),
    Delta(JsValue),
    Stats(JsValue),
    /// Not from the stream: what the nodes moved in the time that is shown; empty when that is now.
    Past(JsValue),
    /// Not from the stream either: what was before the page opened.
    Before(JsValue),
    Ping,
}

#[wasm_bindgen]
extern "C" {
    /// Calls `receive` with a kind and a text; returns the function that closes the stream.
    #[wasm_bindgen(js_name = openStream)]
    fn open_stream(receive: &Function) -> Function;

    /// Has the time shown that this address asks for.
    #[wasm_bindgen(js_name = showPast)]
    pub(in crate::page) fn show_past(query: &str);
}

/// The stream; at most one is open at a time.
pub(super) struct Stream {
    close: RefCell<Option<Function>>,
    listener: Closure<dyn FnMut(String, JsValue)>,
}

impl Stream {
    /// One that is not open yet. A single listener serves every stream that is ever opened: nothing to free.
    pub(super) fn new(mut receive: impl FnMut(Event) + 'static) -> Self {
        let listener = Closure::new(move |kind: String, text: JsValue| {
            if let Some(event) = read(&kind, text) {
                receive(event);
            }
        });
        Self { close: RefCell::new(None), listener }
    }

    /// Opens a new stream in place of any other.
    pub(super) fn open(&self) {
        self.close();
        self.close.replace(Some(open_stream(self.listener.as_ref().unchecked_ref())));
    }

    /// Closes it; it brings nothing any more.
    pub(super) fn close(&self) {
        if let Some(close) = self.close.take() {
            // It sends a message, which cannot fail.
            let _infallible = close.call0(&JsValue::NULL);
        }
    }
}

fn read(kind: &str, text: JsValue) -> Option<Event> {
    match kind {
        "open" => Some(Event::Opened),
        "error" => Some(Event::Interrupted),
        "closed" => Some(Event::Closed),
        "polled" => Some(Event::Polled),
        "snapshot" => Some(Event::Snapshot(text)),
        "delta" => Some(Event::Delta(text)),
        "stats" => Some(Event::Stats(text)),
        "past" => Some(Event::Past(text)),
        "before" => Some(Event::Before(text)),
        "ping" => Some(Event::Ping),
        _ => None,
    }
}
