//! What pointers, the wheel and keys do to the scene.

use super::{Answer, Form, Scene, Under};
use crate::gesture::{Move, Release};
use crate::motion::{Motion, Target};
use crate::projection::Point;
use crate::rank;
use tidemap_format::lean;

const KEY_PAN_PX: f64 = 80.0;

/// A pointer's event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Touch {
    pub id: i32,
    pub at: Point,
    /// A finger, which covers what it points at.
    pub is_touch: bool,
    /// When, on the clock of the browser's events.
    pub at_ms: f64,
}

impl Touch {
    /// How far beside a marker a pointer may be and still hit it.
    pub fn reach_px(&self) -> f64 {
        if self.is_touch { 22.0 } else { 12.0 }
    }
}

impl Scene {
    /// A pointer goes down: any movement stops.
    pub fn press(&mut self, touch: Touch) {
        self.motion = None;
        self.gesture.press(touch.id, touch.at, touch.is_touch, touch.at_ms);
    }

    /// A pointer that is down moves.
    pub fn drag(&mut self, touch: Touch) -> Option<Answer> {
        match self.gesture.drag(touch.id, touch.at, touch.at_ms)? {
            Move::Pan { dx, dy } => self.viewport = self.viewport.panned(dx, dy),
            Move::Pinch { dx, dy, anchor, factor } => {
                let zoom = self.viewport.zoom() + lean::log2(factor);
                self.viewport = self.viewport.panned(dx, dy).zoomed(zoom, anchor);
            }
        }
        self.follows_fleet = false;
        Some(Answer::Redraw)
    }

    /// A pointer is let go.
    pub fn release(&mut self, touch: Touch) -> Option<Answer> {
        match self.gesture.release(touch.id, touch.at_ms)? {
            Release::Tap(at) => Some(self.tap(at, touch.reach_px())),
            Release::DoubleTap(at) => {
                self.zoom_by(1.0, at);
                Some(Answer::Redraw)
            }
            Release::Flick(velocity) => {
                self.motion = Motion::glide(velocity);
                Some(Answer::Redraw)
            }
        }
    }

    /// The browser took the pointer for something else.
    pub fn cancel(&mut self, id: i32) {
        self.gesture.cancel(id);
    }

    /// The wheel turned. There is no easing here, because wheels and trackpads have their own.
    pub fn wheel(&mut self, levels: f64, at: Point) {
        self.follows_fleet = false;
        self.motion = None;
        self.viewport = self.viewport.zoomed(self.viewport.zoom() + levels, at);
    }

    /// Zooms by whole levels; presses in quick succession add up.
    pub fn zoom_by(&mut self, levels: f64, anchor: Point) {
        self.follows_fleet = false;
        let zoom = match self.motion {
            Some(Motion::Flight { to, .. }) => to.zoom(),
            _ => self.viewport.zoom(),
        };
        self.motion = Some(Motion::flight(self.viewport, Target::Zoom { zoom: zoom + levels, anchor }));
    }

    /// Closer or farther about the selected node, if it is in view, else about the middle.
    pub fn zoom_middle(&mut self, levels: f64) {
        let (width, height) = (self.viewport.width(), self.viewport.height());
        let in_view = |at: &Point| (0.0..=width).contains(&at.x) && (0.0..=height).contains(&at.y);
        let selected = self.selected.and_then(|row| self.places.find(row));
        let anchor = selected.map(|at| self.viewport.to_point(self.places.world(at))).filter(in_view);
        self.zoom_by(levels, anchor.unwrap_or(Point::new(width / 2.0, height / 2.0)));
    }

    /// Handles a key by its name; `None` if the map does not use it.
    pub fn key(&mut self, key: &str) -> Option<Answer> {
        match key {
            "ArrowLeft" => self.pan(KEY_PAN_PX, 0.0),
            "ArrowRight" => self.pan(-KEY_PAN_PX, 0.0),
            "ArrowUp" => self.pan(0.0, KEY_PAN_PX),
            "ArrowDown" => self.pan(0.0, -KEY_PAN_PX),
            "+" | "=" => self.zoom_middle(1.0),
            "-" | "_" => self.zoom_middle(-1.0),
            "0" | "Home" => self.fit(),
            "]" => return self.step(true),
            "[" => return self.step(false),
            "Enter" => return self.selected.map(Answer::Open),
            "Escape" => return self.escape(),
            _ => return None,
        }
        Some(Answer::Redraw)
    }

    /// Closes the popup, and what was opened with it.
    pub fn escape(&mut self) -> Option<Answer> {
        match (self.selected, self.opened.take()) {
            (Some(_), _) => Some(Answer::Select(None)),
            (None, Some(_)) => Some(Answer::Redraw),
            (None, None) => None,
        }
    }

    fn tap(&mut self, at: Point, reach_px: f64) -> Answer {
        match self.under(at, reach_px) {
            Some(Under::Node(row)) => return Answer::Select(Some(row)),
            Some(Under::Cluster(number)) => {
                self.follows_fleet = false;
                self.take_apart(number);
            }
            None => self.opened = None,
        }
        if self.selected.is_some() { Answer::Select(None) } else { Answer::Redraw }
    }

    fn pan(&mut self, dx: f64, dy: f64) {
        self.follows_fleet = false;
        self.motion = None;
        self.viewport = self.viewport.panned(dx, dy);
    }

    /// The next marker in view, from west to east: a node, or one node for each cluster.
    fn step(&mut self, forward: bool) -> Option<Answer> {
        let stops = self.stops();
        let selected = self.selected.and_then(|row| self.places.find(row));
        let cluster = selected.and_then(|at| self.clusters.of(at));
        let current = stops
            .iter()
            .position(|&at| Some(at) == selected)
            .or_else(|| stops.iter().position(|&at| cluster.is_some() && self.clusters.of(at) == cluster));
        let count = stops.len();
        let next = match (current, forward) {
            _ if count == 0 => return None,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
            (None, true) => 0,
            (None, false) => count - 1,
        };
        let row = self.places.row[stops[next]] as usize;
        // Selected at once, without waiting for the page's confirmation in the next frame, so that two quick
        // steps count as two.
        self.selected = Some(row);
        self.reveal(row);
        Some(Answer::Select(Some(row)))
    }

    /// The markers in view, as positions in the columns of places. Of a cluster that is a spread fan each
    /// node is one, of any other only the first.
    fn stops(&self) -> Vec<usize> {
        let bounds = self.viewport.bounds();
        let fan = self.opened().filter(|opened| opened.form == Form::Fan).map_or(&[][..], |fan| &fan.rows);
        let leads = |at: usize| {
            let cluster = self.clusters.of(at).and_then(|number| self.clusters.get(number));
            cluster.is_none_or(|cluster| self.clusters.members(cluster).first() == Some(&(at as u32)))
        };
        let is_stop = |&at: &usize| {
            bounds.contains(self.places.world(at))
                && (leads(at) || fan.contains(&(self.places.row[at] as usize)))
        };
        let stops: Vec<usize> = (0..self.places.len()).filter(is_stop).collect();
        // By whole pixels: first across, then down.
        let pixel = |at: &usize| {
            let Point { x, y } = self.viewport.to_point(self.places.world(*at));
            (x.max(0.0) as u64) << 32 | y.max(0.0) as u64
        };
        let order = rank::ascending(stops.iter().map(pixel));
        order.into_iter().map(|number| stops[number as usize]).collect()
    }
}
