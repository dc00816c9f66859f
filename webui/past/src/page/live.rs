//! The charts of the present, which the page's other program draws: what alerts mark lies above them.

use std::cell::RefCell;

use tidemap_parts::chart::HEIGHT;
use web_sys::HtmlElement;

use crate::events;
use crate::marks::{AlertMarks, AlertSpan, LivePlot};
use crate::range::Asked;

use super::dom;

/// The sections of the charts, the one that goes back farthest last.
const CHARTS: [&str; 2] = ["chart-60s", "chart-15m"];
/// Where a chart says what its axes are, whenever it is drawn.
const PLOT: &str = "data-plot";

thread_local! {
    static MARKED: RefCell<Option<Vec<AlertSpan>>> = const { RefCell::new(None) };
}

/// Marks these alerts of the open node from now on.
pub(super) fn mark(alerts: &[AlertSpan]) {
    let before = MARKED.with(|marked| marked.borrow_mut().replace(alerts.to_vec()));
    if before.is_none() {
        dom::on_change(PLOT, draw);
    }
    draw();
}

fn draw() {
    let alerts = MARKED.with(|marked| marked.borrow().clone()).unwrap_or_default();
    let unit = Asked::parse(&dom::query()).unit;
    let mut words = None;
    for chart in CHARTS.into_iter().filter_map(dom::by_id) {
        let frame = dom::find(&chart, ".chart-box");
        let plot = frame.get_attribute(PLOT).and_then(|plot| LivePlot::parse(&plot));
        let marks = plot.as_ref().map_or_else(AlertMarks::default, |plot| {
            let LivePlot { from_ms, to_ms, .. } = *plot;
            AlertMarks::within(&alerts, from_ms, to_ms, |limit| unit.counted(limit))
        });
        words = events::marked(&marks);
        match plot.filter(|_| marks != AlertMarks::default()) {
            Some(plot) => lay_over(&frame, &plot, &marks),
            None => remove(&frame),
        }
    }
    legend(&words.unwrap_or_default());
}

/// Draws above a chart.
fn lay_over(frame: &HtmlElement, plot: &LivePlot, marks: &AlertMarks) {
    let over = frame.query_selector(".chart-over").ok().flatten().unwrap_or_else(|| {
        let over = dom::create("<div class=chart-over><svg class=chart aria-hidden=true></svg></div>");
        let _added = frame.append_with_node_1(&over);
        over.into()
    });
    let width = i64::from(frame.client_width().max(200));
    let svg = dom::find(&over, "svg");
    dom::set_attribute(&svg, "viewBox", &["0 0 ", &width.to_string(), " ", &HEIGHT.to_string()].concat());
    svg.set_inner_html(&plot.drawing(marks, width));
}

fn remove(frame: &HtmlElement) {
    if let Some(over) = frame.query_selector(".chart-over").ok().flatten() {
        over.remove();
    }
}

/// What the marks on the last chart mean, below it.
fn legend(words: &str) {
    let line = dom::by_id("chart-alerts").or_else(|| {
        let line = dom::create("<p class=drawer-word id=chart-alerts></p>");
        dom::by_id(CHARTS[1])?.after_with_node_1(&line).ok()?;
        Some(line)
    });
    if let Some(line) = line {
        dom::write(&line, words);
        line.set_hidden(words.is_empty());
    }
}
