//! Blends small pictures over the pixels of a large one.
//!
//! A map of 100,000 nodes does this 80,000 times a second. The page is compiled for size, which makes this
//! loop slow. Cargo profiles can only be set for whole crates, so the loop is a crate (`profile.web.package`
//! in the workspace's manifest).
//!
//! All translucent pixels of both pictures have the same colour. So blending takes the same few steps for
//! every pixel, four pixels at a time.

mod block;

use block::Block;

/// Red, green, blue, and opacity: what a canvas takes, not premultiplied.
pub type Rgba = [u8; 4];

/// Drawing may touch this many pixels to the right of a picture, without changing them.
pub const SPILL: usize = 3;

/// A small picture, reduced to its visible parts.
#[derive(Clone, Debug)]
pub struct Sprite {
    /// One flat list instead of rows: a processor mispredicts an inner loop of two or three rounds.
    patches: Vec<Patch>,
}

/// Four pixels of a row, and where they are.
#[derive(Clone, Copy, Debug)]
struct Patch {
    x: usize,
    y: usize,
    block: Block,
}

impl Sprite {
    /// From rows of this many pixels. Transparent pixels at both ends of a row are left out, such as the
    /// corners around a disc.
    pub fn new(pixels: &[Rgba], width: usize) -> Self {
        let is_seen = |pixel: &Rgba| pixel[3] > 0;
        let mut patches = Vec::new();
        for (y, row) in pixels.chunks(width).enumerate() {
            let (first, last) = (row.iter().position(is_seen), row.iter().rposition(is_seen));
            let seen = first.zip(last).map_or(&[][..], |(first, last)| &row[first..=last]);
            for (number, four) in seen.chunks(4).enumerate() {
                let pixel = |at: usize| four.get(at).copied().unwrap_or_default();
                let x = first.unwrap_or_default() + 4 * number;
                patches.push(Patch { x, y, block: Block::new(std::array::from_fn(pixel)) });
            }
        }
        Self { patches }
    }

    /// Draws the picture over rows of this many pixels, with its top left corner at this pixel. All of it,
    /// and [`SPILL`] pixels to its right, must be inside the buffer.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub fn put(&self, pixels: &mut [Rgba], at: usize, width: usize) {
        let bytes = pixels.as_flattened_mut();
        for Patch { x, y, block } in &self.patches {
            let at = 4 * (at + y * width + x);
            if let Some(below) = bytes.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut()) {
                *below = block.over(*below);
            }
        }
    }
}

/// One colour seen through another. What is translucent has the same colour in both.
pub fn over(above: Rgba, below: Rgba) -> Rgba {
    let part = part(above);
    let mix = |above: u8, below: u8| ((u32::from(above) * part + u32::from(below) * (256 - part)) >> 8) as u8;
    let [r, g, b, _] = above;
    [mix(r, below[0]), mix(g, below[1]), mix(b, below[2]), mix(255, below[3])]
}

/// How much of a colour is seen, 0 to 256: full opacity is a whole.
fn part(colour: Rgba) -> u32 {
    u32::from(colour[3]) + u32::from(colour[3] >> 7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::block::Block;
    use super::{Rgba, SPILL, Sprite, over};

    #[test]
    fn colours_mix_as_light_does() {
        assert_eq!(over([10, 20, 30, 0], [1, 2, 3, 255]), [1, 2, 3, 255]);
        assert_eq!(over([200, 0, 0, 128], [200, 0, 0, 0]), [200, 0, 0, 128]);
        assert_eq!(over([255, 255, 255, 128], [0, 0, 0, 255]), [128, 128, 128, 255]);
        assert_eq!(over([255, 0, 100, 255], [9, 9, 9, 255]), [255, 0, 100, 255]);
        assert_eq!(over([90, 90, 90, 128], [90, 90, 90, 128]), [90, 90, 90, 191]);
    }

    proptest! {
        #[test]
        fn four_pixels_at_once_are_the_same_as_one_by_one(above: [Rgba; 4], below: [Rgba; 4]) {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(below.as_flattened());
            let expected: Vec<u8> = above.iter().zip(below).flat_map(|(&above, below)| over(above, below)).collect();
            prop_assert_eq!(Block::new(above).over(bytes).to_vec(), expected);
        }

        #[test]
        fn a_sprite_is_put_pixel_by_pixel_at_its_position(
            // Many are transparent: what is left out at the ends of rows must make no difference.
            mut sprite in prop::collection::vec(any::<Rgba>(), 30), clear: [bool; 30],
            below in prop::collection::vec(any::<Rgba>(), 20 * 8),
            x in 0..20 - 5 - SPILL, y in 0_usize..=2,
        ) {
            for (pixel, _) in sprite.iter_mut().zip(clear).filter(|(_, clear)| *clear) {
                pixel[3] = 0;
            }
            let mut put = below.clone();
            Sprite::new(&sprite, 5).put(&mut put, y * 20 + x, 20);
            let mut expected = below;
            for (number, &above) in sprite.iter().enumerate() {
                let at = (y + number / 5) * 20 + x + number % 5;
                expected[at] = over(above, expected[at]);
            }
            prop_assert_eq!(put, expected);
        }
    }
}
