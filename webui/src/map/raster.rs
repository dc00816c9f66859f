//! Markers drawn into a pixel buffer.
//!
//! Ten thousand markers drawn by the browser's own `arc()` take 20 ms and more; copying small pre-computed pictures into
//! a buffer that is put on the canvas in one go takes a tenth of that. Status is told by shape as well as by colour: a
//! disc is online, a ring warning, an × offline. Each shape has a thin halo that keeps it apart from its neighbours.

mod stamp;

pub use stamp::{Palette, Shape, Stamp, Stamps, marker_radius_px};

use stamp::Span;

/// Red, green, blue, and opacity: what a canvas takes, not premultiplied.
type Rgba = [u8; 4];

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

    /// Roughly how much of an area markers cover: points of a grid that do, every few pixels.
    pub fn ink(&self, area: Area) -> usize {
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
            let Span { from, solid, soft, to } =
                stamp.spans[(row - top) as usize].cut(area.left - left, area.right - left);
            let source = ((row - top) * side) as usize;
            let above = &stamp.pixels[source + from..source + to];
            // The marker's left edge may lie outside; its span does not.
            let target = |column: usize| (row * self.width + left + column as i32) as usize;
            let below = &mut self.pixels[target(from)..target(to)];
            let (above, above_right) = above.split_at(soft - from);
            let (below, below_right) = below.split_at_mut(soft - from);
            let (above_left, above) = above.split_at(solid - from);
            let (below_left, below) = below.split_at_mut(solid - from);
            mix(below_left, above_left);
            below.copy_from_slice(above);
            mix(below_right, above_right);
        }
    }
}

/// Puts pixels over others.
fn mix(below: &mut [Rgba], above: &[Rgba]) {
    for (below, &above) in below.iter_mut().zip(above) {
        *below = over(above, *below);
    }
}

/// One colour seen through another, both with straight opacity.
///
/// This is where the map's drawing time goes, so two channels are mixed in one multiplication where the ground is opaque
/// or empty, as it mostly is; a channel may be off by one in 255 then.
#[inline(always)]
fn over(above: Rgba, below: Rgba) -> Rgba {
    match below[3] {
        0 => above,
        255 => {
            // 0 to 256, so that full opacity is a whole.
            let opacity = u32::from(above[3]) + u32::from(above[3] >> 7);
            let (above, below) = (u32::from_le_bytes(above), u32::from_le_bytes(below));
            let mix = |above: u32, below: u32| {
                ((above & 0x00ff_00ff) * opacity + (below & 0x00ff_00ff) * (256 - opacity)) >> 8 & 0x00ff_00ff
            };
            (mix(above, below) | mix(above >> 8, below >> 8) << 8 | 0xff00_0000).to_le_bytes()
        }
        _ => over_translucent(above, below),
    }
}

#[cold]
fn over_translucent(above: Rgba, below: Rgba) -> Rgba {
    let a = u32::from(above[3]);
    let behind = u32::from(below[3]) * (255 - a);
    let opacity = a * 255 + behind;
    if opacity == 0 {
        return above;
    }
    let mix = |above: u8, below: u8| {
        ((u32::from(above) * a * 255 + u32::from(below) * behind + opacity / 2) / opacity) as u8
    };
    [mix(above[0], below[0]), mix(above[1], below[1]), mix(above[2], below[2]), ((opacity + 127) / 255) as u8]
}

#[cfg(test)]
mod tests {
    use super::{Area, Palette, PixelBuffer, Shape, Stamps, over};

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
    fn ink_is_where_markers_are() {
        let buffer = drawn(Shape::Disc, 8.0);
        assert!(buffer.ink(Area { left: 10, top: 10, right: 30, bottom: 30 }) > 4);
        assert_eq!(buffer.ink(Area { left: -50, top: 30, right: 99, bottom: 99 }), 0);
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
        assert_eq!(over([255, 0, 100, 255], [9, 9, 9, 255]), [255, 0, 100, 255]);
        assert_eq!(over([255, 0, 0, 128], [0, 0, 255, 128]), [170, 0, 85, 192]);
    }
}
