//! Markers drawn into a pixel buffer.
//!
//! Ten thousand markers drawn by the browser's own `arc()` take 20 ms and more; copying small pre-computed pictures into
//! a buffer that is put on the canvas in one go takes a tenth of that. Status is told by shape as well as by colour: a
//! disc is online, a ring warning, an × offline. Each shape has a thin halo that keeps it apart from its neighbours.

/// A colour without transparency.
pub type Rgb = [u8; 3];

/// Red, green, blue, and opacity: what a canvas takes, not premultiplied.
type Rgba = [u8; 4];

/// Radii are drawn in quarters of a CSS pixel: finer steps cannot be told apart.
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
    half: i32,
    pixels: Vec<Rgba>,
}

/// A rectangle of pixels; empty where it has no width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
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
    drawn: Area,
    cleared: Area,
}

/// A marker's radius in CSS pixels: the disc's area grows with the rate. Without a rate it is the smallest.
pub fn marker_radius_px(bytes_per_second: Option<f32>) -> f32 {
    let megabytes = bytes_per_second.unwrap_or(0.0).max(0.0) / 1e6;
    (MIN_RADIUS_PX + PX_PER_ROOT_MB * megabytes.sqrt()).clamp(MIN_RADIUS_PX, MAX_RADIUS_PX)
}

impl Shape {
    /// By the status's number on the wire: 0 online, 1 warning, 2 offline.
    pub fn of_status(status: u8) -> Self {
        match status {
            0 => Self::Disc,
            1 => Self::Ring,
            _ => Self::Cross,
        }
    }

    /// The radius it is drawn with: rings and crosses stay large enough to be told from discs.
    pub fn radius_px(self, radius_px: f32) -> f32 {
        if self == Self::Disc { radius_px } else { radius_px.max(MIN_SHAPE_RADIUS_PX) }
    }

    /// How much of the pixel at `x`, `y` from the centre the shape's line or face covers, and how much its halo.
    fn coverage(self, x: f32, y: f32, radius: f32, line: f32, halo: f32) -> (f32, f32) {
        let from_centre = x.hypot(y);
        let within = |distance: f32| (0.5 - distance).clamp(0.0, 1.0);
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
                let distance = beyond.hypot(short / std::f32::consts::SQRT_2);
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
        let radius_px = shape.radius_px(radius_px).clamp(MIN_RADIUS_PX, MAX_RADIUS_PX);
        let step = ((radius_px - MIN_RADIUS_PX) * STEPS_PER_PX).round();
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
        // A cross's arms reach the corners of the square, not the circle: shorten them to look as large as a disc.
        let radius = if shape == Shape::Cross { radius * 0.8 } else { radius };
        let half = (radius + (HALO_PX + LINE_PX) * ratio).ceil() as i32;
        let mut pixels = Vec::with_capacity(((2 * half + 1) * (2 * half + 1)) as usize);
        for y in -half..=half {
            for x in -half..=half {
                let (x, y) = (x as f32, y as f32);
                let (face, halo) = shape.coverage(x, y, radius, LINE_PX * ratio, HALO_PX * ratio);
                pixels.push(over(with_opacity(colour, face), with_opacity(palette.halo, halo)));
            }
        }
        Self { half, pixels }
    }
}

impl Area {
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
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

impl PixelBuffer {
    /// Makes room for that many pixels, all transparent.
    pub fn resize(&mut self, width: u32, height: u32) {
        let pixels = vec![[0; 4]; width as usize * height as usize];
        *self = Self { width: width as i32, height: height as i32, pixels, ..Self::default() };
    }

    pub fn width(&self) -> u32 {
        self.width as u32
    }

    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Wipes what was drawn before.
    pub fn clear(&mut self) {
        let Area { left, top, right, bottom } = self.drawn;
        for y in top..bottom {
            let row = (y * self.width) as usize;
            self.pixels[row + left as usize..row + right as usize].fill([0; 4]);
        }
        self.cleared = std::mem::take(&mut self.drawn);
    }

    /// What has changed since the picture before the last: the canvas needs no more than this.
    pub fn damage(&self) -> Area {
        self.cleared.joined(self.drawn)
    }

    /// All pixels, row by row, four bytes each.
    pub fn bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Puts a marker over what is there, with its centre on that pixel.
    pub fn put(&mut self, stamp: &Stamp, x: i32, y: i32) {
        let side = 2 * stamp.half + 1;
        let (left, top) = (x - stamp.half, y - stamp.half);
        let area = Area {
            left: left.max(0),
            top: top.max(0),
            right: (left + side).min(self.width),
            bottom: (top + side).min(self.height),
        };
        if area.is_empty() {
            return;
        }
        self.drawn = self.drawn.joined(area);
        for row in area.top..area.bottom {
            let from = ((row - top) * side + area.left - left) as usize;
            let to = (row * self.width + area.left) as usize;
            let length = area.width() as usize;
            let pixels = self.pixels[to..to + length].iter_mut();
            for (below, &above) in pixels.zip(&stamp.pixels[from..from + length]) {
                match above[3] {
                    0 => {}
                    255 => *below = above,
                    _ => *below = over(above, *below),
                }
            }
        }
    }
}

fn with_opacity([r, g, b]: Rgb, opacity: f32) -> Rgba {
    [r, g, b, (opacity * 255.0).round() as u8]
}

/// One colour seen through another, both with straight opacity, in integers.
fn over(above: Rgba, below: Rgba) -> Rgba {
    let (a, b) = (u32::from(above[3]), u32::from(below[3]));
    if b == 0 || a == 255 {
        return above;
    }
    let behind = b * (255 - a);
    let opacity = a * 255 + behind;
    let mix = |above: u8, below: u8| {
        ((u32::from(above) * a * 255 + u32::from(below) * behind + opacity / 2) / opacity) as u8
    };
    [mix(above[0], below[0]), mix(above[1], below[1]), mix(above[2], below[2]), ((opacity + 127) / 255) as u8]
}

#[cfg(test)]
mod tests {
    use super::{Area, Palette, PixelBuffer, Shape, Stamps, marker_radius_px, over};

    const PALETTE: Palette =
        Palette { online: [0, 255, 0], warning: [90, 90, 90], offline: [255, 0, 0], halo: [255, 255, 255] };

    fn drawn(shape: Shape, radius_px: f32) -> PixelBuffer {
        let mut buffer = PixelBuffer::default();
        buffer.resize(41, 41);
        buffer.put(Stamps::new(PALETTE, 1.0).get(shape, radius_px), 20, 20);
        buffer
    }

    fn pixel(buffer: &PixelBuffer, x: usize, y: usize) -> [u8; 4] {
        buffer.pixels[y * 41 + x]
    }

    #[test]
    fn the_radius_follows_the_root_of_the_rate_within_limits() {
        assert_eq!(marker_radius_px(None), 2.0);
        assert_eq!(marker_radius_px(Some(0.0)), 2.0);
        assert_eq!(marker_radius_px(Some(16e6)), 5.0);
        assert_eq!(marker_radius_px(Some(1e12)), 11.0);
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
        assert_eq!(buffer.damage(), Area { left: 0, top: 0, right: 10, bottom: 10 });
        assert_eq!(buffer.pixels[0], [0, 255, 0, 255]);
    }

    #[test]
    fn clearing_leaves_nothing_and_says_what_changed() {
        let mut buffer = drawn(Shape::Disc, 2.0);
        let before = buffer.damage();
        buffer.clear();
        assert!(buffer.bytes().iter().all(|&byte| byte == 0));
        assert_eq!(buffer.damage(), before);
        buffer.clear();
        assert_eq!(buffer.damage().width(), 0);
    }

    #[test]
    fn colours_mix_as_light_does() {
        assert_eq!(over([10, 20, 30, 0], [1, 2, 3, 255]), [1, 2, 3, 255]);
        assert_eq!(over([200, 0, 0, 128], [0, 0, 0, 0]), [200, 0, 0, 128]);
        assert_eq!(over([255, 255, 255, 128], [0, 0, 0, 255]), [128, 128, 128, 255]);
    }
}
