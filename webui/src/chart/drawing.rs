//! A chart as the inside of an SVG element.
//!
//! Written as text: it is numbers and fixed words alone, nothing that anybody else could have chosen.

use super::{Frame, Mirror};

/// The drawing box of a chart.
pub const BOX: (i64, i64) = (440, 132);

const FRAME: Frame = Frame { left: 56, right: BOX.0 - 2, top: 8, bottom: BOX.1 - 24 };

/// Draws both directions. `label` writes a value at the axis, `span` says how long ago the first step was.
pub fn drawing(
    download: &[Option<f64>],
    upload: &[Option<f64>],
    span: &'static str,
    label: &dyn Fn(f64) -> String,
) -> String {
    let mirror = Mirror::new(download, upload, FRAME);
    let mut svg = String::new();
    for (from, to) in &mirror.gaps {
        let place =
            [("x", *from), ("y", FRAME.top), ("width", to - from), ("height", FRAME.bottom - FRAME.top)];
        element(&mut svg, "rect class=\"chart-gap\"", &place, "rect", "");
    }
    for tick in &mirror.ticks {
        let line =
            ["M", &FRAME.left.to_string(), " ", &tick.at.to_string(), "H", &FRAME.right.to_string()].concat();
        path(&mut svg, "chart-grid", &line);
        text(&mut svg, "chart-label chart-label-end", FRAME.left - 6, tick.at + 4, &label(tick.value));
    }
    path(&mut svg, "chart-area chart-down", &mirror.download_area);
    path(&mut svg, "chart-line chart-down", &mirror.download_line);
    path(&mut svg, "chart-area chart-up", &mirror.upload_area);
    path(&mut svg, "chart-line chart-up", &mirror.upload_line);
    text(&mut svg, "chart-label", FRAME.left, BOX.1 - 6, &[span, " ago"].concat());
    text(&mut svg, "chart-label chart-label-end", FRAME.right, BOX.1 - 6, "now");
    svg
}

fn path(svg: &mut String, class: &str, d: &str) {
    for part in ["<path class=\"", class, "\" d=\"", d, "\"/>"] {
        svg.push_str(part);
    }
}

fn text(svg: &mut String, class: &str, x: i64, y: i64, text: &str) {
    let head = ["text class=\"", class, "\""].concat();
    element(svg, &head, &[("x", x), ("y", y)], "text", text);
}

fn element(svg: &mut String, head: &str, numbers: &[(&str, i64)], tag: &str, content: &str) {
    svg.push('<');
    svg.push_str(head);
    for (name, number) in numbers {
        for part in [" ", name, "=\"", &number.to_string(), "\""] {
            svg.push_str(part);
        }
    }
    for part in [">", content, "</", tag, ">"] {
        svg.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_axes_gaps_and_both_directions() {
        let label = |value: f64| (value as u32).to_string();
        let svg = drawing(&[Some(4.0), None, Some(4.0)], &[Some(4.0), None, Some(4.0)], "60 s", &label);
        assert!(
            svg.starts_with(r#"<rect class="chart-gap" x="56" y="8" width="382" height="100"></rect>"#),
            "{svg}"
        );
        assert!(svg.contains(r#"<path class="chart-grid" d="M56 58H438"/>"#), "{svg}");
        assert!(svg.contains(r#"<text class="chart-label chart-label-end" x="50" y="12">4</text>"#), "{svg}");
        assert!(svg.contains(r#"<path class="chart-line chart-down" d="M56 8L57 8M438 8L439 8"/>"#), "{svg}");
        assert!(
            svg.contains(r#"<path class="chart-line chart-up" d="M56 108L57 108M438 108L439 108"/>"#),
            "{svg}"
        );
        assert!(svg.contains("60 s ago</text>") && svg.ends_with("now</text>"), "{svg}");
    }
}
