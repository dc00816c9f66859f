//! The page's link to the server: it applies what the stream brings, and shows how current that is.

mod stream;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use sycamore::reactive::{NodeHandle, use_current_scope};
use web_sys::EventTarget;

use crate::connection::{Action, Connection, Phase};
use crate::json;
use crate::pace::{Chip, Feed};

use super::dom::{self, document, window};
use super::redraw::Redraw;
use super::state::{AppState, set_changed};
use super::timings::Timings;

pub(super) use stream::show_past;
use stream::{Event, Stream};

/// The link.
pub(super) struct Link {
    state: AppState,
    scope: NodeHandle,
    feed: Rc<RefCell<Feed>>,
    redraw: Redraw,
    timings: Rc<Timings>,
    connection: RefCell<Connection>,
    stream: Stream,
    received: Received,
}

/// When things came, on the page's clock.
#[derive(Default)]
struct Received {
    event_ms: Cell<f64>,
    totals_ms: Cell<f64>,
    /// How old the totals were when that was last looked at: once a second, so that the sign in the header is
    /// calm.
    totals_age_ms: Cell<Option<f64>>,
}

impl Link {
    pub(super) fn new(
        state: AppState,
        feed: Rc<RefCell<Feed>>,
        redraw: Redraw,
        timings: Rc<Timings>,
    ) -> Rc<Self> {
        Rc::new_cyclic(|weak: &Weak<Self>| {
            let weak = Weak::clone(weak);
            let stream = Stream::new(move |event| {
                if let Some(link) = weak.upgrade() {
                    link.scope.run_in(|| link.receive(event));
                }
            });
            Self {
                state,
                scope: use_current_scope(),
                feed,
                redraw,
                timings,
                connection: RefCell::new(Connection::new(dom::now_ms())),
                stream,
                received: Received::default(),
            }
        })
    }

    /// Opens the stream. While the page is hidden for long it is closed.
    pub(super) fn start(self: &Rc<Self>) {
        self.stream.open();
        // The browser stops, and may discard, a page that has long been hidden or that it keeps for "back".
        let (page, view): (EventTarget, EventTarget) = (document().into(), window().into());
        for (target, name) in [(&page, "freeze"), (&view, "pagehide")] {
            let link = Rc::clone(self);
            dom::listen(target, name, move |_: web_sys::Event| {
                let action = link.connection.borrow_mut().suspended();
                link.perform(action);
            });
        }
        for (target, name) in [(&page, "visibilitychange"), (&page, "resume"), (&view, "pageshow")] {
            let link = Rc::clone(self);
            dom::listen(target, name, move |_: web_sys::Event| {
                let action = link.connection.borrow_mut().seen(!document().hidden(), dom::now_ms());
                link.perform(action);
            });
        }
    }

    /// Does not wait for the countdown.
    pub(super) fn retry_now(&self) {
        let action = self.connection.borrow_mut().retry_now(dom::now_ms());
        self.perform(action);
    }

    /// Time has passed; `is_second` is true about once a second.
    pub(super) fn tick(&self, is_second: bool) {
        let now_ms = dom::now_ms();
        let action = self.connection.borrow_mut().tick(now_ms, js_sys::Math::random());
        self.perform(action);
        if is_second {
            self.update_totals_age(now_ms);
        }
        self.show_phase(now_ms);
    }

    /// Shows the stream's state, in whole seconds.
    pub(super) fn show_phase(&self, now_ms: f64) {
        let whole_seconds = |ms: f64| (ms / 1000.0).floor() * 1000.0;
        let phase = match self.connection.borrow().phase(now_ms) {
            Phase::Stale { silent_ms } => Phase::Stale { silent_ms: whole_seconds(silent_ms) },
            Phase::Disconnected { retry_in_ms } => {
                Phase::Disconnected { retry_in_ms: whole_seconds(retry_in_ms + 999.0) }
            }
            phase => phase,
        };
        let behind_ms = self.feed.borrow().behind_ms(now_ms);
        let AppState { live, display, .. } = self.state;
        set_changed(live.phase, phase);
        let pace = display.pace.get_untracked();
        set_changed(live.chip, Chip::new(phase, pace, behind_ms, self.received.totals_age_ms.get()));
    }

    /// Broker time of what is shown. It goes on between events, but not while what is shown is held.
    pub(super) fn fleet_ms(&self, feed: &Feed) -> i64 {
        let since_ms = dom::now_ms() - self.received.event_ms.get();
        feed.shown().at_ms() + if feed.is_held() { 0 } else { since_ms.max(0.0) as i64 }
    }

    fn receive(&self, event: Event) {
        let now_ms = dom::now_ms();
        match event {
            Event::Opened => self.connection.borrow_mut().opened(now_ms),
            Event::Interrupted => self.connection.borrow_mut().interrupted(now_ms),
            Event::Polled => self.connection.borrow_mut().polled(),
            Event::Closed => self.finish(false, now_ms),
            Event::Ping => self.finish(true, now_ms),
            Event::Past(text) => self.feed.borrow_mut().show_past(json::means(&text).ok()),
            Event::Before(text) => {
                if let Ok(before) = json::before(&text) {
                    self.feed.borrow_mut().fill(&before);
                }
            }
            Event::Snapshot(text) => {
                self.apply(now_ms, |feed| {
                    json::snapshot(&text).is_ok_and(|event| feed.live.apply_snapshot(&event).is_ok())
                });
            }
            Event::Delta(text) => {
                self.apply(now_ms, |feed| {
                    json::delta(&text).is_ok_and(|event| feed.live.apply_delta(&event).is_ok())
                });
            }
            Event::Stats(text) => {
                self.received.totals_ms.set(now_ms);
                self.apply(now_ms, |feed| json::stats(&text).map(|stats| feed.apply_stats(stats)).is_ok());
                if self.received.totals_age_ms.get().is_none() {
                    self.update_totals_age(now_ms);
                }
            }
        }
        self.show_phase(now_ms);
        self.redraw.request();
    }

    /// Applies an event to what is known; `change` says whether it made sense.
    fn apply(&self, now_ms: f64, change: impl FnOnce(&mut Feed) -> bool) {
        let is_sound = change(&mut self.feed.borrow_mut());
        self.timings.note_event(dom::now_ms() - now_ms);
        self.received.event_ms.set(now_ms);
        self.finish(is_sound, now_ms);
    }

    fn finish(&self, is_sound: bool, now_ms: f64) {
        if is_sound {
            return self.connection.borrow_mut().heard(now_ms);
        }
        // A stream that ended for good, or that contradicts itself: only a new one helps.
        let action = self.connection.borrow_mut().failed(now_ms, js_sys::Math::random());
        self.perform(action);
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Keep => return,
            Action::Open => self.stream.open(),
            Action::Close => self.stream.close(),
        }
        self.show_phase(dom::now_ms());
    }

    /// The totals were as old as the server said when they came, and have been here since: only the page's
    /// own clock is used for that.
    fn update_totals_age(&self, now_ms: f64) {
        let sent_ms = self.feed.borrow().stats.as_ref().and_then(|stats| stats.view_age_ms);
        let since_ms = now_ms - self.received.totals_ms.get();
        self.received.totals_age_ms.set(sent_ms.map(|sent_ms| sent_ms as f64 + since_ms));
    }
}
