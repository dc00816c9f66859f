//! The node's recent past: download above zero, upload below, and the same as a table. A crosshair reads
//! values, by pointer and by keyboard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_format::{self as format, Unit};
use tidemap_wire::{Bps, Series};
use web_sys::{Event, HtmlElement, KeyboardEvent, PointerEvent};

use crate::fragments::{self, CHART_VALUE};
use crate::page::dom;
use crate::page::pool::Pool;
use tidemap_parts::chart::{HEIGHT, Plot, step_by_key};

/// A titled chart of one series.
pub(super) struct Chart {
    parts: fragments::Chart,
    lines: RefCell<Pool>,
    span: &'static str,
    is_table: Cell<bool>,
    /// The step under the crosshair, counted back from the newest: it stays where it is while time goes on.
    steps_ago: Cell<Option<usize>>,
    shown: RefCell<Option<(Series, Unit)>>,
    /// How far the clock of the steps is ahead of the broker's.
    skew_ms: Cell<i64>,
}

impl Chart {
    /// Fills a section.
    pub(super) fn new(section: HtmlElement, title: &str, span: &'static str) -> Rc<Self> {
        let parts = fragments::Chart::fill(section);
        parts.title.set_text_content(Some(title));
        let label = [title, ": download above zero, upload below. Arrow keys read values."].concat();
        dom::set_attribute(&parts.frame, "aria-label", Some(&label));
        let chart = Rc::new(Self {
            lines: RefCell::new(Pool::new(parts.values.clone(), CHART_VALUE)),
            parts,
            span,
            is_table: Cell::new(false),
            steps_ago: Cell::new(None),
            shown: RefCell::new(None),
            skew_ms: Cell::new(0),
        });
        chart.listen();
        chart
    }

    /// Draws this series of a host whose clock is so far ahead, or says that it is not known.
    pub(super) fn show(&self, series: Option<&Series>, skew_ms: i64, unit: Unit) {
        self.skew_ms.set(skew_ms);
        self.shown.replace(series.map(|series| (series.clone(), unit)));
        self.draw();
    }

    fn listen(self: &Rc<Self>) {
        let chart = Rc::clone(self);
        dom::on_click(&self.parts.button, move || {
            chart.is_table.set(!chart.is_table.get());
            chart.draw();
        });
        let chart = Rc::clone(self);
        dom::listen(&self.parts.frame, "keydown", move |event: KeyboardEvent| chart.key(&event));
        let chart = Rc::clone(self);
        dom::listen(&self.parts.frame, "pointermove", move |event: PointerEvent| {
            let x = f64::from(event.client_x()) - chart.parts.frame.get_bounding_client_rect().left();
            let steps = chart.steps();
            let at = chart.plotted(|plot| plot.step_at(x)).unwrap_or(0);
            chart.read(Some(steps.saturating_sub(1).saturating_sub(at)));
        });
        for event in ["pointerleave", "blur"] {
            let chart = Rc::clone(self);
            dom::listen(&self.parts.frame, event, move |_: Event| chart.read(None));
        }
        let chart = Rc::clone(self);
        dom::on_resize(&self.parts.frame, move || chart.draw());
    }

    fn key(&self, event: &KeyboardEvent) {
        let steps = self.steps();
        let at = self.steps_ago.get().map(|ago| steps.saturating_sub(1 + ago));
        if event.key() == "Escape" && at.is_some() {
            // The first one takes the crosshair away, the next one closes the details.
            event.prevent_default();
            self.read(None);
        } else if let Some(step) = step_by_key(&event.key(), at, steps) {
            event.prevent_default();
            self.read(Some(steps - 1 - step));
            // Only what a key has led to is announced: otherwise each second would announce another value.
            self.parts.status.set_text_content(Some(&self.reading().unwrap_or_default()));
        }
    }

    fn read(&self, steps_ago: Option<usize>) {
        if self.steps_ago.replace(steps_ago) != steps_ago {
            self.draw();
        }
    }

    fn steps(&self) -> usize {
        self.shown.borrow().as_ref().map_or(0, |(series, _)| steps(series))
    }

    /// What the crosshair reads.
    fn reading(&self) -> Option<String> {
        let shown = self.shown.borrow();
        let (series, unit) = shown.as_ref()?;
        let [ago, download, upload] =
            line(series, *unit, steps(series).checked_sub(1 + self.steps_ago.get()?)?);
        Some([&ago, " ago: ↓ ", &download, ", ↑ ", &upload].concat())
    }

    fn plotted<T>(&self, of: impl FnOnce(&Plot<'_>) -> T) -> Option<T> {
        let shown = self.shown.borrow();
        let (series, unit) = shown.as_ref()?;
        let rates = |rates: &[Option<Bps>]| -> Vec<Option<f64>> {
            rates.iter().map(|rate| rate.map(|rate| unit.counted(rate.get()))).collect()
        };
        let (download, upload, reading) = (rates(&series.rx_bps), rates(&series.tx_bps), self.reading());
        let at = self.steps_ago.get().and_then(|ago| steps(series).checked_sub(1 + ago));
        let width = self.parts.frame.client_width().max(200).into();
        let cross = at.zip(reading.as_deref());
        Some(of(&Plot { download: &download, upload: &upload, span: self.span, cross, width }))
    }

    fn draw(&self) {
        let (is_table, shown) = (self.is_table.get(), self.shown.borrow());
        let is_known = shown.is_some();
        self.parts.word.set_hidden(is_known);
        self.parts.frame.set_hidden(!is_known || is_table);
        self.parts.table.set_hidden(!is_known || !is_table);
        self.parts.button.set_text_content(Some(if is_table { "Show as chart" } else { "Show as table" }));
        let Some((series, unit)) = &*shown else { return };
        if is_table {
            let lines = (0..steps(series)).rev().map(|at| line(series, *unit, at).to_vec());
            self.lines.borrow_mut().write(lines.collect());
            return;
        }
        self.plotted(|plot| {
            let view_box = ["0 0 ", &plot.width.to_string(), " ", &HEIGHT.to_string()].concat();
            dom::set_attribute(&self.parts.drawing, "viewBox", Some(&view_box));
            self.parts.drawing.set_inner_html(&plot.drawing(&|value| unit.tick(value)));
            // The page's second program marks alerts above it.
            let [above, below] = plot.ends();
            let end_ms = series.end_ms - self.skew_ms.get();
            // Each step is drawn at its end.
            let length_ms = (steps(series) as i64 - 1) * i64::from(series.step_ms);
            let axes = [end_ms - length_ms, end_ms, above as i64, below as i64];
            let axes = axes.map(|end| end.to_string()).join(" ");
            dom::set_attribute(&self.parts.frame, "data-plot", Some(&axes));
        });
    }
}

fn steps(series: &Series) -> usize {
    series.rx_bps.len().max(series.tx_bps.len())
}

/// One step in words: how long ago, download, upload.
fn line(series: &Series, unit: Unit, at: usize) -> [String; 3] {
    let ago_ms = (steps(series) - 1 - at) as u64 * u64::from(series.step_ms);
    let rate = |rates: &[Option<Bps>]| unit.exact(rates.get(at).copied().flatten().map(Bps::get));
    [format::duration(ago_ms / 1000), rate(&series.rx_bps), rate(&series.tx_bps)]
}
