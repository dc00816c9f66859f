//! The event stream: `GET /api/stream` by the browser's own `EventSource`.

use std::cell::RefCell;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue};
use web_sys::{EventSource, MessageEvent};

const URL: &str = "/api/stream";

/// What the stream brings, or what happens to it. Texts stay in the browser until they are read.
pub(super) enum Event {
    Opened,
    /// It broke; the browser tries again by itself.
    Interrupted,
    /// It broke, and the browser gave up.
    Closed,
    Snapshot(JsValue),
    Delta(JsValue),
    Stats(JsValue),
    Ping,
}

/// The stream; at most one is open at a time.
pub(super) struct Stream {
    source: RefCell<Option<EventSource>>,
    listener: Closure<dyn FnMut(web_sys::Event)>,
}

impl Stream {
    /// One that is not open yet. A single listener serves every stream that is ever opened: nothing to free.
    pub(super) fn new(mut receive: impl FnMut(Event) + 'static) -> Self {
        let listener = Closure::new(move |event: web_sys::Event| {
            if let Some(event) = read(&event) {
                receive(event);
            }
        });
        Self { source: RefCell::new(None), listener }
    }

    /// Opens a new stream in place of any other.
    pub(super) fn open(&self) {
        self.close();
        let Ok(source) = EventSource::new(URL) else { return };
        for name in ["open", "error", "snapshot", "delta", "stats", "ping"] {
            let listener = self.listener.as_ref().unchecked_ref();
            // The names are constants; adding a listener cannot fail.
            let _infallible = source.add_event_listener_with_callback(name, listener);
        }
        self.source.replace(Some(source));
    }

    /// Closes it; it brings nothing any more.
    pub(super) fn close(&self) {
        if let Some(source) = self.source.take() {
            source.close();
        }
    }
}

fn read(event: &web_sys::Event) -> Option<Event> {
    let text = || event.unchecked_ref::<MessageEvent>().data();
    match &*event.type_() {
        "open" => Some(Event::Opened),
        "error" => {
            let source: EventSource = event.target()?.dyn_into().ok()?;
            Some(if source.ready_state() == EventSource::CLOSED { Event::Closed } else { Event::Interrupted })
        }
        "snapshot" => Some(Event::Snapshot(text())),
        "delta" => Some(Event::Delta(text())),
        "stats" => Some(Event::Stats(text())),
        "ping" => Some(Event::Ping),
        _ => None,
    }
}
