//! Lines and charts as shapes: which points to join, where the ticks are, where nothing is known.
//!
//! The layout is in whole units of a drawing box. The views only pass the paths to SVG; colours and strokes
//! are in the style sheet, so a change of theme needs no redrawing.

mod axis;
mod drawing;
mod mirror;
mod path;
pub mod svg;

pub use axis::{Tick, nice_ceiling};
pub use drawing::{Plot, step_by_key};
pub use mirror::{HEIGHT, Mirror, PlotArea};

use path::runs;

/// A small line without axes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparkline {
    /// The line, an SVG path.
    pub line: String,
    /// The area below it, likewise.
    pub area: String,
}

impl Sparkline {
    /// Draws `points`, oldest first, into a box of `width` by `height`. Zero is the floor; a gap stays a gap.
    pub fn new(points: &[Option<f64>], width: u32, height: u32) -> Self {
        let highest = points.iter().flatten().copied().fold(0.0, f64::max);
        let step = f64::from(width) / points.len().saturating_sub(1).max(1) as f64;
        // The stroke needs a unit of room on both sides.
        let room = f64::from(height) - 2.0;
        let y =
            |value: f64| f64::from(height) - 1.0 - if highest > 0.0 { value / highest * room } else { 0.0 };
        let mut sparkline = Self::default();
        for run in runs(points, |at| at as f64 * step, y) {
            run.line(&mut sparkline.line);
            run.area(&mut sparkline.area, f64::from(height));
        }
        sparkline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_stays_a_gap() {
        let points = [Some(0.0), Some(10.0), None, Some(5.0), Some(5.0)];
        let sparkline = Sparkline::new(&points, 80, 22);
        assert_eq!(sparkline.line, "M0 21L20 1M60 11L80 11");
        assert_eq!(sparkline.area, "M0 22L0 21L20 1L20 22ZM60 22L60 11L80 11L80 22Z");
    }

    #[test]
    fn an_idle_line_lies_on_the_floor() {
        assert_eq!(Sparkline::new(&[Some(0.0); 2], 10, 12).line, "M0 11L10 11");
    }

    #[test]
    fn a_chart_without_values_is_empty() {
        assert_eq!(Sparkline::new(&[None; 5], 10, 12), Sparkline::default());
        assert_eq!(Sparkline::new(&[], 10, 12), Sparkline::default());
    }
}
