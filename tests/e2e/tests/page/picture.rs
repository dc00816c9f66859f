//! Pictures of the page, small and coarse enough to be kept and to be compared.

use std::io::Cursor;

use anyhow::{Context, ensure};

/// The side of the squares whose means are compared. The means hardly depend on how letters are rendered.
const CELL: u32 = 8;
/// The allowed difference of a mean in one channel, of 255.
const CELL_TOLERANCE: f64 = 10.0;

/// On a sheet.
const TILES_A_ROW: u32 = 4;

/// Pixels of three bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    rgb: Vec<u8>,
}

impl Picture {
    pub(crate) fn blank(width: u32, height: u32) -> Self {
        Self { width, height, rgb: vec![0; (width * height * 3) as usize] }
    }

    /// Reads a PNG with eight bits a channel.
    pub(crate) fn read(png: &[u8]) -> anyhow::Result<Self> {
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().context("a picture of sensible size")?];
        let info = reader.next_frame(&mut bytes)?;
        ensure!(info.bit_depth == png::BitDepth::Eight, "{info:?}");
        let samples = info.color_type.samples();
        ensure!(samples >= 3, "{info:?}");
        let rgb = bytes[..info.buffer_size()]
            .chunks_exact(samples)
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Ok(Self { width: info.width, height: info.height, rgb: rgb.collect() })
    }

    /// Writes a PNG.
    pub(crate) fn write(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        // Flat areas and letters repeat, which PNG filters would hide from the compressor.
        encoder.set_filter(png::Filter::NoFilter);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(bytes)
    }

    /// A picture that is this many times smaller, with fewer colours.
    pub(crate) fn shrunk(&self, times: u32) -> Self {
        let mut small = Self::blank(self.width / times, self.height / times);
        for y in 0..small.height {
            for x in 0..small.width {
                let mean = self.mean(x * times, y * times, times);
                // Sixteen shades of each channel take a third of the bytes.
                small.set(x, y, mean.map(|shade| (shade / 17.0).round() as u8 * 17));
            }
        }
        small
    }

    /// The picture at this place on a sheet of pictures of one size; `None` when the sheet ends before.
    pub(crate) fn tile(&self, number: u32, width: u32, height: u32) -> Option<Self> {
        let (left, top) = (number % TILES_A_ROW * width, number / TILES_A_ROW * height);
        let is_there = left + width <= self.width && top + height <= self.height;
        let mut tile = Self::blank(width, height);
        is_there.then(|| {
            tile.copy(self, (left, top), (0, 0), (width, height));
            tile
        })
    }

    /// A sheet with these pictures of one size.
    pub(crate) fn sheet(tiles: &[Self]) -> Self {
        let (width, height) = tiles.first().map_or((1, 1), |tile| (tile.width, tile.height));
        let number = tiles.len() as u32;
        let mut sheet = Self::blank(width * number.min(TILES_A_ROW), height * number.div_ceil(TILES_A_ROW));
        for (number, tile) in tiles.iter().enumerate() {
            let number = number as u32;
            let place = (number % TILES_A_ROW * width, number / TILES_A_ROW * height);
            sheet.copy(tile, (0, 0), place, (width, height));
        }
        sheet
    }

    /// The share of this picture that differs from another by more than fonts can explain.
    pub(crate) fn difference(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 1.0;
        }
        let (columns, rows) = (self.width / CELL, self.height / CELL);
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (column * CELL, row * CELL)));
        let differs = |(x, y): &(u32, u32)| {
            let (ours, theirs) = (self.mean(*x, *y, CELL), other.mean(*x, *y, CELL));
            ours.iter().zip(theirs).any(|(ours, theirs)| (ours - theirs).abs() > CELL_TOLERANCE)
        };
        cells.filter(differs).count() as f64 / f64::from(columns * rows)
    }

    /// The mean of each channel over a square.
    fn mean(&self, left: u32, top: u32, side: u32) -> [f64; 3] {
        let mut sums = [0_u32; 3];
        for y in top..top + side {
            let row = self.index(left, y)..self.index(left, y) + (side * 3) as usize;
            for pixel in self.rgb[row].chunks_exact(3) {
                for (sum, shade) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(*shade);
                }
            }
        }
        sums.map(|sum| f64::from(sum) / f64::from(side * side))
    }

    fn copy(&mut self, other: &Self, from: (u32, u32), to: (u32, u32), size: (u32, u32)) {
        let bytes = (size.0 * 3) as usize;
        for y in 0..size.1 {
            let (to, from) = (self.index(to.0, to.1 + y), other.index(from.0, from.1 + y));
            self.rgb[to..to + bytes].copy_from_slice(&other.rgb[from..from + bytes]);
        }
    }

    fn set(&mut self, x: u32, y: u32, pixel: [u8; 3]) {
        let at = self.index(x, y);
        self.rgb[at..at + 3].copy_from_slice(&pixel);
    }

    fn index(&self, x: u32, y: u32) -> usize {
        ((y * self.width + x) * 3) as usize
    }
}

#[test]
fn a_picture_can_be_read_back_and_only_what_is_visible_counts() {
    let mut page = Picture::blank(64, 32);
    for x in 0..64 {
        page.set(x, 9, [200, 210, 220]);
    }
    assert_eq!(Picture::read(&page.write().unwrap()).unwrap(), page);
    let tiles = [page.clone(), page.shrunk(1), Picture::blank(64, 32), page.clone(), page.shrunk(1)];
    let sheet = Picture::sheet(&tiles);
    for (number, tile) in tiles.iter().enumerate() {
        assert_eq!(sheet.tile(number as u32, 64, 32).as_ref(), Some(tile), "{number}");
    }
    assert_eq!(sheet.tile(8, 64, 32), None);
    let mut other = page.clone();
    other.set(3, 3, [255; 3]);
    assert_eq!(page.difference(&other), 0.0, "a letter");
    for x in 0..8 {
        for y in 0..8 {
            other.set(x, y, [90; 3]);
        }
    }
    assert_eq!(page.difference(&other), 1.0 / 32.0, "a block");
}
