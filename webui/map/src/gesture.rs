//! What pointers do on the map: drag, pinch, flick, tap, tap twice.

use crate::motion::Track;
use crate::projection::Point;

/// A finger is less steady than a mouse.
const MOUSE_SLOP_PX: f64 = 3.0;
const TOUCH_SLOP_PX: f64 = 10.0;
const DOUBLE_TAP_MS: f64 = 300.0;
const DOUBLE_TAP_PX: f64 = 24.0;

/// The pointers that are down, and their gesture so far.
#[derive(Clone, Debug, Default)]
pub struct Gesture {
    pointers: Vec<Pointer>,
    track: Track,
    /// Where the first pointer went down; `None` once it has moved, or once a second one is down.
    tap: Option<Point>,
    last_tap: Option<(f64, Point)>,
}

/// How the map follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    Pan { dx: f64, dy: f64 },
    Pinch { dx: f64, dy: f64, anchor: Point, factor: f64 },
}

/// The finished gesture, when the last pointer is released.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Release {
    Tap(Point),
    DoubleTap(Point),
    /// Released while moving, in pixels per millisecond.
    Flick((f64, f64)),
}

#[derive(Clone, Copy, Debug)]
struct Pointer {
    id: i32,
    at: Point,
    slop_px: f64,
}

impl Gesture {
    /// Whether a pointer is down.
    pub fn is_down(&self) -> bool {
        !self.pointers.is_empty()
    }

    /// Whether a pointer is down and has left the place where it went down.
    pub fn is_drag(&self) -> bool {
        self.is_down() && self.tap.is_none()
    }

    /// A pointer goes down. A third finger is ignored.
    pub fn press(&mut self, id: i32, at: Point, is_touch: bool, now_ms: f64) {
        if self.pointers.len() >= 2 || self.pointers.iter().any(|pointer| pointer.id == id) {
            return;
        }
        let slop_px = if is_touch { TOUCH_SLOP_PX } else { MOUSE_SLOP_PX };
        self.pointers.push(Pointer { id, at, slop_px });
        self.tap = if self.pointers.len() == 1 { Some(at) } else { None };
        self.track = Track::default();
        self.track.note(now_ms, at);
    }

    /// A pointer that is down moves.
    pub fn drag(&mut self, id: i32, to: Point, now_ms: f64) -> Option<Move> {
        let moving = self.pointers.iter().position(|pointer| pointer.id == id)?;
        if let Some(start) = self.tap {
            if to.distance(start) <= self.pointers[moving].slop_px {
                return None;
            }
            self.tap = None;
        }
        let before = self.pointers.clone();
        self.pointers[moving].at = to;
        match (before.as_slice(), self.pointers.as_slice()) {
            ([was], [_]) => {
                self.track.note(now_ms, to);
                Some(Move::Pan { dx: to.x - was.at.x, dy: to.y - was.at.y })
            }
            ([a, b], [c, d]) => Some(pinch((a.at, b.at), (c.at, d.at))),
            _ => None,
        }
    }

    /// A pointer is let go.
    pub fn release(&mut self, id: i32, now_ms: f64) -> Option<Release> {
        let count = self.pointers.len();
        self.pointers.retain(|pointer| pointer.id != id);
        if self.pointers.len() == count {
            return None;
        }
        if let Some(rest) = self.pointers.first() {
            // The remaining finger starts a new drag.
            self.track = Track::default();
            self.track.note(now_ms, rest.at);
            return None;
        }
        let Some(at) = self.tap.take() else {
            return (count == 1).then(|| Release::Flick(self.track.velocity(now_ms)));
        };
        match self.last_tap.take() {
            Some((then, there)) if now_ms - then <= DOUBLE_TAP_MS && there.distance(at) <= DOUBLE_TAP_PX => {
                Some(Release::DoubleTap(at))
            }
            _ => {
                self.last_tap = Some((now_ms, at));
                Some(Release::Tap(at))
            }
        }
    }

    /// The browser has taken over the pointer, for example for scrolling.
    pub fn cancel(&mut self, id: i32) {
        self.pointers.retain(|pointer| pointer.id != id);
        self.tap = None;
    }
}

/// Two fingers: their midpoint moves the map, and their distance zooms it.
fn pinch(before: (Point, Point), after: (Point, Point)) -> Move {
    let middle = |(a, b): (Point, Point)| Point::new(f64::midpoint(a.x, b.x), f64::midpoint(a.y, b.y));
    let (from, to) = (middle(before), middle(after));
    let factor = after.0.distance(after.1).max(1.0) / before.0.distance(before.1).max(1.0);
    Move::Pinch { dx: to.x - from.x, dy: to.y - from.y, anchor: to, factor }
}

#[cfg(test)]
mod tests {
    use super::{Gesture, Move, Release};
    use crate::projection::Point;

    fn at(x: f64, y: f64) -> Point {
        Point::new(x, y)
    }

    #[test]
    fn small_movements_still_count_as_a_tap() {
        let mut gesture = Gesture::default();
        gesture.press(1, at(100.0, 100.0), true, 0.0);
        assert_eq!(gesture.drag(1, at(106.0, 104.0), 30.0), None);
        assert_eq!(gesture.release(1, 60.0), Some(Release::Tap(at(100.0, 100.0))));
        gesture.press(1, at(104.0, 98.0), true, 150.0);
        assert_eq!(gesture.release(1, 200.0), Some(Release::DoubleTap(at(104.0, 98.0))));
        gesture.press(1, at(104.0, 98.0), true, 250.0);
        assert_eq!(gesture.release(1, 290.0), Some(Release::Tap(at(104.0, 98.0))), "a third tap starts over");
    }

    #[test]
    fn a_drag_pans_and_a_flick_goes_on() {
        let mut gesture = Gesture::default();
        gesture.press(1, at(0.0, 0.0), false, 0.0);
        assert_eq!(gesture.drag(1, at(20.0, 0.0), 10.0), Some(Move::Pan { dx: 20.0, dy: 0.0 }));
        assert_eq!(gesture.drag(1, at(40.0, 5.0), 20.0), Some(Move::Pan { dx: 20.0, dy: 5.0 }));
        assert!(matches!(gesture.release(1, 20.0), Some(Release::Flick((vx, _))) if vx > 1.0));
        assert!(!gesture.is_down());
    }

    #[test]
    fn two_fingers_zoom_about_their_middle() {
        let mut gesture = Gesture::default();
        gesture.press(1, at(100.0, 100.0), true, 0.0);
        gesture.press(2, at(200.0, 100.0), true, 5.0);
        let pinch = gesture.drag(2, at(300.0, 100.0), 20.0);
        assert_eq!(pinch, Some(Move::Pinch { dx: 50.0, dy: 0.0, anchor: at(200.0, 100.0), factor: 2.0 }));
        assert_eq!(gesture.release(1, 30.0), None);
        assert!(matches!(gesture.drag(2, at(290.0, 100.0), 40.0), Some(Move::Pan { .. })));
        assert!(matches!(gesture.release(2, 50.0), Some(Release::Flick(_))));
    }

    #[test]
    fn a_cancelled_pointer_means_nothing() {
        let mut gesture = Gesture::default();
        gesture.press(1, at(0.0, 0.0), true, 0.0);
        gesture.cancel(1);
        assert_eq!(gesture.release(1, 10.0), None);
    }
}
