//! The event stream: `GET /api/stream` by the browser's own `EventSource`.

use std::cell::RefCell;

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{EventSource, MessageEvent};

use crate::json;
use crate::pace::Feed;

const URL: &str = "/api/stream";

/// What the stream says, or what happened to it.
pub(super) enum Said {
    /// It is open.
    Opened,
    /// It broke; the browser tries again by itself.
    Interrupted,
    /// It broke, and the browser gave up.
    Closed,
    Snapshot(String),
    Delta(String),
    Stats(String),
    Ping,
}

/// The stream; at most one is open at a time.
pub(super) struct Stream {
    source: RefCell<Option<EventSource>>,
    listener: Closure<dyn FnMut(web_sys::Event)>,
}

impl Stream {
    /// One that is not open yet. A single listener serves every stream that is ever opened: nothing to free.
    pub(super) fn new(mut hear: impl FnMut(Said) + 'static) -> Self {
        let listener = Closure::new(move |event: web_sys::Event| {
            if let Some(said) = said(&event) {
                hear(said);
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

    /// Closes it; nothing is heard from it any more.
    pub(super) fn close(&self) {
        if let Some(source) = self.source.take() {
            source.close();
        }
    }
}

fn said(event: &web_sys::Event) -> Option<Said> {
    let data = || event.dyn_ref::<MessageEvent>()?.data().as_string();
    match &*event.type_() {
        "open" => Some(Said::Opened),
        "error" => {
            let source: EventSource = event.target()?.dyn_into().ok()?;
            Some(if source.ready_state() == EventSource::CLOSED { Said::Closed } else { Said::Interrupted })
        }
        "snapshot" => data().map(Said::Snapshot),
        "delta" => data().map(Said::Delta),
        "stats" => data().map(Said::Stats),
        "ping" => Some(Said::Ping),
        _ => None,
    }
}

/// Applies a snapshot; false when it makes no sense.
pub(super) fn snapshot(feed: &mut Feed, text: &str) -> bool {
    json::snapshot(text).is_ok_and(|event| feed.live.apply_snapshot(&event).is_ok())
}

/// Applies a delta, likewise.
pub(super) fn delta(feed: &mut Feed, text: &str) -> bool {
    json::delta(text).is_ok_and(|event| feed.live.apply_delta(&event).is_ok())
}

/// Takes new totals, likewise. They come once a second, which also paces the rows' trends.
pub(super) fn stats(feed: &mut Feed, text: &str) -> bool {
    let Ok(stats) = json::stats(text) else { return false };
    feed.totals.record(&stats);
    feed.live.record_trends();
    feed.stats = Some(stats);
    true
}
