//! What a node's host did in a time that is over: shares of its processors, memory and disk, and its load.

use tidemap_format as format;
use tidemap_parts::chart::{PlotArea, nice_ceiling, svg};
use tidemap_parts::value::{Invalid, Value};

use crate::calendar::{self, Zone};

/// The height of a chart: half of what traffic has, because there are four.
pub const HEIGHT: i64 = 72;

/// What is drawn: its title, its means if it has any, its highest values, and whether they are percent.
const LINES: [(&str, Option<&str>, &str, bool); 4] = [
    ("Processors", Some("cpu_percent"), "cpu_max_percent", true),
    ("Memory", None, "memory_max_percent", true),
    ("Disk", None, "disk_max_percent", true),
    ("Load, 1 min", None, "load_1_max", false),
];

/// A metric of a host, one value for each step, absent where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct HostLine {
    /// What it is.
    pub title: &'static str,
    is_percent: bool,
    mean: Option<Vec<Option<f64>>>,
    most: Vec<Option<f64>>,
}

/// Reads those of which anything is known from the API's answer about a node.
///
/// # Errors
///
/// When it is not such an answer.
pub fn lines(answer: &Value, steps: usize) -> Result<Vec<HostLine>, Invalid> {
    let column = |name: &str| {
        let column = answer.get(name).or_null(|column| column.list(|value| value.or_null(Value::number)))?;
        let column = column.unwrap_or_else(|| vec![None; steps]);
        if column.len() == steps { Ok(column) } else { Err(Invalid) }
    };
    let mut lines = Vec::new();
    for (title, mean, most, is_percent) in LINES {
        let (mean, most) = (mean.map(column).transpose()?, column(most)?);
        if most.iter().any(Option::is_some) {
            lines.push(HostLine { title, is_percent, mean, most });
        }
    }
    Ok(lines)
}

impl HostLine {
    /// Its mean, where it has one, its peak, and when that was first; `begin_ms` is a step's begin, Unix
    /// milliseconds.
    pub fn words(&self, begin_ms: impl Fn(usize) -> i64, zone: Zone<'_>) -> String {
        let known = |column: &[Option<f64>]| -> Vec<f64> { column.iter().flatten().copied().collect() };
        let mean = self.mean.as_deref().map(known).filter(|mean| !mean.is_empty());
        let mean = mean.map(|mean| {
            let mean = mean.iter().sum::<f64>() / mean.len() as f64;
            ["mean ", &self.amount(mean), ", "].concat()
        });
        let highest = highest(&self.most);
        let first = self.most.iter().position(|value| *value == Some(highest)).unwrap_or(0);
        let when = calendar::moment(begin_ms(first), zone);
        [&mean.unwrap_or_default(), "peak ", &*self.amount(highest), " · ", &when].concat()
    }

    /// The inside of an SVG element of this width: the peaks as an edge, the means as a line below, round
    /// moments as in the chart of the traffic above.
    pub fn drawing(&self, width: i64, marks: &[(f64, String)]) -> String {
        let area = PlotArea { bottom: HEIGHT - 8, ..PlotArea::of_width(width) };
        let PlotArea { left, right, top, bottom } = area;
        let columns = (right - left) as usize;
        let most = joined(&self.most, columns, highest);
        let mean = self.mean.as_ref().map(|mean| joined(mean, columns, middle));
        let end = self.end(&most);
        let x = |at: usize| left + ((right - left) as f64 * at as f64 / most.len() as f64).round() as i64;
        let y = |value: f64| bottom - ((bottom - top) as f64 * value.min(end) / end).round() as i64;
        let mut drawn = String::new();
        for (from, to) in gaps(&most) {
            let place = [("x", x(from)), ("y", top), ("width", x(to) - x(from)), ("height", bottom - top)];
            svg::element(&mut drawn, "rect class=\"chart-gap\"", &place, "rect", "");
        }
        for (at, value) in [(top, end), (bottom, 0.0)] {
            let line = ["M", &left.to_string(), " ", &at.to_string(), "H", &right.to_string()].concat();
            svg::path(&mut drawn, "chart-grid", &line);
            let label = self.amount(value);
            svg::text(&mut drawn, "chart-label chart-label-end", left - 6, at + 4, &label);
        }
        for (part, _) in marks {
            let at = left + (part * (right - left) as f64).round() as i64;
            let line = ["M", &at.to_string(), " ", &top.to_string(), "V", &bottom.to_string()].concat();
            svg::path(&mut drawn, "chart-grid", &line);
        }
        svg::path(&mut drawn, "host-area", &stairs(&most, &x, &y, Some(bottom)));
        if let Some(mean) = mean {
            svg::path(&mut drawn, "host-edge", &stairs(&most, &x, &y, None));
            svg::path(&mut drawn, "host-line", &stairs(&mean, &x, &y, None));
        } else {
            svg::path(&mut drawn, "host-line", &stairs(&most, &x, &y, None));
        }
        drawn
    }

    /// Where the axis ends. A tenth of it all is the least, or noise would look like load.
    fn end(&self, most: &[Option<f64>]) -> f64 {
        let end = nice_ceiling(highest(most));
        if self.is_percent { end.clamp(10.0, 100.0) } else { end.max(0.1) }
    }

    fn amount(&self, value: f64) -> String {
        if self.is_percent {
            return format::percent(Some(value));
        }
        format::fixed(value, if value == value.round() { 0 } else { 2 })
    }
}

/// Steps drawn together where there are more than there are pixels.
fn joined(steps: &[Option<f64>], columns: usize, of: impl Fn(&[Option<f64>]) -> f64) -> Vec<Option<f64>> {
    let size = steps.len().div_ceil(columns.max(1)).max(1);
    let column = |steps: &[Option<f64>]| steps.iter().any(Option::is_some).then(|| of(steps));
    steps.chunks(size).map(column).collect()
}

fn highest(steps: &[Option<f64>]) -> f64 {
    steps.iter().flatten().copied().fold(0.0, f64::max)
}

fn middle(steps: &[Option<f64>]) -> f64 {
    let known = steps.iter().flatten();
    known.clone().sum::<f64>() / known.count().max(1) as f64
}

/// From which column to which nothing is known.
fn gaps(columns: &[Option<f64>]) -> Vec<(usize, usize)> {
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    for at in (0..columns.len()).filter(|at| columns[*at].is_none()) {
        match gaps.last_mut() {
            Some((_, to)) if *to == at => *to = at + 1,
            _ => gaps.push((at, at + 1)),
        }
    }
    gaps
}

/// Columns as a line with a step at each limit, or as the area down to a floor.
fn stairs(
    columns: &[Option<f64>],
    x: &dyn Fn(usize) -> i64,
    y: &dyn Fn(f64) -> i64,
    floor: Option<i64>,
) -> String {
    let mut path = String::new();
    let mut is_drawn = false;
    for (at, value) in columns.iter().enumerate() {
        let mut add = |command: &str, number: i64| {
            path.push_str(command);
            path.push_str(&number.to_string());
        };
        match (value, is_drawn) {
            (Some(value), true) => add("V", y(*value)),
            (Some(value), false) => {
                add("M", x(at));
                add(" ", floor.unwrap_or_else(|| y(*value)));
                add("V", y(*value));
            }
            (None, _) => {}
        }
        is_drawn = value.is_some();
        if is_drawn {
            add("H", x(at + 1));
        }
        let is_end = columns.get(at + 1).is_none_or(Option::is_none);
        if let (Some(floor), true, true) = (floor, is_drawn, is_end) {
            add("V", floor);
            path.push('Z');
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(answer: &serde_json::Value, steps: usize) -> Result<Vec<HostLine>, Invalid> {
        lines(&Value::parse(&answer.to_string()).unwrap(), steps)
    }

    fn processors() -> HostLine {
        let answer = json!({ "cpu_percent": [10, null, 20.5, 30], "cpu_max_percent": [50, null, 80, 41] });
        read(&answer, 4).unwrap().remove(0)
    }

    #[test]
    fn what_nobody_knows_is_not_there() {
        let unknown = json!({ "cpu_percent": [null], "cpu_max_percent": [null], "load_1_max": [null] });
        assert_eq!(read(&unknown, 1).unwrap(), [], "a station of yesterday");
        assert_eq!(read(&json!({}), 3).unwrap(), []);
        let lines = read(&json!({ "disk_max_percent": [81, null], "load_1_max": [0, 0.25] }), 2).unwrap();
        assert_eq!(lines.iter().map(|line| line.title).collect::<Vec<_>>(), ["Disk", "Load, 1 min"]);
        assert_eq!(read(&json!({ "load_1_max": [1] }), 2), Err(Invalid), "too short");
    }

    #[test]
    fn words_are_the_mean_of_what_is_known_and_the_peak() {
        let begin_ms = |step: usize| step as i64 * 3_600_000;
        assert_eq!(processors().words(begin_ms, &|_| 0), "mean 20 %, peak 80 % · 1 Jan 02:00");
        let load = read(&json!({ "load_1_max": [0, 0.25] }), 2).unwrap().remove(0);
        assert_eq!(load.words(begin_ms, &|_| 0), "peak 0.25 · 1 Jan 01:00");
    }

    #[test]
    fn means_are_a_line_below_the_edge_of_the_peaks_and_gaps_are_gaps() {
        let svg = processors().drawing(470, &[(0.5, String::new())]);
        for part in [
            r#"<rect class="chart-gap" x="168" y="8" width="100" height="56">"#,
            r#"<path class="host-edge" d="M68 29V29H168M268 8V8H368V35H468"/>"#,
            r#"<path class="host-line" d="M68 57V57H168M268 50V50H368V43H468"/>"#,
            r#"<path class="host-area" d="M68 64V29H168V64ZM268 64V8H368V35H468V64Z"/>"#,
            r#"<text class="chart-label chart-label-end" x="62" y="12">80 %</text>"#,
            r#"<path class="chart-grid" d="M268 8V64"/>"#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
    }

    #[test]
    fn a_peak_of_one_step_stays_where_there_are_more_steps_than_pixels() {
        let mut steps = vec![Some(1.0); 1000];
        steps[777] = Some(93.0);
        let columns = joined(&steps, 100, highest);
        assert_eq!((columns.len(), columns[77]), (100, Some(93.0)));
        assert_eq!(joined(&[None, Some(2.0), Some(4.0), None], 2, middle), [Some(2.0), Some(4.0)]);
        assert_eq!(gaps(&[None, Some(1.0), None, None]), [(0, 1), (2, 4)]);
    }
}
