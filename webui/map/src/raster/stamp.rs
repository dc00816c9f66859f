//! Pictures of markers: which shape and size they have, and what they look like pixel by pixel.

use tidemap_format::lean;
use tidemap_pixels::{Rgba, Sprite, over};

use crate::colour::Rgb;

/// Radii are drawn in quarters of a CSS pixel: finer steps cannot be seen.
const STEPS_PER_PX: f32 = 4.0;
const MIN_RADIUS_PX: f32 = 2.0;
const MAX_RADIUS_PX: f32 = 11.0;
/// A ring or × smaller than this reads as a dot.
const MIN_SHAPE_RADIUS_PX: f32 = 4.0;
const STEPS: usize = ((MAX_RADIUS_PX - MIN_RADIUS_PX) * STEPS_PER_PX) as usize + 1;
/// 1 Gbit/s, up and down together, is nearly the largest marker.
const PX_PER_ROOT_MB: f32 = 0.75;
const HALO_PX: f32 = 1.0;
const LINE_PX: f32 = 2.0;

/// A marker's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Disc,
    Ring,
    Cross,
}

/// The colours of shapes and of what sets them apart from the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    pub online: Rgb,
    pub warning: Rgb,
    pub offline: Rgb,
    pub halo: Rgb,
}

/// Pictures of markers for one palette and one pixel density, each made when it is first needed.
#[derive(Clone, Debug)]
pub struct Stamps {
    palette: Palette,
    ratio: f32,
    made: Vec<Option<Stamp>>,
}

/// A square picture with its centre in the middle.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// From the centre to the edges, in pixels.
    pub(super) half: i32,
    pub(super) pixels: Vec<Rgba>,
    /// The same, to be put where nothing of it is cut off.
    pub(super) sprite: Sprite,
}

/// A marker's radius in CSS pixels: the disc's area grows with the rate. Without a rate it is the smallest.
pub fn marker_radius_px(bytes_per_second: Option<f32>) -> f32 {
    let megabytes = bytes_per_second.unwrap_or(0.0).max(0.0) / 1e6;
    lean::clamp_f32(MIN_RADIUS_PX + PX_PER_ROOT_MB * megabytes.sqrt(), MIN_RADIUS_PX, MAX_RADIUS_PX)
}

impl Shape {
    /// By the status's number on the wire: 0 online, 1 warning, 2 offline, 3 unknown.
    pub fn of_status(status: u8) -> Self {
        match status {
            0 => Self::Disc,
            2 => Self::Cross,
            _ => Self::Ring,
        }
    }

    /// The radius it is drawn with: rings and crosses stay large enough to differ from discs.
    pub fn radius_px(self, radius_px: f32) -> f32 {
        if self == Self::Disc { radius_px } else { radius_px.max(MIN_SHAPE_RADIUS_PX) }
    }

    /// How much of the pixel at `x`, `y` from the centre the shape's line or face covers, and how much its
    /// halo.
    fn coverage(self, x: f32, y: f32, radius: f32, line: f32, halo: f32) -> (f32, f32) {
        let from_centre = (x * x + y * y).sqrt();
        let within = |distance: f32| lean::clamp_f32(0.5 - distance, 0.0, 1.0);
        match self {
            Self::Disc => (within(from_centre - radius), within(from_centre - radius - halo)),
            Self::Ring => {
                let middle = radius - line / 2.0;
                (within((from_centre - middle).abs() - line / 2.0), within(from_centre - radius - halo))
            }
            Self::Cross => {
                // Distance to the nearer of two diagonals of the square that the radius spans.
                let (along, across) = ((x + y).abs(), (x - y).abs());
                let (long, short) = (along.max(across), along.min(across));
                let beyond = ((long - 2.0 * radius) / std::f32::consts::SQRT_2).max(0.0);
                let distance = (beyond * beyond + short * short / 2.0).sqrt();
                (within(distance - line / 2.0), within(distance - line / 2.0 - halo))
            }
        }
    }
}

impl Stamps {
    /// `ratio` is device pixels per CSS pixel.
    pub fn new(palette: Palette, ratio: f32) -> Self {
        Self { palette, ratio, made: vec![None; 3 * STEPS] }
    }

    /// Whether these are the pictures for that palette and density.
    pub fn suits(&self, palette: Palette, ratio: f32) -> bool {
        self.palette == palette && (self.ratio - ratio).abs() < f32::EPSILON
    }

    /// The picture of a marker of that shape and radius.
    pub fn get(&mut self, shape: Shape, radius_px: f32) -> &Stamp {
        let radius_px = lean::clamp_f32(shape.radius_px(radius_px), MIN_RADIUS_PX, MAX_RADIUS_PX);
        // Ties to even, here and below: that is one machine instruction.
        let step = ((radius_px - MIN_RADIUS_PX) * STEPS_PER_PX).round_ties_even();
        let (palette, ratio) = (self.palette, self.ratio);
        self.made[shape as usize * STEPS + step as usize].get_or_insert_with(|| {
            Stamp::new(shape, (MIN_RADIUS_PX + step / STEPS_PER_PX) * ratio, ratio, palette)
        })
    }
}

impl Stamp {
    fn new(shape: Shape, radius: f32, ratio: f32, palette: Palette) -> Self {
        let colour = match shape {
            Shape::Disc => palette.online,
            Shape::Ring => palette.warning,
            Shape::Cross => palette.offline,
        };
        // A cross's arms reach the corners of the square, not the circle: shorten them to look as large as a
        // disc.
        let radius = if shape == Shape::Cross { radius * 0.8 } else { radius };
        let line_px = if shape == Shape::Cross { LINE_PX / 2.0 } else { 0.0 };
        let reach = radius + (HALO_PX + line_px) * ratio;
        let half = (reach + 0.5).floor() as i32;
        let mut pixels = Vec::with_capacity(((2 * half + 1) * (2 * half + 1)) as usize);
        for y in -half..=half {
            for x in -half..=half {
                let (x, y) = (x as f32, y as f32);
                let (face, halo) = shape.coverage(x, y, radius, LINE_PX * ratio, HALO_PX * ratio);
                pixels.push(over(with_opacity(colour, face), with_opacity(palette.halo, halo)));
            }
        }
        let sprite = Sprite::new(&pixels, 2 * half as usize + 1);
        Self { half, pixels, sprite }
    }

    /// Its width and height.
    pub(super) fn side(&self) -> i32 {
        2 * self.half + 1
    }
}

fn with_opacity([r, g, b]: Rgb, opacity: f32) -> Rgba {
    [r, g, b, (opacity * 255.0).round() as u8]
}

#[cfg(test)]
mod tests {
    use super::marker_radius_px;

    #[test]
    fn the_radius_follows_the_root_of_the_rate_within_limits() {
        assert_eq!(marker_radius_px(None), 2.0);
        assert_eq!(marker_radius_px(Some(0.0)), 2.0);
        assert_eq!(marker_radius_px(Some(16e6)), 5.0);
        assert_eq!(marker_radius_px(Some(1e12)), 11.0);
    }
}
