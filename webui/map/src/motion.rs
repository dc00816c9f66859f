//! How the view moves by itself: gliding on after a flick, and zooming step by step.

use crate::projection::{Point, Viewport};
use tidemap_format::lean;

/// The time in which a glide slows down to a third of its speed.
const GLIDE_MS: f64 = 325.0;
/// A glide slower than this ends.
const STILL_PX_PER_MS: f64 = 0.02;
/// A release slower than this is not a flick.
const FLICK_PX_PER_MS: f64 = 0.15;
const ZOOM_MS: f64 = 180.0;
/// A flick's speed is that of the last moments before the release.
const RECENT_MS: f64 = 80.0;

/// A movement under way. Its clock starts with the first frame after it began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Motion {
    /// Gliding, in pixels per millisecond.
    Glide { vx: f64, vy: f64, at_ms: Option<f64> },
    /// Towards another view.
    Flight { from: Viewport, to: Target, since_ms: Option<f64> },
}

/// Where a flight goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// To a zoom, with the place under a point staying where it is.
    Zoom { zoom: f64, anchor: Point },
    /// To another centre and zoom.
    View(Viewport),
}

/// Where a pointer has been lately.
#[derive(Clone, Debug, Default)]
pub struct Track {
    points: Vec<(f64, Point)>,
}

impl Motion {
    /// A glide, if the flick was fast enough.
    pub fn glide((vx, vy): (f64, f64)) -> Option<Self> {
        (lean::hypot(vx, vy) >= FLICK_PX_PER_MS).then_some(Self::Glide { vx, vy, at_ms: None })
    }

    pub fn flight(from: Viewport, to: Target) -> Self {
        Self::Flight { from, to, since_ms: None }
    }

    /// The view at that time, and the movement that is left.
    pub fn step(self, view: Viewport, now_ms: f64) -> (Viewport, Option<Self>) {
        match self {
            Self::Glide { vx, vy, at_ms } => {
                let elapsed = at_ms.map_or(0.0, |at| lean::clamp(now_ms - at, 0.0, 100.0));
                let decay = lean::exp(-elapsed / GLIDE_MS);
                let travelled = GLIDE_MS * (1.0 - decay);
                let view = view.panned(vx * travelled, vy * travelled);
                let (vx, vy) = (vx * decay, vy * decay);
                let moving = lean::hypot(vx, vy) >= STILL_PX_PER_MS;
                (view, moving.then_some(Self::Glide { vx, vy, at_ms: Some(now_ms) }))
            }
            Self::Flight { from, to, since_ms } => {
                let since = since_ms.unwrap_or(now_ms);
                let part = lean::clamp((now_ms - since) / ZOOM_MS, 0.0, 1.0);
                let flying = part < 1.0;
                (to.part_way(from, part), flying.then_some(Self::Flight { from, to, since_ms: Some(since) }))
            }
        }
    }

    /// The view at its end, for readers who prefer reduced motion.
    pub fn end(self, view: Viewport) -> Viewport {
        match self {
            Self::Glide { .. } => view,
            Self::Flight { from, to, .. } => to.part_way(from, 1.0),
        }
    }
}

impl Target {
    /// The zoom it ends at.
    pub fn zoom(&self) -> f64 {
        match self {
            Self::Zoom { zoom, .. } => *zoom,
            Self::View(view) => view.zoom(),
        }
    }

    fn part_way(&self, from: Viewport, part: f64) -> Viewport {
        // Fast at first, then slower, so that a key press has a visible effect at once.
        let eased = 1.0 - (1.0 - part) * (1.0 - part) * (1.0 - part);
        let zoom = from.zoom() + (self.zoom() - from.zoom()) * eased;
        match self {
            Self::Zoom { anchor, .. } => from.zoomed(zoom, *anchor),
            Self::View(to) if part >= 1.0 => *to,
            Self::View(to) => from.between(to, zoom, eased),
        }
    }
}

impl Track {
    /// Notes where the pointer is.
    pub fn note(&mut self, at_ms: f64, at: Point) {
        self.points.retain(|(then, _)| at_ms - then <= RECENT_MS);
        self.points.push((at_ms, at));
    }

    /// The pointer's speed when it was let go, pixels per millisecond.
    pub fn velocity(&self, now_ms: f64) -> (f64, f64) {
        let recent = || self.points.iter().filter(|(then, _)| now_ms - then <= RECENT_MS);
        match (recent().next(), recent().next_back()) {
            (Some((then, from)), Some((_, to))) if now_ms - then > 0.0 => {
                ((to.x - from.x) / (now_ms - then), (to.y - from.y) / (now_ms - then))
            }
            _ => (0.0, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Motion, Target, Track};
    use crate::projection::{Point, Viewport};

    fn view() -> Viewport {
        Viewport::new(800.0, 600.0).zoomed(5.0, Point::new(400.0, 300.0))
    }

    /// Steps through frames until the movement is over; the view then, and how long it took.
    fn run(mut motion: Motion, mut view: Viewport, frame_ms: f64) -> (Viewport, f64) {
        for frame in 0..10_000 {
            let now_ms = f64::from(frame) * frame_ms;
            match motion.step(view, now_ms) {
                (end, None) => return (end, now_ms),
                (next, Some(rest)) => (view, motion) = (next, rest),
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn a_glide_travels_as_far_at_any_frame_rate() {
        let glide = Motion::glide((1.0, 0.0)).unwrap();
        let anchor = view().to_world(Point::default());
        let (fast, fast_ms) = run(glide, view(), 8.0);
        let (slow, slow_ms) = run(glide, view(), 50.0);
        assert!((fast.to_point(anchor).x - 325.0).abs() < 10.0, "{:?}", fast.to_point(anchor));
        assert!(fast.to_point(anchor).distance(slow.to_point(anchor)) < 10.0);
        assert!(fast_ms < 2_000.0 && slow_ms < 2_000.0);
    }

    #[test]
    fn a_flight_ends_exactly_where_it_goes() {
        let anchor = Point::new(100.0, 500.0);
        let flight = Motion::flight(view(), Target::Zoom { zoom: 7.0, anchor });
        let (end, took_ms) = run(flight, view(), 16.0);
        assert_eq!(end, view().zoomed(7.0, anchor));
        assert_eq!(end, flight.end(view()));
        assert!(took_ms < 250.0);
        let to = view().panned(300.0, -100.0);
        assert_eq!(run(Motion::flight(view(), Target::View(to)), view(), 16.0).0, to);
    }

    #[test]
    fn a_flick_is_what_the_finger_did_last() {
        let mut track = Track::default();
        for step in 0..10 {
            track.note(f64::from(step) * 10.0, Point::new(f64::from(step * 20), 0.0));
        }
        assert!((track.velocity(90.0).0 - 2.0).abs() < 0.1);
        assert_eq!(track.velocity(400.0), (0.0, 0.0), "it rested before it was let go");
        assert_eq!(Motion::glide(track.velocity(400.0)), None);
    }
}
