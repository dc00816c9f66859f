//! Chooses the labels that are drawn: those that neither hide anything nor are hidden.

use std::ops::RangeInclusive;

/// As high as a label.
const BAND_PX: f64 = 26.0;

/// A label's or a bubble's place on the screen, CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// The occupied areas. Ask for labels in order of importance.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// By horizontal bands: only areas in the same bands can overlap.
    bands: Vec<Vec<Extent>>,
}

impl Extent {
    /// The square round a circle.
    pub fn round(x: f64, y: f64, radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// The bands that it touches; what lies above the map counts to the first.
    fn bands(&self) -> RangeInclusive<usize> {
        let band = |y: f64| (y / BAND_PX) as usize;
        band(self.top)..=band(self.bottom)
    }
}

impl Labels {
    /// Keeps a place free of labels.
    pub fn block(&mut self, extent: Extent) {
        let bands = extent.bands();
        if self.bands.len() <= *bands.end() {
            self.bands.resize(bands.end() + 1, Vec::new());
        }
        for band in &mut self.bands[bands] {
            band.push(extent);
        }
    }

    /// Reserves one of several places for a label: of the free ones, the one that covers least of what is
    /// below, the first of equals. Returns its index.
    pub fn take(&mut self, places: &[Extent], covers: impl Fn(&Extent) -> usize) -> Option<usize> {
        let near =
            |extent: &Extent| self.bands.iter().take(extent.bands().end() + 1).skip(*extent.bands().start());
        let is_free = |extent: &Extent| !near(extent).flatten().any(|taken| taken.overlaps(extent));
        let free = places.iter().enumerate().filter(|(_, extent)| is_free(extent));
        let (number, extent) = free.min_by_key(|(_, extent)| covers(extent))?;
        self.block(*extent);
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Labels};

    fn at(left: f64, top: f64) -> Extent {
        Extent { left, top, right: left + 80.0, bottom: top + 14.0 }
    }

    #[test]
    fn the_first_label_wins_and_bubbles_are_never_covered() {
        let mut labels = Labels::default();
        labels.block(Extent::round(50.0, 50.0, 10.0));
        let mut take = |places: &[Extent]| labels.take(places, |_| 0);
        assert_eq!(take(&[at(0.0, 50.0)]), None);
        assert_eq!(take(&[at(0.0, 50.0), at(10.0, 60.0), at(10.0, 90.0)]), Some(1));
        assert_eq!(take(&[at(60.0, 70.0)]), None);
        assert_eq!(take(&[at(60.0, 74.0)]), Some(0));
    }

    #[test]
    fn a_label_goes_where_it_covers_least() {
        let places = [at(0.0, 0.0), at(0.0, 30.0), at(0.0, 60.0)];
        let covers = |extent: &Extent| if extent.top < 10.0 { 7 } else { 0 };
        assert_eq!(Labels::default().take(&places, covers), Some(1));
    }
}
