//! What drives the views: it holds the fleet, hears the stream, and draws one frame for each thing that has changed.

mod asking;
mod frame;
mod stream;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use sycamore::prelude::*;

use crate::connection::{Action, Connection, Phase};
use crate::format::Unit;
use crate::herald::Herald;
use crate::map::{Glance, MapView, Markers};
use crate::order::Listing;
use crate::pace::{Chip, Feed, Pace};
use crate::reading::Reading;
use crate::store::Fleet;
use crate::summary::Summarist;

use super::announcer;
use super::board::{Board, Census, set_changed};
use super::dom;
use super::nodes::{Content, Table};

use asking::Asking;
use frame::{Frames, Stopwatch};
use stream::{Said, Stream};

/// How often time itself is a reason to look: the watchdog, ages, countdowns.
const TICK_MS: i32 = 500;

/// What drives the views.
pub(super) struct Engine {
    board: Board,
    scope: NodeHandle,
    feed: RefCell<Feed>,
    listing: RefCell<Listing>,
    connection: RefCell<Connection>,
    stream: Stream,
    frames: Frames,
    asking: Rc<Asking>,
    glancing: Rc<Asking>,
    stopwatch: Stopwatch,
    table: OnceCell<Rc<Table>>,
    map: OnceCell<Rc<MapView>>,
    summarist: RefCell<Summarist>,
    herald: RefCell<Herald>,
    /// Whether somebody is at the summary.
    is_summary_held: OnceCell<Box<dyn Fn() -> bool>>,
    /// When the newest event came, on the page's clock.
    heard_ms: Cell<f64>,
    /// When the newest totals came.
    totalled_ms: Cell<f64>,
    /// How old they were when that was last looked at: once a second, so that the sign in the header is calm.
    age_ms: Cell<Option<f64>>,
    has_new_stats: Cell<bool>,
    scrolls_to_selected: Cell<bool>,
    ticks: Cell<u32>,
}

impl Engine {
    pub(super) fn new(board: Board) -> Rc<Self> {
        Rc::new_cyclic(|weak: &Weak<Self>| {
            let (hearer, drawer) = (Weak::clone(weak), Weak::clone(weak));
            Self {
                board,
                scope: use_current_scope(),
                feed: RefCell::default(),
                listing: RefCell::default(),
                connection: RefCell::new(Connection::new(dom::now_ms())),
                stream: Stream::new(move |said| {
                    if let Some(engine) = hearer.upgrade() {
                        engine.hear(said);
                    }
                }),
                frames: Frames::new(move |now_ms| {
                    if let Some(engine) = drawer.upgrade() {
                        engine.draw(now_ms);
                    }
                }),
                asking: Asking::new(board.open, board.detail),
                glancing: Asking::new(board.selected, board.glance),
                stopwatch: Stopwatch::default(),
                table: OnceCell::new(),
                map: OnceCell::new(),
                summarist: RefCell::default(),
                herald: RefCell::default(),
                is_summary_held: OnceCell::new(),
                heard_ms: Cell::new(0.0),
                totalled_ms: Cell::new(0.0),
                age_ms: Cell::default(),
                has_new_stats: Cell::new(false),
                scrolls_to_selected: Cell::new(false),
                ticks: Cell::new(0),
            }
        })
    }

    /// Opens the stream and lets time pass.
    pub(super) fn start(self: &Rc<Self>) {
        self.stream.open();
        let engine = Rc::clone(self);
        frame::every(TICK_MS, move || engine.tick());
        let engine = Rc::clone(self);
        dom::listen(&document(), "visibilitychange", move |_: web_sys::Event| {
            let action = engine.connection.borrow_mut().seen(!document().hidden(), dom::now_ms());
            engine.perform(action);
        });
        // No frame comes before the sheets are made. The page's boot script has made room for all rows.
        let engine = Rc::clone(self);
        dom::listen(&window(), "beforeprint", move |_: web_sys::Event| engine.draw_now());
        self.asking.follow(self);
        self.glancing.follow(self);
    }

    /// Asks for one drawing before the browser paints next.
    pub(super) fn request_frame(&self) {
        self.frames.request();
    }

    /// Draws at once, for what has to be there right now.
    pub(super) fn draw_now(&self) {
        self.draw(dom::now_ms());
    }

    /// Runs a change of the board from outside of Sycamore.
    pub(super) fn run<T>(&self, change: impl FnOnce() -> T) -> T {
        self.scope.run_in(change)
    }

    pub(super) fn attach_table(&self, table: Rc<Table>) {
        // There is one table; a second would be refused.
        let _first = self.table.set(table);
        self.request_frame();
    }

    pub(super) fn attach_map(&self, map: Rc<MapView>) {
        let _first = self.map.set(map);
        self.request_frame();
    }

    /// Takes what says whether somebody is at the summary.
    pub(super) fn attach_summary(&self, is_held: impl Fn() -> bool + 'static) {
        let _first = self.is_summary_held.set(Box::new(is_held));
        self.request_frame();
    }

    pub(super) fn theme_changed(&self) {
        if let Some(map) = self.map.get() {
            map.set_theme();
        }
        self.request_frame();
    }

    /// Does not wait for the countdown.
    pub(super) fn retry_now(&self) {
        let action = self.connection.borrow_mut().retry_now(dom::now_ms());
        self.perform(action);
    }

    /// Brings the selected row into view with the next frame.
    pub(super) fn show_selected(&self) {
        self.scrolls_to_selected.set(true);
        self.request_frame();
    }

    /// Gives the focus to the node's row, if it is on screen.
    pub(super) fn focus_node(&self, name: &str) -> bool {
        self.table.get().is_some_and(|table| table.focus_node(name))
    }

    /// Gives the focus to the first row.
    pub(super) fn focus_first(&self) {
        if let Some(table) = self.table.get() {
            table.scroll_to(0);
            self.draw_now();
            table.focus_position(0);
        }
    }

    /// The name of the node in this row of what is shown.
    pub(super) fn name_of(&self, row: usize) -> Option<Rc<str>> {
        self.feed.borrow().shown().name(row).cloned()
    }

    /// The name of the node listed at this position.
    pub(super) fn name_at(&self, position: usize) -> Option<Rc<str>> {
        let row = self.listing.borrow().rows().get(position).copied()?;
        self.name_of(row as usize)
    }
}

impl Engine {
    /// Something came from the stream.
    fn hear(&self, said: Said) {
        let now_ms = dom::now_ms();
        let outcome = match said {
            Said::Opened => {
                self.connection.borrow_mut().opened(now_ms);
                None
            }
            Said::Interrupted => {
                self.connection.borrow_mut().interrupted(now_ms);
                None
            }
            Said::Closed => Some(false),
            Said::Ping => Some(true),
            Said::Snapshot(json) => Some(self.apply(now_ms, |feed| stream::snapshot(feed, &json))),
            Said::Delta(json) => Some(self.apply(now_ms, |feed| stream::delta(feed, &json))),
            Said::Stats(json) => {
                self.has_new_stats.set(true);
                self.totalled_ms.set(now_ms);
                let is_sound = self.apply(now_ms, |feed| stream::stats(feed, &json));
                if self.age_ms.get().is_none() {
                    self.look_at_age(now_ms);
                }
                Some(is_sound)
            }
        };
        match outcome {
            Some(true) => self.connection.borrow_mut().heard(now_ms),
            // A stream that ended for good, or that says what cannot be: only a new one helps.
            Some(false) => {
                let action = self.connection.borrow_mut().failed(now_ms, js_sys::Math::random());
                self.perform(action);
            }
            None => {}
        }
        self.show_phase(now_ms);
        self.request_frame();
    }

    fn apply(&self, now_ms: f64, change: impl FnOnce(&mut Feed) -> bool) -> bool {
        let begun_ms = dom::now_ms();
        let is_sound = change(&mut self.feed.borrow_mut());
        self.stopwatch.applied(dom::now_ms() - begun_ms);
        self.heard_ms.set(now_ms);
        is_sound
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Keep => return,
            Action::Open => self.stream.open(),
            Action::Close => self.stream.close(),
        }
        self.show_phase(dom::now_ms());
    }

    fn tick(&self) {
        let now_ms = dom::now_ms();
        let action = self.connection.borrow_mut().tick(now_ms, js_sys::Math::random());
        self.perform(action);
        self.ticks.set(self.ticks.get().wrapping_add(1));
        let is_second = self.ticks.get().is_multiple_of(2);
        if is_second {
            self.look_at_age(now_ms);
        }
        self.show_phase(now_ms);
        self.announce(now_ms);
        if is_second && !document().hidden() {
            self.asking.ask(self.is_paused());
            self.glancing.ask(self.is_paused());
            self.request_frame();
        }
    }

    /// The totals were as old as the server said when they came, and have been here since: no clock but the page's own
    /// has a say in it.
    fn look_at_age(&self, now_ms: f64) {
        let said_ms = self.feed.borrow().stats.as_ref().and_then(|stats| stats.view_age_ms);
        self.age_ms.set(said_ms.map(|said_ms| said_ms as f64 + now_ms - self.totalled_ms.get()));
    }

    fn announce(&self, now_ms: f64) {
        let news = announcer::news(self.board);
        if self.herald.borrow_mut().says(&news, now_ms) {
            self.run(|| self.board.said.set(news));
        }
    }

    fn show_phase(&self, now_ms: f64) {
        let whole_seconds = |ms: f64| (ms / 1000.0).floor() * 1000.0;
        let phase = match self.connection.borrow().phase(now_ms) {
            Phase::Stale { silent_ms } => Phase::Stale { silent_ms: whole_seconds(silent_ms) },
            Phase::Disconnected { retry_in_ms } => {
                Phase::Disconnected { retry_in_ms: whole_seconds(retry_in_ms + 999.0) }
            }
            phase => phase,
        };
        let behind_ms = self.feed.borrow().behind_ms(now_ms);
        self.run(|| {
            set_changed(self.board.phase, phase);
            let pace = self.board.pace.get_untracked();
            set_changed(self.board.chip, Chip::new(phase, pace, behind_ms, self.age_ms.get()));
        });
    }

    fn draw(&self, now_ms: f64) {
        let begun_ms = dom::now_ms();
        let board = self.board;
        if self.feed.borrow_mut().follow(board.pace.get_untracked(), begun_ms) {
            self.publish_reading();
        }
        self.show_phase(begun_ms);

        let feed = self.feed.borrow();
        let fleet = feed.shown();
        let selected = board.selected.get_clone_untracked().and_then(|name| fleet.row_of(&name));
        let (unit, shown_at) = (board.unit.get_untracked(), self.shown_at(&feed));
        // The map first: its letters make the browser work out the page's styles, which rows that are written change.
        let mapping_ms = dom::now_ms();
        self.draw_map(now_ms, fleet, unit, selected, shown_at);
        let mapped_ms = dom::now_ms();
        self.follow_map();
        let is_held = self.table.get().is_some_and(|table| table.is_held());
        let filter = board.filter.get_clone_untracked();
        self.listing.borrow_mut().renew(fleet, &filter, board.sort.get_untracked(), is_held, begun_ms);
        let listing = self.listing.borrow();
        self.write(Content { fleet, listing: &listing, unit, selected, now_ms: shown_at }, is_held);
        if listing.is_behind() {
            self.request_frame();
        }
        self.summarise(fleet, begun_ms);
        if board.debug {
            let pool = self.table.get().map_or(0, |table| table.pool_size());
            let map_ms = mapped_ms - mapping_ms;
            let rows_ms = dom::now_ms() - begun_ms - map_ms;
            let text = self.stopwatch.drawn(rows_ms, map_ms, fleet.len(), pool);
            self.run(|| board.frames.set(text));
        }
    }

    /// Writes all that a frame changes besides the map.
    fn write(&self, content: Content<'_>, is_held: bool) {
        let census = Census {
            is_loaded: content.fleet.snapshots() > 0,
            nodes: content.fleet.node_count(),
            listed: content.listing.rows().len(),
        };
        self.run(|| {
            batch(|| {
                set_changed(self.board.census, census);
                set_changed(self.board.is_held, is_held);
                if let Some(table) = self.table.get() {
                    if let Some(position) = self.scrolled_to(content.listing, content.selected) {
                        table.scroll_to(position);
                    }
                    table.show(content);
                }
            });
        });
    }

    fn summarise(&self, fleet: &Fleet, now_ms: f64) {
        let is_held = self.is_summary_held.get().is_some_and(|is_held| is_held());
        let by = self.board.by.get_clone_untracked();
        if let Some(summary) = self.summarist.borrow_mut().renew(fleet, &by, is_held, now_ms) {
            self.run(|| self.board.summary.set(Rc::new(summary)));
        }
    }

    /// The position to scroll to, once after the selection came from elsewhere than the table.
    fn scrolled_to(&self, listing: &Listing, selected: Option<usize>) -> Option<usize> {
        if !self.scrolls_to_selected.take() {
            return None;
        }
        listing.position_of(selected?)
    }

    fn draw_map(&self, now_ms: f64, fleet: &Fleet, unit: Unit, selected: Option<usize>, shown_at: i64) {
        let Some(map) = self.map.get() else { return };
        let answer = self.board.glance.with_untracked(|state| state.known().cloned());
        let glance = selected.map(|row| Glance::new(fleet, row, unit, shown_at, answer.as_deref()));
        let ((lat, lon), (rx, tx)) = (fleet.coordinates(), fleet.rates());
        map.set_unit(unit);
        map.draw(
            now_ms,
            &Markers {
                name: fleet.names(),
                lat,
                lon,
                location: fleet.locations(),
                status: fleet.statuses(),
                rx,
                tx,
                selected,
                glance: glance.as_ref(),
                generation: fleet.generation(),
                changes: fleet.changes(),
            },
        );
    }

    /// Has the table list what the map shows now, unless somebody points at a row: it must not move away.
    fn follow_map(&self) {
        if let Some(map) = self.map.get()
            && !self.table.get().is_some_and(|table| table.is_pointed_at())
        {
            self.listing.borrow_mut().look_at(map.bounds());
        }
    }

    fn publish_reading(&self) {
        if !self.has_new_stats.take() {
            return;
        }
        let reading = {
            let feed = self.feed.borrow();
            feed.stats.clone().map(|stats| Rc::new(Reading::new(stats, &feed.totals)))
        };
        self.run(|| self.board.reading.set(reading));
    }

    /// Broker time of what is shown. It goes on between events, but not while what is shown is held.
    fn shown_at(&self, feed: &Feed) -> i64 {
        let since_ms = if feed.is_held() { 0.0 } else { (dom::now_ms() - self.heard_ms.get()).max(0.0) };
        feed.shown().at_ms() + since_ms as i64
    }

    /// Whether the reader wants nothing to move.
    fn is_paused(&self) -> bool {
        self.board.pace.get_untracked() == Pace::Paused
    }
}
