//! The chart of a range: the mean as a line, from the lowest to the highest as a band, download above zero
//! and upload below.

use tidemap_parts::chart::{PlotArea, nice_ceiling, svg};

use crate::marks::AlertMarks;
use crate::past::{Column, Curve};

/// What the chart shows, in the axis's unit.
#[derive(Clone, Debug)]
pub struct Band<'a> {
    /// The columns.
    pub curve: &'a Curve,
    /// Round moments: how far to the right, 0 to 1, and what stands there.
    pub marks: &'a [(f64, String)],
    /// The highest value of download and of upload, in words.
    pub peaks: [&'a str; 2],
    /// When alerts fired and were over, and where their limits are.
    pub alerts: &'a AlertMarks,
    /// The column under the crosshair.
    pub cross: Option<usize>,
    /// The first and the last column that are chosen.
    pub chosen: Option<(usize, usize)>,
    /// The width of the drawing box.
    pub width: i64,
}

/// Where values and columns are.
struct Scale {
    area: PlotArea,
    zero: f64,
    per_unit: f64,
    above: f64,
    below: f64,
    columns: usize,
}

impl Band<'_> {
    /// The inside of an SVG element; `label` writes a value at the axis.
    pub fn drawing(&self, label: &dyn Fn(f64) -> String) -> String {
        let scale = self.scale();
        let mut drawn = String::new();
        self.gaps(&mut drawn, &scale);
        self.grid(&mut drawn, &scale, label);
        for (side, name, sign) in [(0, "chart-down", 1.0), (1, "chart-up", -1.0)] {
            let paths = paths(&self.curve.sides[side], &scale, sign);
            for (class, path) in
                [("chart-area ", &paths.band), ("chart-edge ", &paths.edge), ("chart-line ", &paths.line)]
            {
                svg::path(&mut drawn, &[class, name].concat(), path);
            }
        }
        self.alerts.limit_lines(&mut drawn, scale.area, [scale.above, scale.below]);
        self.peak(&mut drawn, &scale, 0, 1.0);
        self.peak(&mut drawn, &scale, 1, -1.0);
        self.alerts.signs(&mut drawn, scale.area);
        drawn
    }

    /// What changes with the pointer, in an element above the drawing.
    pub fn overlay(&self) -> String {
        let (mut drawn, scale) = (String::new(), self.scale());
        self.pointed_at(&mut drawn, &scale);
        drawn
    }

    /// The column at a distance from the left edge.
    pub fn column_at(&self, x: f64) -> usize {
        let area = self.area();
        let part = (x - area.left as f64) / (area.right - area.left) as f64;
        let column = part.clamp(0.0, 1.0) * self.curve.columns() as f64;
        (column as usize).min(self.curve.columns().saturating_sub(1))
    }

    /// Whether a distance from the upper edge is in the part of download.
    pub fn is_download_at(&self, y: f64) -> bool {
        y <= self.scale().zero
    }

    fn area(&self) -> PlotArea {
        PlotArea::of_width(self.width)
    }

    fn scale(&self) -> Scale {
        let area = self.area();
        let highest =
            |side: &[Option<Column>]| side.iter().flatten().map(|column| column.most).fold(0.0, f64::max);
        let (above, below) =
            (nice_ceiling(highest(&self.curve.sides[0])), nice_ceiling(highest(&self.curve.sides[1])));
        // A direction that is very small compared with the other still gets room for its label.
        let (above, below) = (above.max(below / 4.0), below.max(above / 4.0));
        let per_unit = (area.bottom - area.top) as f64 / (above + below);
        Scale {
            area,
            zero: area.top as f64 + above * per_unit,
            per_unit,
            above,
            below,
            columns: self.curve.columns(),
        }
    }

    fn gaps(&self, drawn: &mut String, scale: &Scale) {
        let [download, upload] = &self.curve.sides;
        let is_known = |at: usize| download[at].is_some() || upload[at].is_some();
        let mut begun = None;
        for at in 0..=scale.columns {
            let is_gap = at < scale.columns && !is_known(at);
            match begun {
                None if is_gap => begun = Some(at),
                Some(from) if !is_gap => {
                    scale.cover(drawn, "chart-gap", from, at);
                    begun = None;
                }
                _ => {}
            }
        }
    }

    fn grid(&self, drawn: &mut String, scale: &Scale, label: &dyn Fn(f64) -> String) {
        let PlotArea { left, right, top, bottom } = scale.area;
        for (at, value) in [(top, scale.above), (scale.zero.round() as i64, 0.0), (bottom, scale.below)] {
            let line = ["M", &left.to_string(), " ", &at.to_string(), "H", &right.to_string()].concat();
            svg::path(drawn, "chart-grid", &line);
            svg::text(drawn, "chart-label chart-label-end", left - 6, at + 4, &label(value));
        }
        for (part, text) in self.marks {
            let x = left + (part * (right - left) as f64).round() as i64;
            let line = ["M", &x.to_string(), " ", &top.to_string(), "V", &(bottom + 4).to_string()].concat();
            svg::path(drawn, "chart-grid", &line);
            // At the edges a label in the middle would be cut off.
            if (left + 20..right - 20).contains(&x) {
                svg::text(drawn, "chart-label chart-mark", x, bottom + 18, text);
            }
        }
    }

    fn peak(&self, drawn: &mut String, scale: &Scale, side: usize, sign: f64) {
        let mut highest: Option<(usize, f64)> = None;
        for (at, column) in self.curve.sides[side].iter().enumerate() {
            let most = column.map_or(0.0, |column| column.most);
            if most > highest.map_or(0.0, |(_, other)| other) {
                highest = Some((at, most));
            }
        }
        let Some((at, value)) = highest else { return };
        let x = (scale.x(at) + scale.x(at + 1)) / 2;
        let y = scale.y(sign * value);
        let class =
            ["circle class=\"chart-peak ", if side == 0 { "chart-down" } else { "chart-up" }, "\""].concat();
        svg::element(drawn, &class, &[("cx", x), ("cy", y), ("r", 3)], "circle", "");
        let is_left = x < (scale.area.left + scale.area.right) / 2;
        let (class, x) =
            if is_left { ("chart-label", x + 7) } else { ("chart-label chart-label-end", x - 7) };
        svg::text(drawn, class, x, y + 4, self.peaks[side]);
    }

    fn pointed_at(&self, drawn: &mut String, scale: &Scale) {
        if let Some((first, last)) = self.chosen {
            scale.cover(drawn, "chart-chosen", first, last + 1);
        }
        if let Some(at) = self.cross {
            let x = ((scale.x(at) + scale.x(at + 1)) / 2).to_string();
            let (top, bottom) = (scale.area.top.to_string(), scale.area.bottom.to_string());
            svg::path(drawn, "chart-cross", &["M", &x, " ", &top, "V", &bottom].concat());
        }
    }
}

impl Scale {
    fn x(&self, column: usize) -> i64 {
        let width = (self.area.right - self.area.left) as f64;
        self.area.left + (width * column as f64 / self.columns.max(1) as f64).round() as i64
    }

    fn y(&self, value: f64) -> i64 {
        (self.zero - value * self.per_unit).round() as i64
    }

    fn cover(&self, drawn: &mut String, class: &str, first: usize, end: usize) {
        let (x, width) = (self.x(first), (self.x(end) - self.x(first)).max(1));
        let place =
            [("x", x), ("y", self.area.top), ("width", width), ("height", self.area.bottom - self.area.top)];
        svg::element(drawn, &["rect class=\"", class, "\""].concat(), &place, "rect", "");
    }
}

/// One direction's paths.
#[derive(Default)]
struct Paths {
    /// From the lowest to the highest.
    band: String,
    /// The highest.
    edge: String,
    /// The mean.
    line: String,
}

fn paths(columns: &[Option<Column>], scale: &Scale, sign: f64) -> Paths {
    let mut paths = Paths::default();
    let mut run: Vec<(usize, Column)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        match column {
            Some(column) => run.push((at, *column)),
            None => add_run(&mut paths, &std::mem::take(&mut run), scale, sign),
        }
    }
    add_run(&mut paths, &run, scale, sign);
    paths
}

/// Adds neighbouring columns, as steps: each is as wide as its time.
fn add_run(paths: &mut Paths, run: &[(usize, Column)], scale: &Scale, sign: f64) {
    let Some((first, _)) = run.first() else { return };
    let step = |path: &mut String, at: usize, value: f64| {
        let y = scale.y(sign * value);
        let to: &[_] = if at == *first { &[("M", scale.x(at)), (" ", y)] } else { &[("V", y)] };
        command(path, to);
        command(path, &[("H", scale.x(at + 1))]);
    };
    for (at, column) in run {
        step(&mut paths.band, *at, column.most);
        step(&mut paths.edge, *at, column.most);
        step(&mut paths.line, *at, column.mean);
    }
    for (at, column) in run.iter().rev() {
        command(&mut paths.band, &[("V", scale.y(sign * column.least)), ("H", scale.x(*at))]);
    }
    paths.band.push('Z');
}

fn command(path: &mut String, parts: &[(&str, i64)]) {
    for (letter, number) in parts {
        path.push_str(letter);
        path.push_str(&number.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(mean: f64, most: f64, least: f64) -> Option<Column> {
        Some(Column { mean, most, least })
    }

    fn band(curve: &Curve) -> Band<'_> {
        Band {
            curve,
            marks: &[],
            peaks: ["peak ↓", "peak ↑"],
            alerts: AlertMarks::NONE,
            cross: None,
            chosen: None,
            width: 470,
        }
    }

    fn curve(columns: &[Option<Column>]) -> Curve {
        Curve { sides: [columns.to_vec(), columns.to_vec()], steps: 1 }
    }

    fn drawing(band: &Band<'_>) -> String {
        band.drawing(&|value| (value as i64).to_string())
    }

    #[test]
    fn a_band_reaches_from_the_lowest_to_the_highest_and_the_line_is_the_mean() {
        let curve = curve(&[column(2.0, 10.0, 0.0), column(5.0, 5.0, 5.0), None, column(1.0, 1.0, 1.0)]);
        let svg = drawing(&band(&curve));
        for part in [
            r#"<rect class="chart-gap" x="268" y="8" width="100" height="100"></rect>"#,
            r#"<path class="chart-area chart-down" d="M68 8H168V33H268V33H168V58H68ZM368 53H468V53H368Z"/>"#,
            r#"<path class="chart-edge chart-down" d="M68 8H168V33H268M368 53H468"/>"#,
            r#"<path class="chart-line chart-down" d="M68 48H168V33H268M368 53H468"/>"#,
            r#"<path class="chart-line chart-up" d="M68 68H168V83H268M368 63H468"/>"#,
            r#"<circle class="chart-peak chart-down" cx="118" cy="8" r="3"></circle>"#,
            r#"<text class="chart-label" x="125" y="12">peak ↓</text>"#,
            r#"<text class="chart-label chart-label-end" x="62" y="12">10</text>"#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn a_burst_of_one_column_in_a_year_stands_at_its_height() {
        let mut columns = vec![column(1.0, 1.0, 1.0); 365];
        columns[300] = column(1.0, 800.0, 0.0);
        let curve = curve(&columns);
        let svg = drawing(&band(&curve));
        // 400 pixels for 365 days: day 300 is at 68 + 329 and one pixel wide; 800 is the top of the scale.
        assert!(svg.contains("V8H398V58"), "{svg}");
        assert!(svg.contains(r#"<circle class="chart-peak chart-down" cx="397" cy="8" r="3">"#), "{svg}");
        assert!(
            svg.contains(r#"<text class="chart-label chart-label-end" x="390" y="12">peak ↓</text>"#),
            "{svg}"
        );
    }

    #[test]
    fn an_unknown_time_is_one_gap_without_a_peak() {
        let curve = curve(&[None; 4]);
        let svg = drawing(&band(&curve));
        assert!(svg.contains(r#"<rect class="chart-gap" x="68" y="8" width="400" height="100">"#), "{svg}");
        assert!(!svg.contains("circle"), "{svg}");
    }

    #[test]
    fn marks_crosshair_and_choice_are_where_they_should_be() {
        let curve = curve(&[column(1.0, 1.0, 1.0); 4]);
        let marks = [(0.0, "27 Nov".to_owned()), (0.5, "06:00".to_owned())];
        let alerts = AlertMarks { limits: [vec![0.5, 9.0], vec![1.0]], ..AlertMarks::default() };
        let band =
            Band { marks: &marks, alerts: &alerts, cross: Some(1), chosen: Some((1, 2)), ..band(&curve) };
        let svg = drawing(&band) + &band.overlay();
        assert_eq!(svg.matches("chart-limit").count(), 2, "one is beyond the axis: {svg}");
        for part in [
            r#"<path class="chart-limit" d="M68 33H468"/>"#,
            r#"<text class="chart-label chart-mark" x="268" y="126">06:00</text>"#,
            r#"<path class="chart-grid" d="M68 8V112"/>"#,
            r#"<rect class="chart-chosen" x="168" y="8" width="200" height="100">"#,
            r#"<path class="chart-cross" d="M218 8V108"/>"#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("27 Nov"), "cut off at the edge: {svg}");
    }

    #[test]
    fn the_pointer_finds_its_column_and_its_direction() {
        let curve = curve(&[column(1.0, 1.0, 1.0); 4]);
        let band = band(&curve);
        for (x, column) in [(0.0, 0), (68.0, 0), (167.0, 0), (169.0, 1), (467.0, 3), (999.0, 3)] {
            assert_eq!(band.column_at(x), column, "{x}");
        }
        assert!(band.is_download_at(57.0) && !band.is_download_at(59.0));
    }
}
