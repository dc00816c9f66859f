//! The four canvases: land, markers, clusters, and what lies above them. Only what has changed is painted.

use std::rc::Weak;

use wasm_bindgen::{Clamped, JsCast as _, UnwrapThrowExt as _};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement, ImageData, Performance};

use super::MapView;
use super::base::{Base, Level};
use super::bubbles::Bubble;
use super::dom::{create, number, style, window};
use super::overlay::Brush;
use super::theme::Theme;
use super::tiles::Tiles;
use crate::between::Between;
use crate::format::Unit;
use crate::map::Markers;
use crate::map::projection::{Point, Viewport};
use crate::map::raster::{PixelBuffer, Shape, Stamps, marker_radius_px};
use crate::map::scene::{Opened, Scene};
use crate::map::world::BaseMap;

/// More pixels than this per CSS pixel cost time and show nothing.
const MAX_RATIO: f64 = 2.0;
/// While the view moves, no more than this part of the time goes into painting; in between, bitmaps are moved.
const PAINTING_SHARE: f64 = 0.5;
/// Painting that takes less is done in every frame.
const CHEAP_MS: f64 = 6.0;

/// The canvases and what they show.
pub(super) struct Easel {
    layers: HtmlElement,
    base_layer: Layer,
    marker_layer: Layer,
    bubble_layer: Layer,
    overlay_layer: Layer,
    base: Base,
    theme: Theme,
    ratio: f64,
    /// What the bitmaps show; none when all must be painted anew.
    painted: Option<Painted>,
    painted_ms: f64,
    cost_ms: f64,
    is_shifted: bool,
    buffer: PixelBuffer,
    stamps: Stamps,
    /// The nodes in view that are drawn as themselves, neighbours together: the same until the view moves.
    singles: Vec<Single>,
    /// Markers that go above those that are online.
    raised: Vec<(u8, i32, i32)>,
    /// The clusters that are painted.
    bubbles: Vec<Bubble>,
    clock: Performance,
}

/// A node, by its row, and the pixel that its marker is on.
struct Single {
    row: u32,
    x: i32,
    y: i32,
}

/// All that decides what the bitmaps look like, but the theme and the base map.
#[derive(Debug, PartialEq)]
struct Painted {
    viewport: Viewport,
    generation: u64,
    changes: u64,
    selected: Option<usize>,
    opened: Option<Opened>,
    unit: Unit,
}

/// A canvas.
struct Layer {
    canvas: HtmlCanvasElement,
    context: CanvasRenderingContext2d,
}

impl Easel {
    pub(super) fn new(stage: &HtmlElement, root: &HtmlElement, map: Weak<MapView>) -> Self {
        let layers = create(stage, "div", "map-layers");
        let theme = Theme::read(root);
        Self {
            base_layer: Layer::new(&layers),
            marker_layer: Layer::new(&layers),
            bubble_layer: Layer::new(&layers),
            overlay_layer: Layer::new(&layers),
            layers,
            base: Base::new(Tiles::read(root, map)),
            ratio: 1.0,
            painted: None,
            painted_ms: f64::NEG_INFINITY,
            cost_ms: 0.0,
            is_shifted: false,
            buffer: PixelBuffer::default(),
            stamps: Stamps::new(theme.palette, 1.0),
            singles: Vec::new(),
            raised: Vec::new(),
            bubbles: Vec::new(),
            clock: window().performance().expect_throw("the browser has a clock"),
            theme,
        }
    }

    pub(super) fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    /// Paints everything anew with the next frame.
    pub(super) fn repaint(&mut self) {
        self.painted = None;
    }

    pub(super) fn put_base(&mut self, level: Level, map: Option<BaseMap>) {
        if let Some(map) = map {
            self.base.put(level, &map);
            self.painted = None;
        }
    }

    pub(super) fn set_theme(&mut self, root: &HtmlElement) {
        self.theme = Theme::read(root);
        self.painted = None;
    }

    /// Brings the canvases up to date; says whether they are, or only moved for now.
    pub(super) fn paint(&mut self, scene: &mut Scene, markers: &Markers<'_>, unit: Unit) -> bool {
        let viewport = *scene.viewport();
        if viewport.width() < 1.0 || viewport.height() < 1.0 {
            return true;
        }
        self.fit(&viewport);
        let started_ms = self.clock.now();
        let wanted = Painted {
            viewport,
            generation: markers.generation,
            changes: markers.changes,
            selected: markers.selected,
            opened: scene.opened().cloned(),
            unit,
        };
        // Most frames are about something else: a list that scrolls, a search, a pointer that rests on a marker.
        if self.painted.as_ref() == Some(&wanted) {
            self.unshift();
            return true;
        }
        let before = self.painted.as_ref().map(|painted| painted.viewport);
        let moved = before != Some(viewport);
        if let Some(before) = before
            && moved
            && self.cost_ms > CHEAP_MS
            && started_ms - self.painted_ms < self.cost_ms / PAINTING_SHARE
        {
            self.shift(&before, &viewport);
            return false;
        }
        scene.regroup();
        if moved {
            if !scene.is_moving() {
                self.base.ask_tiles(&viewport, started_ms);
            }
            self.base_layer.clear();
            self.base.paint(&self.base_layer.context, &viewport, self.ratio, &self.theme);
        }
        let is_elsewhere =
            moved || self.painted.as_ref().is_none_or(|painted| painted.generation != wanted.generation);
        if is_elsewhere {
            self.find_singles(scene);
        }
        self.paint_markers(markers);
        let bubbles = Bubble::in_view(scene, markers);
        // With a thousand and more of them it is they that take the longest, and most ticks change nothing of theirs.
        if self.painted.is_none() || !Bubble::look_alike(&bubbles, &self.bubbles) {
            self.bubble_layer.clear();
            if !bubbles.is_empty() {
                self.brush(&self.bubble_layer, unit).bubbles(&bubbles);
            }
        }
        self.overlay_layer.clear();
        self.brush(&self.overlay_layer, unit).overlay(scene, markers, &bubbles);
        self.bubbles = bubbles;
        self.unshift();
        self.painted = Some(wanted);
        self.painted_ms = self.clock.now();
        self.cost_ms = self.painted_ms - started_ms;
        true
    }

    fn brush<'a>(&'a self, layer: &'a Layer, unit: Unit) -> Brush<'a> {
        Brush::new(&layer.context, &self.buffer, self.ratio, &self.theme, unit)
    }

    fn find_singles(&mut self, scene: &Scene) {
        let (places, clusters) = (scene.places(), scene.clusters());
        let projector = scene.viewport().projector();
        let (right, bottom) = (scene.viewport().width() + 16.0, scene.viewport().height() + 16.0);
        let ratio = self.ratio;
        let pixel = |length: f64| (length * ratio).round_ties_even() as i32;
        self.singles.clear();
        // Neighbours one after the other: the buffer is larger than a processor's cache.
        for at in scene.by_cell().filter(|&at| clusters.is_alone(at)) {
            let point = projector.to_point(places.world(at));
            if point.x > -16.0 && point.y > -16.0 && point.x < right && point.y < bottom {
                self.singles.push(Single { row: places.row[at], x: pixel(point.x), y: pixel(point.y) });
            }
        }
    }

    fn paint_markers(&mut self, markers: &Markers<'_>) {
        if !self.stamps.suits(self.theme.palette, self.ratio as f32) {
            self.stamps = Stamps::new(self.theme.palette, self.ratio as f32);
        }
        self.buffer.clear(self.theme.palette.halo);
        self.raised.clear();
        for &Single { row, x, y } in &self.singles {
            let row = row as usize;
            match markers.status(row) {
                0 => {
                    let stamp = self.stamps.get(Shape::Disc, marker_radius_px(markers.volume(row)));
                    self.buffer.put(stamp, x, y);
                }
                status => self.raised.push((status, x, y)),
            }
        }
        for status in [1, 2] {
            let stamp = self.stamps.get(Shape::of_status(status), 0.0);
            for &(_, x, y) in self.raised.iter().filter(|raised| raised.0 == status) {
                self.buffer.put(stamp, x, y);
            }
        }
        self.put_pixels();
    }

    /// Hands the changed part of the buffer to the canvas. The view of the memory is made afresh each time: it is void
    /// as soon as the memory grows.
    fn put_pixels(&self) {
        let damage = self.buffer.damage();
        if damage.width() == 0 {
            return;
        }
        let (width, height) = (self.buffer.width(), self.buffer.height());
        let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(self.buffer.bytes()), width, height);
        let context = &self.marker_layer.context;
        let put = image.and_then(|image| {
            context.put_image_data_with_dirty_x_and_dirty_y_and_dirty_width_and_dirty_height(
                &image,
                0.0,
                0.0,
                f64::from(damage.left),
                f64::from(damage.top),
                f64::from(damage.width()),
                f64::from(damage.height()),
            )
        });
        put.expect_throw("the buffer is as large as the canvas");
    }

    /// Gives the canvases the stage's size.
    fn fit(&mut self, viewport: &Viewport) {
        let ratio = window().device_pixel_ratio().between(1.0, MAX_RATIO);
        let pixels = |length: f64| (length * ratio).round() as u32;
        let (width, height) = (pixels(viewport.width()), pixels(viewport.height()));
        if (width, height) == (self.buffer.width(), self.buffer.height()) {
            return;
        }
        self.ratio = ratio;
        for layer in [&self.base_layer, &self.marker_layer, &self.bubble_layer, &self.overlay_layer] {
            layer.canvas.set_width(width);
            layer.canvas.set_height(height);
            style(&layer.canvas, "width", &(number(viewport.width()) + "px"));
            style(&layer.canvas, "height", &(number(viewport.height()) + "px"));
        }
        self.buffer.resize(width, height);
        self.painted = None;
    }

    /// Moves and scales the bitmaps of one view to where another shows the same places.
    fn shift(&mut self, from: &Viewport, to: &Viewport) {
        let scale = to.world_px() / from.world_px();
        let middle = Point::new(from.width() / 2.0, from.height() / 2.0);
        let target = to.to_point(from.to_world(middle));
        let (x, y) = (target.x - middle.x * scale, target.y - middle.y * scale);
        let [x, y, scale] = [x, y, scale].map(number);
        style(&self.layers, "transform", &format!("translate({x}px, {y}px) scale({scale})"));
        self.is_shifted = true;
    }

    fn unshift(&mut self) {
        if std::mem::take(&mut self.is_shifted) {
            style(&self.layers, "transform", "none");
        }
    }
}

impl Layer {
    fn new(parent: &HtmlElement) -> Self {
        let canvas: HtmlCanvasElement = create(parent, "canvas", "map-canvas").unchecked_into();
        let context = canvas.get_context("2d").ok().flatten().expect_throw("the browser draws on canvases");
        Self { canvas, context: context.unchecked_into() }
    }

    fn clear(&self) {
        let (width, height) = (f64::from(self.canvas.width()), f64::from(self.canvas.height()));
        self.context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0).unwrap_throw();
        self.context.clear_rect(0.0, 0.0, width, height);
    }
}
