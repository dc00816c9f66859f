//! A chart of both directions: download above zero, upload mirrored below.

use super::Tick;
use super::axis::nice_ceiling;
use super::path::runs;

/// A chart's height. Its width is that of its container, so that letters keep their size.
pub const HEIGHT: i64 = 132;

/// Where a chart may draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlotArea {
    /// Left edge of the lines; the labels stand left of it.
    pub left: i64,
    /// Right edge.
    pub right: i64,
    /// Upper edge.
    pub top: i64,
    /// Lower edge; the times stand below it.
    pub bottom: i64,
}

impl PlotArea {
    /// That of a chart of this width, whose labels have room for `1.5 Mbit/s`.
    pub fn of_width(width: i64) -> Self {
        Self { left: 68, right: width - 2, top: 8, bottom: HEIGHT - 24 }
    }
}

/// The shapes of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mirror {
    /// Download: the area from zero upwards, an SVG path.
    pub download_area: String,
    /// Its edge.
    pub download_line: String,
    /// Upload: the area from zero downwards.
    pub upload_area: String,
    /// Its edge.
    pub upload_line: String,
    /// Zero.
    pub zero: i64,
    /// The highest value of each direction, and zero.
    pub ticks: Vec<Tick>,
    /// From where to where nothing is known.
    pub gaps: Vec<(i64, i64)>,
}

impl Mirror {
    /// Lays out two series of equal steps, oldest first, in the axis's unit. Both directions share one scale.
    pub fn new(download: &[Option<f64>], upload: &[Option<f64>], frame: PlotArea) -> Self {
        let steps = download.len().max(upload.len());
        let [above, below] = ends([download, upload]);
        let per_unit = (frame.bottom - frame.top) as f64 / (above + below);
        let zero = frame.top as f64 + above * per_unit;
        let width = (frame.right - frame.left) as f64 / steps.saturating_sub(1).max(1) as f64;
        let x = |at: usize| frame.left as f64 + at as f64 * width;

        let mut mirror = Self { zero: zero.round() as i64, ..Self::default() };
        for run in runs(download, x, |value| zero - value * per_unit) {
            run.line(&mut mirror.download_line);
            run.area(&mut mirror.download_area, zero);
        }
        for run in runs(upload, x, |value| zero + value * per_unit) {
            run.line(&mut mirror.upload_line);
            run.area(&mut mirror.upload_area, zero);
        }
        mirror.ticks = vec![
            Tick { at: frame.top, value: above },
            Tick { at: mirror.zero, value: 0.0 },
            Tick { at: frame.bottom, value: below },
        ];
        mirror.gaps = gaps(download, upload, steps, x);
        mirror
    }
}

/// Where the axes of download and of upload end.
pub(super) fn ends(series: [&[Option<f64>]; 2]) -> [f64; 2] {
    let highest = |series: &[Option<f64>]| series.iter().flatten().copied().fold(0.0, f64::max);
    let [above, below] = series.map(|series| nice_ceiling(highest(series)));
    // A direction that is very small compared with the other still gets room for its label.
    [above.max(below / 4.0), below.max(above / 4.0)]
}

/// Where neither direction is known, from the last known step to the next.
fn gaps(
    download: &[Option<f64>],
    upload: &[Option<f64>],
    steps: usize,
    x: impl Fn(usize) -> f64,
) -> Vec<(i64, i64)> {
    let known =
        |at: usize| [download, upload].iter().any(|series| series.get(at).is_some_and(Option::is_some));
    let place = |at: usize| x(at.min(steps.saturating_sub(1))).round() as i64;
    let mut gaps = Vec::new();
    let mut begun = None;
    for at in 0..=steps {
        match begun {
            None if at < steps && !known(at) => begun = Some(at.saturating_sub(1)),
            Some(from) if at == steps || known(at) => {
                gaps.push((place(from), place(at)));
                begun = None;
            }
            _ => {}
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: PlotArea = PlotArea { left: 50, right: 450, top: 10, bottom: 110 };

    #[test]
    fn download_is_above_zero_and_upload_below_on_one_scale() {
        let mirror = Mirror::new(&[Some(0.0), Some(5.0)], &[Some(5.0), Some(0.0)], FRAME);
        assert_eq!(mirror.zero, 60);
        assert_eq!(mirror.download_line, "M50 60L450 10");
        assert_eq!(mirror.upload_line, "M50 110L450 60");
        let ticks: Vec<_> = mirror.ticks.iter().map(|tick| (tick.at, tick.value)).collect();
        assert_eq!(ticks, [(10, 5.0), (60, 0.0), (110, 5.0)]);
        assert!(mirror.gaps.is_empty());
    }

    #[test]
    fn a_gap_reaches_from_the_last_known_step_to_the_next() {
        let series = [None, Some(1.0), None, None, Some(1.0)];
        assert_eq!(Mirror::new(&series, &[None; 5], FRAME).gaps, [(50, 150), (150, 450)]);
        assert_eq!(Mirror::new(&[None; 5], &[None; 5], FRAME).gaps, [(50, 450)]);
    }

    #[test]
    fn an_idle_direction_keeps_room_for_its_label() {
        let mirror = Mirror::new(&[Some(1e9), Some(1e9)], &[Some(0.0), Some(0.0)], FRAME);
        assert_eq!(mirror.zero, 90);
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_frame(
            download in proptest::collection::vec(proptest::option::of(0.0..1e12), 0..40),
            upload in proptest::collection::vec(proptest::option::of(0.0..1e12), 0..40),
        ) {
            let mirror = Mirror::new(&download, &upload, FRAME);
            for path in [&mirror.download_area, &mirror.upload_area, &mirror.download_line, &mirror.upload_line] {
                for point in path.split(['M', 'L', 'Z']).filter(|point| !point.is_empty()) {
                    let (x, y) = point.split_once(' ').unwrap();
                    let (x, y): (i64, i64) = (x.parse().unwrap(), y.parse().unwrap());
                    prop_assert!((FRAME.left..=FRAME.right + 1).contains(&x), "{}", point);
                    prop_assert!((FRAME.top..=FRAME.bottom).contains(&y), "{}", point);
                }
            }
        }
    }
}
