//! A canvas in the page's colours, measured in CSS pixels.

use std::f64::consts::TAU;

use tidemap_format::Unit;
use wasm_bindgen::UnwrapThrowExt as _;
use web_sys::CanvasRenderingContext2d;

use super::theme::Theme;
use crate::projection::Point;
use crate::raster::PixelBuffer;

/// One painting of a canvas.
pub(super) struct Brush<'a> {
    pub(super) context: &'a CanvasRenderingContext2d,
    /// The markers below.
    pub(super) pixels: &'a PixelBuffer,
    /// Pixels per CSS pixel.
    pub(super) ratio: f64,
    pub(super) theme: &'a Theme,
    pub(super) unit: Unit,
    /// The map's width.
    pub(super) width: f64,
}

impl<'a> Brush<'a> {
    pub(super) fn new(
        context: &'a CanvasRenderingContext2d,
        pixels: &'a PixelBuffer,
        ratio: f64,
        theme: &'a Theme,
        unit: Unit,
    ) -> Self {
        let width = f64::from(pixels.width()) / ratio;
        context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0).unwrap_throw();
        Self { context, pixels, ratio, theme, unit, width }
    }

    pub(super) fn circle(&self, at: Point, radius: f64) {
        self.context.begin_path();
        self.context.arc(at.x, at.y, radius, 0.0, TAU).unwrap_throw();
    }

    /// Centres texts on the point that they are given.
    pub(super) fn centred(&self) {
        self.context.set_text_align("center");
        self.context.set_text_baseline("middle");
    }

    pub(super) fn font(&self, weight: u32, size_px: u32) {
        self.context.set_font(&format!("{weight} {size_px}px {}", self.theme.font));
    }

    pub(super) fn write(&self, text: &str, x: f64, y: f64) {
        self.context.fill_text(text, x, y).unwrap_throw();
    }
}
