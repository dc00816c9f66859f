//! The part of a node's details that is about the time that is shown.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_format::{self as format, Unit};
use web_sys::HtmlElement;

use crate::host::HEIGHT;
use crate::marks::AlertSpan;
use crate::past::Past;
use crate::range::{self, Range};
use crate::words;

use super::chart::{Chart, ChartEvents};
use super::dom;

pub(super) struct Sheet {
    section: HtmlElement,
    chart: Rc<Chart>,
    known: RefCell<Option<Result<Rc<Past>, String>>>,
    /// For which width the charts of the host were drawn.
    host_width: Cell<i64>,
}

impl Sheet {
    pub(super) fn new() -> Rc<Self> {
        let section = dom::create(include_str!("../html/sheet.html"));
        let events = ChartEvents {
            on_range: Box::new(|from_ms, to_ms| {
                dom::navigate(&range::with_time(&dom::query(), &range::between(from_ms, to_ms), None), true);
            }),
            on_moment: None,
        };
        let chart = Chart::new(&dom::find(&section, ".past-chart"), "In this time", events);
        let sheet = Rc::new(Self { section, chart, known: RefCell::default(), host_width: Cell::default() });
        let resized = Rc::clone(&sheet);
        // After the chart, whose marks they share.
        dom::on_resize(&sheet.section, move || resized.resize());
        sheet
    }

    /// A node's details are open, or none are; nothing is known of them yet.
    pub(super) fn open(&self, is_open: bool) {
        self.known.replace(None);
        self.section.remove();
        let body = dom::document().query_selector(".drawer-body").ok().flatten().filter(|_| is_open);
        if let Some(body) = body {
            let _added = body.prepend_with_node_1(&self.section);
            self.write_word("Loading…");
        }
    }

    /// Takes an answer; one that failed leaves what was known before.
    pub(super) fn take(&self, answer: Result<Rc<Past>, String>) {
        let mut known = self.known.borrow_mut();
        match (&*known, answer) {
            (Some(Ok(_)), Err(word)) => self.write_word(&word),
            (_, answer) => {
                self.write_word(answer.as_ref().err().map_or("", |word| word));
                *known = Some(answer);
            }
        }
    }

    /// The node's alerts, which its chart marks.
    pub(super) fn mark(&self, alerts: &[AlertSpan]) {
        self.chart.mark(alerts);
    }

    pub(super) fn draw(&self, range: &Range, unit: Unit) {
        let known = self.known.borrow();
        let past = known.as_ref().and_then(|known| known.as_ref().ok());
        dom::find(&self.section, ".past-known").set_hidden(past.is_none());
        let Some(past) = past else { return };
        dom::write(&dom::find(&self.section, "h3"), &words::title(range, past, dom::now_ms(), &dom::zone));
        let rows = dom::find(&self.section, "tbody");
        rows.set_text_content(None);
        for (name, side) in ["↓ Download", "↑ Upload"].into_iter().zip(&past.sides) {
            let peak = unit.exact(side.peak().map(|peak| peak.rate));
            let cells = [name.to_owned(), unit.exact(side.mean_rate()), peak, format::bytes(side.bytes)];
            dom::append_row(&rows, &cells);
        }
        let mut lines =
            vec![words::peaks(past, &dom::zone), words::coverage(past, &dom::zone), words::resolution(past)];
        lines.extend(words::unplaced(past));
        lines.extend(self.chart.marked(past));
        dom::write_lines(&dom::find(&self.section, ".past-words"), &lines);
        self.chart.show(past, unit);
        self.draw_host(past);
    }

    fn resize(&self) {
        if let Some(Ok(past)) = &*self.known.borrow()
            && self.width() != self.host_width.get()
        {
            self.draw_host(past);
        }
    }

    fn width(&self) -> i64 {
        i64::from(self.section.client_width().max(240))
    }

    fn draw_host(&self, past: &Past) {
        let all = dom::find(&self.section, ".past-host");
        all.set_text_content(None);
        let width = self.width();
        self.host_width.set(width);
        let marks = self.chart.marks();
        for line in &past.host {
            let element = dom::create(include_str!("../html/host.html"));
            dom::write(&dom::find(&element, ".host-title"), line.title);
            dom::write(
                &dom::find(&element, ".host-words"),
                &line.words(|step| past.begin_ms(step), &dom::zone),
            );
            let svg = dom::find(&element, "svg");
            let view_box = ["0 0 ", &width.to_string(), " ", &HEIGHT.to_string()].concat();
            dom::set_attribute(&svg, "viewBox", &view_box);
            svg.set_inner_html(&line.drawing(width, &marks));
            let _added = all.append_with_node_1(&element);
        }
    }

    fn write_word(&self, word: &str) {
        let line = dom::find(&self.section, ".drawer-word");
        dom::write(&line, word);
        line.set_hidden(word.is_empty());
    }
}
