//! A chart as the inside of an SVG element.
//!
//! Written as text: it contains only numbers and constant words, never text from the network.

use super::mirror::{HEIGHT, Mirror, PlotArea, ends};
use super::svg::{element, path, text};

/// What a chart shows.
#[derive(Clone, Copy, Debug)]
pub struct Plot<'a> {
    /// Download in equal steps, oldest first.
    pub download: &'a [Option<f64>],
    /// Upload, likewise.
    pub upload: &'a [Option<f64>],
    /// How long ago the first step was.
    pub span: &'static str,
    /// The step under the crosshair, and what is read there.
    pub cross: Option<(usize, &'a str)>,
    /// The width of the drawing box.
    pub width: i64,
}

impl Plot<'_> {
    /// Draws both directions. `label` writes a value at the axis.
    pub fn drawing(&self, label: &dyn Fn(f64) -> String) -> String {
        let frame = self.frame();
        let mirror = Mirror::new(self.download, self.upload, frame);
        let mut svg = String::new();
        for (from, to) in &mirror.gaps {
            let place =
                [("x", *from), ("y", frame.top), ("width", to - from), ("height", frame.bottom - frame.top)];
            element(&mut svg, "rect class=\"chart-gap\"", &place, "rect", "");
        }
        for tick in &mirror.ticks {
            let (left, at, right) = (frame.left.to_string(), tick.at.to_string(), frame.right.to_string());
            path(&mut svg, "chart-grid", &["M", &left, " ", &at, "H", &right].concat());
            text(&mut svg, "chart-label chart-label-end", frame.left - 6, tick.at + 4, &label(tick.value));
        }
        path(&mut svg, "chart-area chart-down", &mirror.download_area);
        path(&mut svg, "chart-line chart-down", &mirror.download_line);
        path(&mut svg, "chart-area chart-up", &mirror.upload_area);
        path(&mut svg, "chart-line chart-up", &mirror.upload_line);
        self.foot(&mut svg, frame);
        svg
    }

    /// Where the axes of download and of upload end.
    pub fn ends(&self) -> [f64; 2] {
        ends([self.download, self.upload])
    }

    /// The step whose place is nearest to `x`.
    pub fn step_at(&self, x: f64) -> usize {
        let frame = self.frame();
        let part = (x - frame.left as f64) / (frame.right - frame.left) as f64;
        (part.clamp(0.0, 1.0) * self.last() as f64).round() as usize
    }

    /// The text below: how far the chart goes back, or the values at the crosshair.
    fn foot(&self, svg: &mut String, frame: PlotArea) {
        let Some((step, reading)) = self.cross else {
            text(svg, "chart-label", frame.left, HEIGHT - 6, &[self.span, " ago"].concat());
            text(svg, "chart-label chart-label-end", frame.right, HEIGHT - 6, "now");
            return;
        };
        let x = frame.left + (frame.right - frame.left) * step as i64 / self.last() as i64;
        let (top, bottom) = (frame.top.to_string(), frame.bottom.to_string());
        path(svg, "chart-cross", &["M", &x.to_string(), " ", &top, "V", &bottom].concat());
        text(svg, "chart-label chart-reading", frame.right, HEIGHT - 6, reading);
    }

    fn last(&self) -> usize {
        self.download.len().max(self.upload.len()).saturating_sub(1).max(1)
    }

    fn frame(&self) -> PlotArea {
        PlotArea::of_width(self.width)
    }
}

/// The step that a key leads to; the crosshair begins at the newest.
pub fn step_by_key(key: &str, at: Option<usize>, steps: usize) -> Option<usize> {
    let last = steps.checked_sub(1)?;
    let now = at.unwrap_or(last + 1);
    let step = match key {
        "ArrowLeft" => now.saturating_sub(1),
        "ArrowRight" => now + 1,
        "PageUp" => now.saturating_sub(10),
        "PageDown" => now + 10,
        "Home" => 0,
        "End" => last,
        _ => return None,
    };
    Some(step.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: [Option<f64>; 3] = [Some(4.0), None, Some(4.0)];

    fn plot(cross: Option<(usize, &str)>) -> Plot<'_> {
        Plot { download: &SERIES, upload: &SERIES, span: "60 s", cross, width: 440 }
    }

    #[test]
    fn a_chart_is_axes_gaps_and_both_directions() {
        let svg = plot(None).drawing(&|value| (value as u32).to_string());
        for part in [
            r#"<rect class="chart-gap" x="68" y="8" width="370" height="100"></rect>"#,
            r#"<path class="chart-grid" d="M68 58H438"/>"#,
            r#"<text class="chart-label chart-label-end" x="62" y="12">4</text>"#,
            r#"<path class="chart-line chart-down" d="M68 8L69 8M438 8L439 8"/>"#,
            r#"<path class="chart-line chart-up" d="M68 108L69 108M438 108L439 108"/>"#,
            "60 s ago</text>",
            "now</text>",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn a_crosshair_stands_at_its_step_and_says_what_is_there() {
        let svg = plot(Some((1, "5 s ago"))).drawing(&|_| String::new());
        assert!(svg.contains(r#"<path class="chart-cross" d="M253 8V108"/>"#), "{svg}");
        assert!(svg.ends_with("5 s ago</text>") && !svg.contains("now"), "{svg}");
    }

    #[test]
    fn the_pointer_finds_the_nearest_step() {
        for (x, step) in [(0.0, 0), (68.0, 0), (160.0, 0), (161.0, 1), (253.0, 1), (400.0, 2), (999.0, 2)] {
            assert_eq!(plot(None).step_at(x), step, "{x}");
        }
    }

    #[test]
    fn keys_step_and_stay_inside() {
        let keys = [("ArrowLeft", 59), ("ArrowLeft", 58), ("PageUp", 48), ("Home", 0), ("ArrowLeft", 0)];
        let mut at = None;
        for (key, step) in keys.into_iter().chain([("End", 59), ("ArrowRight", 59)]) {
            at = step_by_key(key, at, 60);
            assert_eq!(at, Some(step), "{key}");
        }
        assert_eq!((step_by_key("a", at, 60), step_by_key("Home", None, 0)), (None, None));
    }
}
