//! A line or two about what the mouse rests on.

use std::cell::Cell;

use web_sys::HtmlElement;

use super::dom::{Shown, Text, create, set};
use super::popup::status_name;
use crate::projection::Point;
use crate::scene::{Scene, Under};
use crate::{Markers, STATUSES};
use tidemap_format::{Unit, count};

const REACH_PX: f64 = 12.0;
const GAP_PX: f64 = 18.0;

/// The tip's elements, and where the mouse rests.
pub(super) struct Tip {
    panel: Shown,
    what: Text,
    down: Text,
    up: Text,
    pointer: Cell<Option<Point>>,
    under: Cell<Option<Under>>,
}

impl Tip {
    pub(super) fn new(root: &HtmlElement) -> Self {
        let panel = create(root, "div", "map-tip");
        // Everything in it is also in the popup and in the table, which are reached without a mouse.
        set(&panel, "aria-hidden", "true");
        Self {
            what: Text::new(&panel, "div", "map-tip-what"),
            down: Text::new(&panel, "span", "map-down"),
            up: Text::new(&panel, "span", "map-up"),
            panel: Shown::new(panel),
            pointer: Cell::default(),
            under: Cell::default(),
        }
    }

    /// The mouse is elsewhere; says whether the tip changes by that, and whether something is under the
    /// mouse.
    pub(super) fn point_at(&self, pointer: Option<Point>, scene: &Scene) -> (bool, bool) {
        self.pointer.set(pointer);
        let under = pointer.and_then(|at| scene.under(at, REACH_PX));
        (self.under.replace(under) != under, under.is_some())
    }

    pub(super) fn update(&self, scene: &Scene, markers: &Markers<'_>, unit: Unit) {
        let pointer = self.pointer.get().filter(|_| !scene.is_dragged() && !scene.is_moving());
        // Looked up again: what the mouse rests on may have changed without the mouse.
        let under = pointer.and_then(|at| scene.under(at, REACH_PX));
        self.under.set(under);
        let Some((at, [what, down, up])) = under.and_then(|under| describe(under, scene, markers, unit))
        else {
            self.panel.set(false);
            return;
        };
        self.what.set(&what);
        self.down.set(&down);
        self.up.set(&up);
        self.panel.set(true);
        self.panel.stand_beside(at, GAP_PX, scene.viewport());
    }
}

/// Where the thing is, what it is, and its rates; none for the selected node, which has a popup.
fn describe(under: Under, scene: &Scene, markers: &Markers<'_>, unit: Unit) -> Option<(Point, [String; 3])> {
    match under {
        Under::Node(row) if markers.selected == Some(row) => None,
        Under::Node(row) => {
            let what = format!("{} · {}", markers.name(row)?, status_name(markers.status(row)));
            let rates = [markers.rx(row), markers.tx(row)].map(|rate| unit.full(rate.map(f64::from)));
            Some((scene.point_of(row)?, lines(what, rates)))
        }
        Under::Cluster(number) => {
            let cluster = scene.clusters().get(number)?;
            let summary = scene.clusters().summary(cluster, scene.places(), markers);
            let parts = (0..STATUSES).filter(|&status| summary.by_status[status] > 0);
            let parts: Vec<String> = parts
                .map(|status| {
                    format!("{} {}", count(summary.by_status[status] as u64), status_name(status as u8))
                })
                .collect();
            let what = format!("{} nodes: {}", count(cluster.count() as u64), parts.join(", "));
            let at = scene.viewport().to_point(cluster.centre);
            Some((at, lines(what, [summary.rx, summary.tx].map(|rate| unit.full(Some(rate))))))
        }
    }
}

fn lines(what: String, [rx, tx]: [String; 2]) -> [String; 3] {
    [what, format!("↓ {rx}"), format!("↑ {tx}")]
}
