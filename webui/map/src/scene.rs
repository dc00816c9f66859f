//! What the map shows and how it reacts: the view, the nodes' positions, the selection, and what is opened.
//!
//! Pure: the view passes in the store's columns, pointers and keys, and then asks what to draw.

pub mod steering;
#[cfg(test)]
mod tests;

use tidemap_format::lean;

use crate::Markers;
use crate::cluster::Clusters;
use crate::fanout::{self, MAX_FAN};
use crate::gesture::Gesture;
use crate::grid::Grid;
use crate::motion::{Motion, Target};
use crate::picking::{Hit, pick};
use crate::places::Places;
use crate::projection::{Bounds, MAX_ZOOM, Point, Viewport, World};

/// The closest zoom that the map chooses by itself: a fleet in one town is shown with the surrounding
/// country.
const FIT_ZOOM: f64 = 6.0;
/// A tap on a cluster goes no more than this many levels closer.
const MAX_STEP: f64 = 3.0;

/// The map's state.
#[derive(Clone, Debug)]
pub struct Scene {
    viewport: Viewport,
    motion: Option<Motion>,
    gesture: Gesture,
    /// The map keeps showing the whole fleet until the reader moves it.
    follows_fleet: bool,
    extent: Option<Bounds>,
    prefers_stillness: bool,
    generation: Option<u64>,
    places: Places,
    grid: Grid,
    clusters: Clusters,
    selected: Option<usize>,
    opened: Option<Opened>,
}

/// Nodes that no zoom separates, opened for a choice among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Where they are.
    pub at: World,
    /// Their rows.
    pub rows: Vec<usize>,
    pub form: Form,
}

/// How they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Spread round their place.
    Fan,
    /// As a list beside it.
    List,
}

/// What is under a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// A node, by its row.
    Node(usize),
    /// A cluster, by its number.
    Cluster(usize),
}

/// What the page has to do after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, but the picture changes.
    Redraw,
    /// Another node is selected, or none.
    Select(Option<usize>),
    /// The reader wants to see all of a node.
    Open(usize),
}

impl Scene {
    pub fn new(width: f64, height: f64, prefers_stillness: bool) -> Self {
        Self {
            viewport: Viewport::new(width, height),
            motion: None,
            gesture: Gesture::default(),
            follows_fleet: true,
            extent: None,
            prefers_stillness,
            generation: None,
            places: Places::default(),
            grid: Grid::default(),
            clusters: Clusters::default(),
            selected: None,
            opened: None,
        }
    }

    pub fn viewport(&self) -> &Viewport {
        &self.viewport
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// All positions in the columns of [`Places`], neighbours together; after [`Self::regroup`].
    pub fn by_cell(&self) -> impl Iterator<Item = usize> {
        self.grid.order().iter().map(|&at| at as usize)
    }

    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_ref()
    }

    /// Whether the view moves by itself.
    pub fn is_moving(&self) -> bool {
        self.motion.is_some()
    }

    /// Whether a pointer drags it.
    pub fn is_dragged(&self) -> bool {
        self.gesture.is_drag()
    }

    /// Takes over what has changed in the store.
    pub fn update(&mut self, markers: &Markers<'_>) {
        if self.generation != Some(markers.generation) {
            self.generation = Some(markers.generation);
            self.places = Places::of(markers);
            self.grid = Grid::default();
            self.opened = self.opened.take().and_then(|opened| self.reopened(&opened));
            self.follow_fleet();
        }
        if self.selected != markers.selected {
            self.selected = markers.selected;
            if let Some(row) = markers.selected {
                self.reveal(row);
            }
        }
    }

    /// Moves the view to where it is at that time, and sorts the nodes for its zoom.
    pub fn advance(&mut self, now_ms: f64) {
        if let Some(motion) = self.motion.take() {
            (self.viewport, self.motion) = if self.prefers_stillness {
                (motion.end(self.viewport), None)
            } else {
                motion.step(self.viewport, now_ms)
            };
        }
    }

    /// Sorts the nodes into cells and clusters for the present zoom; does nothing when they are.
    pub fn regroup(&mut self) {
        let world_px = self.viewport.world_px();
        if (self.grid.world_px() - world_px).abs() > 1e-6 {
            self.grid = Grid::new(&self.places, world_px);
            self.clusters = Clusters::new(&self.places, &self.grid);
        }
    }

    /// The window has another size.
    pub fn resize(&mut self, width: f64, height: f64) {
        self.viewport = self.viewport.resized(width, height);
        if self.follows_fleet {
            self.extent = None;
            self.follow_fleet();
        }
    }

    /// What is under a pointer that need not hit exactly.
    pub fn under(&self, at: Point, reach_px: f64) -> Option<Under> {
        if let Some((row, _)) = self.fan_member(at) {
            return Some(Under::Node(row));
        }
        match pick(&self.viewport, at, reach_px, &self.places, &self.grid, &self.clusters)? {
            Hit::Node(at) => Some(Under::Node(self.places.row[at] as usize)),
            Hit::Cluster(number) => Some(Under::Cluster(number)),
        }
    }

    /// Where a node is seen: on its fan, if that is spread.
    pub fn point_of(&self, row: usize) -> Option<Point> {
        if let Some(Opened { at, rows, form: Form::Fan }) = &self.opened
            && let Some(number) = rows.iter().position(|&other| other == row)
        {
            let (centre, offset) = (self.viewport.to_point(*at), fanout::offsets(rows.len())[number]);
            return Some(Point::new(centre.x + offset.x, centre.y + offset.y));
        }
        Some(self.viewport.to_point(self.places.world(self.places.find(row)?)))
    }

    /// The circle that a box about a node must leave free: its marker, of the given radius, or the whole fan
    /// that the marker is part of. Returns its middle and radius.
    pub fn anchor(&self, row: usize, marker_px: f64) -> Option<(Point, f64)> {
        match &self.opened {
            Some(Opened { at, rows, form: Form::Fan }) if rows.contains(&row) => {
                Some((self.viewport.to_point(*at), fanout::radius_px(rows.len())))
            }
            _ => Some((self.point_of(row)?, marker_px)),
        }
    }

    /// How many nodes share a node's place, itself included.
    pub fn count_at(&self, row: usize) -> usize {
        self.places.find(row).map_or(0, |at| self.places.count_at(at))
    }

    /// The whole fleet in view; from now on also as it grows.
    pub fn fit(&mut self) {
        self.follows_fleet = true;
        self.extent = Bounds::around((0..self.places.len()).map(|at| self.places.world(at)));
        self.fly_to(self.viewport.fitted(self.extent, FIT_ZOOM));
    }

    /// Opens the place of the selected node as a list.
    pub fn list_selected(&mut self) {
        if let Some(at) = self.selected.and_then(|row| self.places.find(row)) {
            let (at, rows) = (self.places.world(at), self.places.neighbours(at));
            self.opened = Some(Opened { at, rows, form: Form::List });
        }
    }

    /// Closes what is opened.
    pub fn close(&mut self) {
        self.opened = None;
    }

    fn follow_fleet(&mut self) {
        if !self.follows_fleet {
            return;
        }
        let extent = Bounds::around((0..self.places.len()).map(|at| self.places.world(at)));
        if extent != self.extent {
            self.extent = extent;
            self.motion = None;
            self.viewport = self.viewport.fitted(extent, FIT_ZOOM);
        }
    }

    /// Brings a node into view that was selected elsewhere, and spreads its place.
    fn reveal(&mut self, row: usize) {
        let Some(at) = self.places.find(row) else {
            self.opened = None;
            return;
        };
        if !self.opened.as_ref().is_some_and(|it| it.form == Form::Fan && it.rows.contains(&row)) {
            self.opened = None;
            if (2..=MAX_FAN).contains(&self.places.count_at(at)) {
                self.open(self.places.world(at), self.places.neighbours(at));
            }
        }
        let seen = self.viewport.to_point(self.places.world(at));
        let inside = (0.0..=self.viewport.width()).contains(&seen.x)
            && (0.0..=self.viewport.height()).contains(&seen.y);
        if !inside {
            self.fly_to(self.viewport.centred(self.places.world(at)));
        }
    }

    /// Opens nodes that no zoom takes apart: few as a fan, many as a list.
    fn open(&mut self, at: World, rows: Vec<usize>) {
        let form = if rows.len() <= MAX_FAN { Form::Fan } else { Form::List };
        if form == Form::Fan {
            self.make_room(at, fanout::radius_px(rows.len()));
        }
        self.opened = Some(Opened { at, rows, form });
    }

    /// Moves the map so far that a circle is in view, if it fits at all.
    fn make_room(&mut self, at: World, radius_px: f64) {
        let seen = self.viewport.to_point(at);
        let push = |at: f64, length: f64| (radius_px - at).max(0.0) + (length - radius_px - at).min(0.0);
        let (dx, dy) = (push(seen.x, self.viewport.width()), push(seen.y, self.viewport.height()));
        if dx != 0.0 || dy != 0.0 {
            self.fly_to(self.viewport.panned(dx, dy));
        }
    }

    /// The same place opened again after rows or places have changed; `None` if it is no longer shared.
    fn reopened(&self, opened: &Opened) -> Option<Opened> {
        let at = opened.rows.iter().find_map(|&row| self.places.find(row))?;
        let rows = match opened.form {
            Form::Fan => self.places.neighbours(at),
            Form::List => {
                opened.rows.iter().copied().filter(|&row| self.places.find(row).is_some()).collect()
            }
        };
        let form = if rows.len() > MAX_FAN { Form::List } else { opened.form };
        (rows.len() > 1).then(|| Opened { at: self.places.world(at), rows, form })
    }

    /// The node of the spread fan that is there.
    fn fan_member(&self, at: Point) -> Option<(usize, usize)> {
        let Some(Opened { at: centre, rows, form: Form::Fan }) = &self.opened else { return None };
        let centre = self.viewport.to_point(*centre);
        let number = fanout::pick(rows.len(), Point::new(at.x - centre.x, at.y - centre.y))?;
        Some((rows[number], number))
    }

    /// A tap on a cluster separates its nodes: by zooming, or by opening it if no zoom does.
    fn take_apart(&mut self, number: usize) {
        let Some(cluster) = self.clusters.get(number) else { return };
        let closest = self.viewport.zoom() >= MAX_ZOOM - 0.01;
        if cluster.one_site || closest {
            let members = self.clusters.members(cluster).iter();
            let rows = members.map(|&at| self.places.row[at as usize] as usize).collect();
            let at = cluster.centre;
            self.open(at, rows);
        } else {
            let bounds = self.clusters.bounds(cluster, &self.places);
            let view = self.viewport.fitted(bounds, MAX_ZOOM);
            // A visible step, but not so far that the reader loses orientation.
            let zoom = lean::clamp(view.zoom(), self.viewport.zoom() + 1.0, self.viewport.zoom() + MAX_STEP);
            let middle = Point::new(view.width() / 2.0, view.height() / 2.0);
            self.fly_to(view.zoomed(zoom, middle));
        }
    }

    fn fly_to(&mut self, view: Viewport) {
        self.motion = Some(Motion::flight(self.viewport, Target::View(view)));
    }
}
