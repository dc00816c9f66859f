//! Draws the page: one frame for all changes, panel by panel. It knows no panel by name.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use sycamore::reactive::{NodeHandle, create_effect, use_current_scope};

use crate::pace::{Feed, Pace};

use super::dom::{self, document, window};
use super::link::Link;
use super::panel::{Frame, Panel};
use super::redraw::Redraw;
use super::state::{AppState, set_changed};
use super::timings::Timings;

/// How often to check things that depend on time alone: the watchdog, ages, countdowns.
const TICK_MS: i32 = 500;

/// Draws the panels that were added to it.
pub(super) struct Controller {
    state: AppState,
    scope: NodeHandle,
    feed: Rc<RefCell<Feed>>,
    link: Rc<Link>,
    redraw: Redraw,
    panels: RefCell<Vec<Rc<dyn Panel>>>,
    timings: Rc<Timings>,
    ticks: Cell<u32>,
}

impl Controller {
    pub(super) fn new(state: AppState) -> Rc<Self> {
        let (feed, timings) = (Rc::<RefCell<Feed>>::default(), Rc::<Timings>::default());
        Rc::new_cyclic(|weak: &Weak<Self>| {
            let weak = Weak::clone(weak);
            let redraw = Redraw::new(move |frame_ms| {
                if let Some(controller) = weak.upgrade() {
                    controller.scope.run_in(|| controller.draw(frame_ms));
                }
            });
            let link = Link::new(state, Rc::clone(&feed), redraw.clone(), Rc::clone(&timings));
            Self {
                state,
                scope: use_current_scope(),
                feed,
                link,
                redraw,
                panels: RefCell::default(),
                timings,
                ticks: Cell::new(0),
            }
        })
    }

    /// Panels are drawn in the order in which they are added.
    pub(super) fn add(&self, panel: Rc<dyn Panel>) {
        self.panels.borrow_mut().push(panel);
    }

    /// What was received, and what of it is shown.
    pub(super) fn feed(&self) -> &Rc<RefCell<Feed>> {
        &self.feed
    }

    pub(super) fn link(&self) -> &Rc<Link> {
        &self.link
    }

    pub(super) fn redraw(&self) -> &Redraw {
        &self.redraw
    }

    /// Opens the stream and lets time pass.
    pub(super) fn start(self: &Rc<Self>) {
        self.link.start();
        let controller = Rc::clone(self);
        dom::every(TICK_MS, move || controller.scope.run_in(|| controller.tick()));
        // Browsers run no animation frame before they print. The boot script has already made the screen high
        // enough for all rows.
        let redraw = self.redraw.clone();
        dom::listen(&window(), "beforeprint", move |_: web_sys::Event| redraw.now());
        let (state, redraw) = (self.state, self.redraw.clone());
        create_effect(move || {
            state.track_choices();
            redraw.request();
        });
    }

    fn tick(&self) {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        let is_second = ticks.is_multiple_of(2);
        self.link.tick(is_second);
        if is_second && !document().hidden() {
            self.redraw.request();
        }
    }

    fn draw(&self, frame_ms: f64) {
        let now_ms = dom::now_ms();
        let AppState { live, selection, display, .. } = self.state;
        self.show_totals(display.pace.get_untracked(), now_ms);
        self.link.show_phase(now_ms);

        let feed = self.feed.borrow();
        let fleet = feed.shown();
        set_changed(live.is_loaded, fleet.snapshots() > 0);
        let selected = selection.selected.with_untracked(|name| fleet.row_of(name.as_deref()?));
        let frame = Frame {
            fleet,
            fleet_ms: self.link.fleet_ms(&feed),
            selected,
            unit: display.unit.get_untracked(),
            is_paused: display.pace.get_untracked() == Pace::Paused,
            now_ms,
            frame_ms,
        };
        for panel in &*self.panels.borrow() {
            let begun_ms = dom::now_ms();
            panel.draw(&frame);
            self.timings.note_panel(panel.name(), dom::now_ms() - begun_ms);
        }
        if let Some(figures) = display.figures {
            figures.set(self.timings.note_frame(fleet.len()));
        }
    }

    /// Lets what is shown follow what was received, as fast as the reader wants.
    fn show_totals(&self, pace: Pace, now_ms: f64) {
        let totals = {
            let mut feed = self.feed.borrow_mut();
            if feed.follow(pace, now_ms) { feed.fresh_totals() } else { None }
        };
        if let Some(totals) = totals {
            self.state.live.totals.set(Some(Rc::new(totals)));
        }
    }
}
