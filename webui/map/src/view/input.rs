//! Listeners: translate the browser's events for the scene.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{Element, Event, EventTarget, KeyboardEvent, MouseEvent, PointerEvent, WheelEvent};

use tidemap_format::lean;

use super::MapView;
use super::dom::{Listener, document, set};
use crate::projection::Point;
use crate::scene::Answer;
use crate::scene::steering::Touch;

/// A wheel's notch is about 100 pixels: three notches are one level.
const LEVELS_PER_WHEEL_PX: f64 = 1.0 / 300.0;
/// A pinch on a trackpad comes as small turns of the wheel with Ctrl held.
const LEVELS_PER_PINCH_PX: f64 = 1.0 / 60.0;
const PX_PER_LINE: f64 = 33.0;
/// One turn moves no farther, however fast it was.
const MAX_LEVELS: f64 = 1.0;

/// Listens until the view is dropped.
pub(super) fn listen(view: &Rc<MapView>) {
    pointers(view);
    let stage: &EventTarget = &view.stage;
    on(view, stage, "wheel", |view, event: &WheelEvent| view.wheel(event));
    on(view, &view.root, "keydown", |view, event: &KeyboardEvent| view.key(event));
    on(view, &view.legend.closer, "click", |view, _: &Event| view.zoom(1.0));
    on(view, &view.legend.farther, "click", |view, _: &Event| view.zoom(-1.0));
    on(view, &view.legend.fit, "click", |view, _: &Event| view.fit());
    on(view, &view.legend.nowhere.element, "click", |view, _: &Event| (view.events.on_nowhere)());
    for close in [&view.popup.close, &view.list.close] {
        on(view, close, "click", |view, _: &Event| view.escape());
    }
    on(view, &view.popup.open, "click", |view, _: &Event| {
        let answer = view.scene.borrow_mut().key("Enter");
        view.respond(answer);
    });
    on(view, &view.popup.others, "click", |view, _: &Event| view.open_place());
    on(view, &view.list.rows, "click", |view, event: &Event| view.choose(event));
}

fn pointers(view: &Rc<MapView>) {
    let stage: &EventTarget = &view.stage;
    on(view, stage, "pointerdown", |view, event: &PointerEvent| {
        if event.button() != 0 {
            return;
        }
        // A pointer that is already gone cannot be captured, and need not be.
        drop(view.stage.set_pointer_capture(event.pointer_id()));
        view.point_at(None);
        view.scene.borrow_mut().press(touch(event));
    });
    on(view, stage, "pointermove", |view, event: &PointerEvent| {
        if event.buttons() == 0 {
            return view.point_at((event.pointer_type() == "mouse").then(|| touch(event).at));
        }
        let answer = view.scene.borrow_mut().drag(touch(event));
        view.respond(answer);
    });
    on(view, stage, "pointerup", |view, event: &PointerEvent| {
        let answer = view.scene.borrow_mut().release(touch(event));
        view.respond(answer);
    });
    on(view, stage, "pointercancel", |view, event: &PointerEvent| {
        view.scene.borrow_mut().cancel(event.pointer_id());
    });
    on(view, stage, "pointerleave", |view, _: &PointerEvent| view.point_at(None));
}

impl MapView {
    fn wheel(&self, event: &WheelEvent) {
        event.prevent_default();
        let px = match event.delta_mode() {
            WheelEvent::DOM_DELTA_LINE => event.delta_y() * PX_PER_LINE,
            WheelEvent::DOM_DELTA_PAGE => event.delta_y() * 300.0,
            _ => event.delta_y(),
        };
        let levels = -px * if event.ctrl_key() { LEVELS_PER_PINCH_PX } else { LEVELS_PER_WHEEL_PX };
        let at = point(event);
        self.scene.borrow_mut().wheel(lean::clamp(levels, -MAX_LEVELS, MAX_LEVELS), at);
        self.respond(Some(Answer::Redraw));
    }

    fn key(&self, event: &KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let on_stage = event.target().is_some_and(|target| target == *self.stage.as_ref());
        let key = event.key();
        // Buttons have their own use for all keys but Escape.
        if !on_stage && key != "Escape" {
            return;
        }
        let answer = self.scene.borrow_mut().key(&key);
        if answer.is_none() {
            return;
        }
        event.prevent_default();
        event.stop_propagation();
        if key == "Escape" {
            self.take_back_focus();
        }
        if matches!(answer, Some(Answer::Select(Some(_)))) {
            self.legend.announce_next();
        }
        self.respond(answer);
    }

    fn zoom(&self, levels: f64) {
        self.scene.borrow_mut().zoom_middle(levels);
        self.respond(Some(Answer::Redraw));
    }

    fn escape(&self) {
        self.take_back_focus();
        let answer = self.scene.borrow_mut().escape();
        self.respond(answer);
    }

    /// The list of the nodes that share the selected one's place.
    fn open_place(&self) {
        self.scene.borrow_mut().list_selected();
        self.take_back_focus();
        self.respond(Some(Answer::Redraw));
    }

    /// A node of the list.
    fn choose(&self, event: &Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let line = target.and_then(|target| target.closest("[data-row]").ok()?);
        let Some(row) = line.and_then(|line| line.get_attribute("data-row")?.parse().ok()) else { return };
        self.scene.borrow_mut().close();
        self.take_back_focus();
        self.respond(Some(Answer::Select(Some(row))));
    }

    /// Where the mouse rests.
    fn point_at(&self, at: Option<Point>) {
        let (changed, over) = self.tip.point_at(at, &self.scene.borrow());
        if changed {
            set(&self.stage, "data-over", if over { "marker" } else { "map" });
            self.respond(Some(Answer::Redraw));
        }
    }

    /// Moves the focus out of an element that closes.
    fn take_back_focus(&self) {
        let active = document().active_element();
        let inside = active.is_some_and(|it| it != *self.stage.as_ref() && self.root.contains(Some(&it)));
        if inside {
            // An element that cannot be focused keeps the page usable all the same.
            drop(self.stage.focus());
        }
    }
}

fn on<E: JsCast>(
    view: &Rc<MapView>,
    target: &EventTarget,
    kind: &'static str,
    handle: impl Fn(&MapView, &E) + 'static,
) {
    let this = Rc::downgrade(view);
    let heard = move |event: Event| {
        if let Some(view) = this.upgrade() {
            handle(&view, event.unchecked_ref());
        }
    };
    let listener = Listener::new(target, kind, Box::new(heard));
    view.listeners.borrow_mut().push(listener);
}

fn touch(event: &PointerEvent) -> Touch {
    Touch {
        id: event.pointer_id(),
        at: point(event),
        is_touch: event.pointer_type() == "touch",
        at_ms: event.time_stamp(),
    }
}

/// Relative to the stage: nothing in it but the stage itself takes pointers.
fn point(event: &MouseEvent) -> Point {
    Point::new(f64::from(event.offset_x()), f64::from(event.offset_y()))
}
