//! The markers of nodes that are shown as themselves, painted pixel by pixel.

use wasm_bindgen::{Clamped, UnwrapThrowExt as _};
use web_sys::{CanvasRenderingContext2d, ImageData};

use crate::Markers;
use crate::raster::{Palette, PixelBuffer, Shape, Stamps, marker_radius_px};
use crate::scene::Scene;

/// Markers beyond the view's edge by this are painted: they reach into it.
const EDGE_PX: f64 = 16.0;

/// The pixels of all markers, and what they are painted from.
pub(super) struct MarkerPainter {
    pub(super) buffer: PixelBuffer,
    stamps: Stamps,
    /// The nodes in view that are drawn as themselves, neighbours together: the same until the view moves.
    singles: Vec<Single>,
    /// Markers that go above those that are online.
    raised: Vec<(u8, i32, i32)>,
}

/// A node, by its row, and the pixel that its marker is on.
struct Single {
    row: u32,
    x: i32,
    y: i32,
}

impl MarkerPainter {
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            buffer: PixelBuffer::default(),
            stamps: Stamps::new(palette, 1.0),
            singles: Vec::new(),
            raised: Vec::new(),
        }
    }

    /// Finds the nodes in view that are drawn as themselves.
    pub(super) fn find_singles(&mut self, scene: &Scene, ratio: f64) {
        let (places, clusters) = (scene.places(), scene.clusters());
        let projector = scene.viewport().projector();
        let (right, bottom) = (scene.viewport().width() + EDGE_PX, scene.viewport().height() + EDGE_PX);
        let pixel = |length: f64| (length * ratio).round_ties_even() as i32;
        self.singles.clear();
        // Neighbours one after the other: the buffer is larger than a processor's cache.
        for at in scene.by_cell().filter(|&at| clusters.is_alone(at)) {
            let point = projector.to_point(places.world(at));
            if point.x > -EDGE_PX && point.y > -EDGE_PX && point.x < right && point.y < bottom {
                self.singles.push(Single { row: places.row[at], x: pixel(point.x), y: pixel(point.y) });
            }
        }
    }

    /// Paints them into the buffer and hands what has changed of that to the canvas.
    pub(super) fn paint(
        &mut self,
        context: &CanvasRenderingContext2d,
        markers: &Markers<'_>,
        palette: Palette,
        ratio: f64,
    ) {
        if !self.stamps.suits(palette, ratio as f32) {
            self.stamps = Stamps::new(palette, ratio as f32);
        }
        self.buffer.clear(palette.halo);
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
        self.put_pixels(context);
    }

    /// The view of the memory is made afresh each time: it is void as soon as the memory grows.
    fn put_pixels(&self, context: &CanvasRenderingContext2d) {
        let damage = self.buffer.damage();
        if damage.width() == 0 {
            return;
        }
        let (width, height) = (self.buffer.width(), self.buffer.height());
        let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(self.buffer.bytes()), width, height);
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
}
