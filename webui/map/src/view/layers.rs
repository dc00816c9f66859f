//! The four canvases, one above the other: land, markers, clusters, and what lies above them.

use tidemap_format::lean;
use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

use super::dom::{create, number, set, style, window};
use crate::projection::{Point, Viewport};

/// More pixels than this per CSS pixel cost time and show nothing.
const MAX_RATIO: f64 = 2.0;

/// The canvases, which have one size and move as one.
pub(super) struct Layers {
    element: HtmlElement,
    pub(super) base: Layer,
    pub(super) markers: Layer,
    pub(super) bubbles: Layer,
    pub(super) overlay: Layer,
    /// Pixels per CSS pixel.
    pub(super) ratio: f64,
    size: (u32, u32),
    is_shifted: bool,
}

/// A canvas.
pub(super) struct Layer {
    canvas: HtmlCanvasElement,
    pub(super) context: CanvasRenderingContext2d,
}

impl Layers {
    pub(super) fn new(stage: &HtmlElement) -> Self {
        let element = create(stage, "div", "map-layers");
        Self {
            base: Layer::new(&element),
            markers: Layer::new(&element),
            bubbles: Layer::new(&element),
            overlay: Layer::new(&element),
            element,
            ratio: 1.0,
            size: (0, 0),
            is_shifted: false,
        }
    }

    /// Gives the canvases the stage's size; returns it in pixels when it has changed.
    pub(super) fn fit(&mut self, viewport: &Viewport) -> Option<(u32, u32)> {
        let ratio = lean::clamp(window().device_pixel_ratio(), 1.0, MAX_RATIO);
        let pixels = |length: f64| (length * ratio).round() as u32;
        let (width, height) = (pixels(viewport.width()), pixels(viewport.height()));
        if (width, height) == self.size {
            return None;
        }
        self.ratio = ratio;
        self.size = (width, height);
        for layer in [&self.base, &self.markers, &self.bubbles, &self.overlay] {
            layer.canvas.set_width(width);
            layer.canvas.set_height(height);
            style(&layer.canvas, "width", &(number(viewport.width()) + "px"));
            style(&layer.canvas, "height", &(number(viewport.height()) + "px"));
        }
        Some(self.size)
    }

    /// Moves and scales the bitmaps of one view to where another shows the same places.
    pub(super) fn shift(&mut self, from: &Viewport, to: &Viewport) {
        let scale = to.world_px() / from.world_px();
        let middle = Point::new(from.width() / 2.0, from.height() / 2.0);
        let target = to.to_point(from.to_world(middle));
        let (x, y) = (target.x - middle.x * scale, target.y - middle.y * scale);
        let [x, y, scale] = [x, y, scale].map(number);
        let transform = ["translate(", &x, "px, ", &y, "px) scale(", &scale, ")"].concat();
        style(&self.element, "transform", &transform);
        self.is_shifted = true;
    }

    /// Says what they show, in pixels, for whoever draws between them: how wide the world is, where its upper
    /// left corner is, and how wide the window.
    pub(super) fn tell(&self, viewport: &Viewport) {
        let corner = viewport.origins().nth(1).unwrap_or_default();
        let view = [viewport.world_px(), corner.x, corner.y, viewport.width()];
        set(&self.element, "data-view-px", &view.map(|px| (px.round() as i64).to_string()).join(" "));
    }

    /// Puts the bitmaps where they belong.
    pub(super) fn unshift(&mut self) {
        if std::mem::take(&mut self.is_shifted) {
            style(&self.element, "transform", "none");
        }
    }
}

impl Layer {
    fn new(parent: &HtmlElement) -> Self {
        let canvas: HtmlCanvasElement = create(parent, "canvas", "map-canvas").unchecked_into();
        let context = canvas.get_context("2d").ok().flatten().expect_throw("the browser draws on canvases");
        Self { canvas, context: context.unchecked_into() }
    }

    pub(super) fn clear(&self) {
        let (width, height) = (f64::from(self.canvas.width()), f64::from(self.canvas.height()));
        self.context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0).unwrap_throw();
        self.context.clear_rect(0.0, 0.0, width, height);
    }
}
