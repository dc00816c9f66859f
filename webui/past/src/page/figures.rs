//! The strip of numbers, for the time that is shown: what stands there for the present is hidden meanwhile.

use std::rc::Rc;

use tidemap_format::{self as format, Headliner, Unit};
use web_sys::HtmlElement;

use crate::past::Past;
use crate::words;

use super::dom;

pub(super) struct Figures {
    rates: [HtmlElement; 2],
    bytes: HtmlElement,
}

impl Figures {
    pub(super) fn new() -> Self {
        let cells = dom::create(include_str!("../html/figures.html"));
        let cell = |selector: &str| {
            let cell = dom::find(&cells, selector);
            cell.remove();
            cell
        };
        Self {
            rates: [cell(".kpi[data-direction=download]"), cell(".kpi[data-direction=upload]")],
            bytes: cell(".kpi-means"),
        }
    }

    pub(super) fn draw(&self, past: &Rc<Past>, unit: Unit) {
        for (cell, side) in self.rates.iter().zip(&past.sides) {
            let headline = Headliner::default().write(side.mean_rate(), unit);
            dom::write(&dom::find(cell, ".kpi-value"), &headline.value);
            dom::write(&dom::find(cell, ".kpi-unit"), headline.unit);
            let peak = match words::peak(side, unit) {
                peak if peak.is_empty() => format::UNKNOWN.to_owned(),
                peak => [&peak, " · ", &words::peak_time(past, side, &dom::zone)].concat(),
            };
            dom::write(&dom::find(cell, ".kpi-note"), &peak);
        }
        for (direction, side) in ["download", "upload"].into_iter().zip(&past.sides) {
            let line = dom::find(&self.bytes, &["[data-direction=", direction, "] .past-bytes"].concat());
            dom::write(&line, &format::bytes(side.bytes));
        }
        self.add();
    }

    fn add(&self) {
        let Ok(Some(counts)) = dom::document().query_selector(".kpi-counts") else { return };
        let Some(strip) = counts.parent_element().filter(|strip| !strip.contains(Some(&self.bytes))) else {
            return;
        };
        for cell in &self.rates {
            let _added = strip.insert_before(cell, Some(&counts));
        }
        let _added = strip.insert_before(&self.bytes, counts.next_sibling().as_ref());
        dom::set_attribute(&strip, "data-past", "true");
    }

    pub(super) fn remove(&self) {
        if let Some(strip) = self.bytes.parent_element() {
            let _removed = strip.remove_attribute("data-past");
        }
        for cell in [&self.rates[0], &self.rates[1], &self.bytes] {
            cell.remove();
        }
    }
}
