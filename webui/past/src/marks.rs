//! Alerts of a node on its charts: where the limits are, and when alerts fired and were over.

use tidemap_parts::chart::PlotArea;
use tidemap_parts::chart::svg::path;

/// An alert, as far as charts tell of it. Times are Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertSpan {
    /// Since when its condition holds.
    pub since_ms: i64,
    /// When it fired.
    pub fired_ms: Option<i64>,
    /// When it was over.
    pub over_ms: Option<i64>,
    /// The limits of download and of upload that were passed, bytes per second.
    pub limits: [Option<f64>; 2],
}

/// A moment of an alert.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlertMark {
    /// How far to the right, 0 to 1.
    pub part: f64,
    /// Whether it was over then; else it fired.
    pub is_over: bool,
}

/// What a chart shows of alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertMarks {
    /// When they fired and were over.
    pub moments: Vec<AlertMark>,
    /// Limits of download and of upload, in the axis's unit, each once.
    pub limits: [Vec<f64>; 2],
}

impl AlertMarks {
    /// Nothing.
    pub const NONE: &Self = &Self { moments: Vec::new(), limits: [Vec::new(), Vec::new()] };

    /// What is within a time; `counted` brings bytes per second into the axis's unit.
    pub fn within(alerts: &[AlertSpan], from_ms: i64, to_ms: i64, counted: impl Fn(f64) -> f64) -> Self {
        let mut shown = Self::default();
        for alert in alerts {
            for (at_ms, is_over) in [(alert.fired_ms, false), (alert.over_ms, true)] {
                if let Some(at_ms) = at_ms.filter(|at_ms| (from_ms..to_ms).contains(at_ms)) {
                    let part = (at_ms - from_ms) as f64 / (to_ms - from_ms) as f64;
                    shown.moments.push(AlertMark { part, is_over });
                }
            }
            let is_within = alert.since_ms < to_ms && alert.over_ms.is_none_or(|ms| ms >= from_ms);
            for (side, limit) in shown.limits.iter_mut().zip(alert.limits) {
                let limit = limit.filter(|_| is_within).map(&counted);
                side.extend(limit.filter(|limit| !side.contains(limit)));
            }
        }
        shown
    }

    /// Adds the limits as lines, where the axis reaches so far: `highest` is the end of download's axis and
    /// that of upload's.
    pub fn limit_lines(&self, svg: &mut String, area: PlotArea, highest: [f64; 2]) {
        let PlotArea { left, right, top, bottom } = area;
        let per_unit = (bottom - top) as f64 / (highest[0] + highest[1]);
        for ((limits, most), sign) in self.limits.iter().zip(highest).zip([-1.0, 1.0]) {
            for limit in limits.iter().filter(|limit| **limit <= most) {
                let y = (top as f64 + (highest[0] + sign * limit) * per_unit).round() as i64;
                let line = ["M", &left.to_string(), " ", &y.to_string(), "H", &right.to_string()].concat();
                path(svg, "chart-limit", &line);
            }
        }
    }

    /// Adds a triangle at the upper edge where an alert fired, an empty one where it was over.
    pub fn signs(&self, svg: &mut String, area: PlotArea) {
        let PlotArea { left, right, top, .. } = area;
        for mark in &self.moments {
            let x = left + (mark.part * (right - left) as f64).round() as i64;
            let class = if mark.is_over { "chart-event chart-event-over" } else { "chart-event" };
            let shape = ["M", &(x - 4).to_string(), " ", &(top - 7).to_string(), "h8l-4 7z"].concat();
            path(svg, class, &shape);
        }
    }
}

/// The axes of a chart of the present, as the program that draws it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LivePlot {
    /// Begin, broker time in Unix milliseconds.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
    /// Where the axes of download and of upload end, in their unit.
    pub highest: [f64; 2],
}

impl LivePlot {
    /// Reads `1764412800000 1764412860000 15000000 8000000`.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [from_ms, to_ms, above, below] = numbers[..] else { return None };
        (from_ms < to_ms && above + below > 0).then_some(Self {
            from_ms,
            to_ms,
            highest: [above as f64, below as f64],
        })
    }

    /// The inside of an SVG element of this width that lies above the chart.
    pub fn drawing(&self, marks: &AlertMarks, width: i64) -> String {
        let mut drawn = String::new();
        marks.limit_lines(&mut drawn, PlotArea::of_width(width), self.highest);
        marks.signs(&mut drawn, PlotArea::of_width(width));
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: PlotArea = PlotArea { left: 68, right: 468, top: 8, bottom: 108 };
    const FIRING: AlertSpan =
        AlertSpan { since_ms: 100, fired_ms: Some(400), over_ms: None, limits: [Some(7.0), None] };
    const OVER: AlertSpan = AlertSpan { over_ms: Some(500), ..FIRING };

    fn within(alerts: &[AlertSpan], from_ms: i64, to_ms: i64) -> AlertMarks {
        AlertMarks::within(alerts, from_ms, to_ms, |limit| 8.0 * limit)
    }

    #[test]
    fn what_is_within_a_time_is_marked() {
        let shown = within(&[FIRING, OVER], 300, 700);
        let mark = |part, is_over| AlertMark { part, is_over };
        assert_eq!(shown.moments, [mark(0.25, false), mark(0.25, false), mark(0.5, true)]);
        assert_eq!(shown.limits, [vec![56.0], vec![]], "each once");
        // One fires still, so its limit counts in any later time; the other is over.
        assert_eq!(within(&[OVER], 700, 800), AlertMarks::default());
        assert_eq!(within(&[FIRING], 700, 800).limits, [vec![56.0], vec![]]);
        assert_eq!(within(&[FIRING, OVER], 0, 100), AlertMarks::default(), "before it began");
    }

    #[test]
    fn limits_are_lines_where_the_axis_reaches_them() {
        let marks = AlertMarks { limits: [vec![50.0, 1e6], vec![100.0]], ..AlertMarks::default() };
        let mut svg = String::new();
        marks.limit_lines(&mut svg, AREA, [100.0, 100.0]);
        let lines =
            r#"<path class="chart-limit" d="M68 33H468"/><path class="chart-limit" d="M68 108H468"/>"#;
        assert_eq!(svg, lines, "one is far beyond the axis");
    }

    #[test]
    fn an_alert_that_fired_has_a_full_sign_and_one_that_is_over_an_empty_one() {
        let moments = vec![AlertMark { part: 0.5, is_over: false }, AlertMark { part: 1.0, is_over: true }];
        let mut svg = String::new();
        AlertMarks { moments, ..AlertMarks::default() }.signs(&mut svg, AREA);
        let signs = r#"<path class="chart-event" d="M264 1h8l-4 7z"/><path class="chart-event chart-event-over" d="M464 1h8l-4 7z"/>"#;
        assert_eq!(svg, signs);
    }

    #[test]
    fn a_chart_of_the_present_is_marked_by_what_it_says_of_its_axes() {
        let plot = LivePlot::parse("1000 61000 15000000 5000000").unwrap();
        assert_eq!((plot.from_ms, plot.to_ms, plot.highest), (1000, 61_000, [15e6, 5e6]));
        let marks = AlertMarks {
            moments: vec![AlertMark { part: 0.5, is_over: false }],
            limits: [vec![5e6], vec![6e6]],
        };
        let svg = plot.drawing(&marks, 470);
        assert!(svg.contains(r#"<path class="chart-limit" d="M68 58H468"/>"#), "{svg}");
        assert!(svg.contains(r#"<path class="chart-event" d="M264 1h8l-4 7z"/>"#), "{svg}");
        assert_eq!(svg.matches("chart-limit").count(), 1, "upload's axis ends below its limit");
        for wrong in ["", "1 2 3", "1 2 3 x", "2 2 3 4", "1 2 0 0"] {
            assert_eq!(LivePlot::parse(wrong), None, "{wrong}");
        }
    }
}
