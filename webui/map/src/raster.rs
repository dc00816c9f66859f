//! Markers drawn into a pixel buffer.
//!
//! Drawing ten thousand markers with the browser's own `arc()` takes 20 ms and more; copying small prepared
//! pictures into a buffer, which is then put on the canvas at once, takes a tenth of that. Status is shown by
//! shape as well as by colour: a disc is online, a ring warning, an × offline. Each shape has a thin halo
//! that separates it from its neighbours.
//!
//! All translucent pixels have the halo's colour: the outer edge of each shape, and the transparent ground.
//! [`tidemap_pixels`] requires this.

mod stamp;

pub use stamp::{Palette, Shape, Stamp, Stamps, marker_radius_px};

use tidemap_pixels::{Rgba, SPILL, over};

use crate::colour::Rgb;

/// A rectangle of pixels; empty where it has no width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// The picture of all markers, transparent where there is none.
#[derive(Clone, Debug, Default)]
pub struct PixelBuffer {
    width: i32,
    height: i32,
    pixels: Vec<Rgba>,
    /// A row of nothing.
    blank: Vec<Rgba>,
    drawn: PixelRect,
    cleared: PixelRect,
}

impl PixelRect {
    /// The area's width; 0 when there is none.
    pub fn width(&self) -> i32 {
        (self.right - self.left).max(0)
    }

    /// The area's height; 0 when there is none.
    pub fn height(&self) -> i32 {
        (self.bottom - self.top).max(0)
    }

    fn is_empty(&self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// The smallest area that holds both.
    fn joined(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

impl Default for PixelRect {
    /// The empty area, the neutral element of joining.
    fn default() -> Self {
        let far = i32::MAX / 2;
        Self { left: far, top: far, right: -far, bottom: -far }
    }
}

impl PixelBuffer {
    /// Makes room for that many pixels, all transparent.
    pub fn resize(&mut self, width: u32, height: u32) {
        let pixels = vec![[0; 4]; width as usize * height as usize];
        let blank = vec![[0; 4]; width as usize];
        *self = Self { width: width as i32, height: height as i32, pixels, blank, ..Self::default() };
    }

    pub fn width(&self) -> u32 {
        self.width as u32
    }

    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Clears what was drawn before, for markers with a halo of this colour.
    pub fn clear(&mut self, [r, g, b]: Rgb) {
        let ground = [r, g, b, 0];
        if self.blank.first() != Some(&ground) {
            self.blank.fill(ground);
            self.drawn = PixelRect { left: 0, top: 0, right: self.width, bottom: self.height };
        }
        let PixelRect { left, top, right, bottom } = self.drawn;
        for y in top..bottom {
            let row = (y * self.width) as usize;
            let blank = &self.blank[left as usize..right as usize];
            self.pixels[row + left as usize..row + right as usize].copy_from_slice(blank);
        }
        self.cleared = std::mem::take(&mut self.drawn);
    }

    /// What has changed since the previous picture: only this part of the canvas needs an update.
    pub fn damage(&self) -> PixelRect {
        self.cleared.joined(self.drawn)
    }

    /// All pixels, row by row, four bytes each.
    pub fn bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Roughly how much of an area markers cover: points of a grid that do, every few pixels.
    pub fn ink(&self, area: PixelRect) -> usize {
        const STEP: usize = 6;
        let clip = |at: i32, length: i32| at.clamp(0, length);
        let (left, right) = (clip(area.left, self.width), clip(area.right, self.width));
        (clip(area.top, self.height)..clip(area.bottom, self.height))
            .step_by(STEP)
            .map(|y| {
                let row = (y * self.width) as usize;
                let pixels = &self.pixels[row + left as usize..row + right.max(left) as usize];
                pixels.iter().step_by(STEP).filter(|pixel| pixel[3] > 0).count()
            })
            .sum()
    }

    /// Draws a marker with its centre on this pixel.
    pub fn put(&mut self, stamp: &Stamp, x: i32, y: i32) {
        let (left, top) = (x.saturating_sub(stamp.half), y.saturating_sub(stamp.half));
        let side = stamp.side();
        let (right, bottom) = (left.saturating_add(side), top.saturating_add(side));
        let area = PixelRect {
            left: left.max(0),
            top: top.max(0),
            right: right.min(self.width),
            bottom: bottom.min(self.height),
        };
        if area.is_empty() {
            return;
        }
        self.drawn = self.drawn.joined(area);
        if area.width() == side && area.height() == side && right + SPILL as i32 <= self.width {
            let at = (top * self.width + left) as usize;
            return stamp.sprite.put(&mut self.pixels, at, self.width as usize);
        }
        self.put_clipped(stamp, area, left, top);
    }

    /// The part of a marker that is inside the picture; few are cut off.
    fn put_clipped(&mut self, stamp: &Stamp, area: PixelRect, left: i32, top: i32) {
        for y in area.top..area.bottom {
            for x in area.left..area.right {
                let below = &mut self.pixels[(y * self.width + x) as usize];
                *below = over(stamp.pixels[((y - top) * stamp.side() + x - left) as usize], *below);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Palette, PixelBuffer, PixelRect, Shape, Stamps};

    const PALETTE: Palette =
        Palette { online: [0, 255, 0], warning: [90, 90, 90], offline: [255, 0, 0], halo: [255, 255, 255] };

    fn drawn(shape: Shape, radius_px: f32) -> PixelBuffer {
        let mut buffer = PixelBuffer::default();
        buffer.resize(41, 41);
        // The first time, the whole ground is filled.
        buffer.clear(PALETTE.halo);
        buffer.clear(PALETTE.halo);
        buffer.put(Stamps::new(PALETTE, 1.0).get(shape, radius_px), 20, 20);
        buffer
    }

    fn pixel(buffer: &PixelBuffer, x: usize, y: usize) -> [u8; 4] {
        buffer.pixels[y * 41 + x]
    }

    #[test]
    fn each_status_has_a_shape_of_its_own() {
        let (disc, ring, cross) =
            (drawn(Shape::Disc, 8.0), drawn(Shape::Ring, 8.0), drawn(Shape::Cross, 8.0));
        assert_eq!(pixel(&disc, 20, 20), [0, 255, 0, 255]);
        assert_eq!(pixel(&ring, 20, 20), [255, 255, 255, 255], "a ring is hollow");
        assert_eq!(pixel(&ring, 20, 13), [90, 90, 90, 255]);
        assert_eq!(pixel(&cross, 24, 24), [255, 0, 0, 255]);
        assert_eq!(pixel(&cross, 20, 14)[3], 0, "between the arms is nothing");
    }

    #[test]
    fn even_the_smallest_ring_is_hollow() {
        assert_ne!(pixel(&drawn(Shape::Ring, 2.0), 20, 20), [90, 90, 90, 255]);
    }

    #[test]
    fn markers_at_the_edge_are_cut_off() {
        let mut buffer = PixelBuffer::default();
        buffer.resize(10, 10);
        let mut stamps = Stamps::new(PALETTE, 2.0);
        for (x, y) in [(0, 0), (9, 9), (-30, 5), (5, 40), (i32::MAX / 2, 5)] {
            buffer.put(stamps.get(Shape::Disc, 3.0), x, y);
        }
        assert_eq!(buffer.damage(), PixelRect { left: 0, top: 0, right: 10, bottom: 10 });
        assert_eq!(buffer.pixels[0], [0, 255, 0, 255]);
    }

    #[test]
    fn coverage_is_where_markers_are() {
        let buffer = drawn(Shape::Disc, 8.0);
        assert!(buffer.ink(PixelRect { left: 10, top: 10, right: 30, bottom: 30 }) > 4);
        assert_eq!(buffer.ink(PixelRect { left: -50, top: 30, right: 99, bottom: 99 }), 0);
    }

    #[test]
    fn clearing_leaves_nothing_and_says_what_changed() {
        let mut buffer = drawn(Shape::Disc, 2.0);
        let before = buffer.damage();
        buffer.clear(PALETTE.halo);
        assert!(buffer.pixels.iter().all(|pixel| pixel[3] == 0));
        assert_eq!(buffer.damage(), before);
        buffer.clear(PALETTE.halo);
        assert_eq!(buffer.damage().width(), 0);
        buffer.clear(PALETTE.offline);
        assert_eq!(buffer.damage().width(), 41, "all has another ground");
    }

    #[test]
    fn markers_inside_and_at_the_edge_are_drawn_alike() {
        let mut stamps = Stamps::new(PALETTE, 1.5);
        let stamp = stamps.get(Shape::Ring, 7.3);
        let drawn = |width: u32| {
            let mut buffer = PixelBuffer::default();
            buffer.resize(width, 40);
            buffer.clear(PALETTE.halo);
            buffer.put(stamp, 20, 20);
            buffer
                .pixels
                .chunks(width as usize)
                .map(|row| row[..20 + stamp.half as usize].to_vec())
                .collect::<Vec<_>>()
        };
        // In the narrower one there is no room to its right.
        assert_eq!(drawn(60), drawn(20 + stamp.half as u32 + 1));
    }
}
