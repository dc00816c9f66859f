//! The node's recent past: download above zero, upload below, and the same as a table. A crosshair reads values, by
//! pointer and by keyboard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_wire::{Bps, Series};
use web_sys::{Element, Event, HtmlElement, KeyboardEvent, PointerEvent};

use crate::chart::{HEIGHT, Plot, step_by_key};
use crate::format::{self, Unit};
use crate::page::dom;
use crate::page::html;
use crate::page::pool::Pool;

const FRAME: &str = "<div class=drawer-section-head><h3></h3><button class=link type=button></button></div>\
    <p class=drawer-word>Not known at the moment.</p>\
    <div class=chart-box tabindex=0 role=application aria-roledescription=chart><svg class=chart aria-hidden=true></svg></div>\
    <output class=unseen></output>\
    <div class=values tabindex=0 role=region aria-label=Values><table class=figures><thead><tr><th scope=col>Ago\
    <th scope=col class=cell-rate>↓<th scope=col class=cell-rate>↑</tr></thead><tbody></tbody></table></div>";

const LINE: &str =
    "<tr><th scope=row class=text></th><td class='text cell-rate'></td><td class='text cell-rate'></td></tr>";

/// A titled chart of one series.
pub(super) struct Chart {
    word: HtmlElement,
    frame: HtmlElement,
    svg: Element,
    status: Element,
    table: HtmlElement,
    button: Element,
    lines: RefCell<Pool>,
    span: &'static str,
    is_table: Cell<bool>,
    /// The step under the crosshair, counted back from the newest: it stays where it is while time goes on.
    steps_ago: Cell<Option<usize>>,
    shown: RefCell<Option<(Series, Unit)>>,
}

impl Chart {
    /// Fills the section with this id.
    pub(super) fn new(root: &Element, id: &str, title: &str, span: &'static str) -> Option<Rc<Self>> {
        let section = html::find(root, &["#", id].concat())?;
        section.set_inner_html(FRAME);
        html::find(&section, "h3")?.set_text_content(Some(title));
        let chart = Rc::new(Self {
            word: html::part(&section, ".drawer-word")?,
            frame: html::part(&section, ".chart-box")?,
            svg: html::find(&section, "svg")?,
            status: html::find(&section, "output")?,
            table: html::part(&section, ".values")?,
            button: html::find(&section, ".link")?,
            lines: RefCell::new(Pool::new(html::part(&section, "tbody")?, LINE)),
            span,
            is_table: Cell::new(false),
            steps_ago: Cell::new(None),
            shown: RefCell::new(None),
        });
        let label = [title, ": download above zero, upload below. Arrow keys read values."].concat();
        dom::set_attribute(&chart.frame, "aria-label", Some(&label));
        chart.listen();
        Some(chart)
    }

    /// Draws this series, or says that it is not known.
    pub(super) fn show(&self, series: Option<&Series>, unit: Unit) {
        self.shown.replace(series.map(|series| (series.clone(), unit)));
        self.draw();
    }

    fn listen(self: &Rc<Self>) {
        let chart = Rc::clone(self);
        html::on_click(&self.button, "", move || {
            chart.is_table.set(!chart.is_table.get());
            chart.draw();
        });
        let chart = Rc::clone(self);
        dom::listen(&self.frame, "keydown", move |event: KeyboardEvent| chart.key(&event));
        let chart = Rc::clone(self);
        dom::listen(&self.frame, "pointermove", move |event: PointerEvent| {
            let x = f64::from(event.client_x()) - chart.frame.get_bounding_client_rect().left();
            let steps = chart.steps();
            let at = chart.plotted(|plot| plot.step_at(x)).unwrap_or(0);
            chart.read(Some(steps.saturating_sub(1).saturating_sub(at)));
        });
        for event in ["pointerleave", "blur"] {
            let chart = Rc::clone(self);
            dom::listen(&self.frame, event, move |_: Event| chart.read(None));
        }
        let chart = Rc::clone(self);
        dom::on_resize(&self.frame, move || chart.draw());
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
            // Only what a key has led to is told: else each second would tell another value.
            self.status.set_text_content(Some(&self.reading().unwrap_or_default()));
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
        let width = self.frame.client_width().max(200).into();
        let cross = at.zip(reading.as_deref());
        Some(of(&Plot { download: &download, upload: &upload, span: self.span, cross, width }))
    }

    fn draw(&self) {
        let (is_table, shown) = (self.is_table.get(), self.shown.borrow());
        let is_known = shown.is_some();
        self.word.set_hidden(is_known);
        self.frame.set_hidden(!is_known || is_table);
        self.table.set_hidden(!is_known || !is_table);
        self.button.set_text_content(Some(if is_table { "Show as chart" } else { "Show as table" }));
        let Some((series, unit)) = &*shown else { return };
        if is_table {
            let lines = (0..steps(series)).rev().map(|at| line(series, *unit, at).to_vec());
            self.lines.borrow_mut().write(lines.collect());
            return;
        }
        self.plotted(|plot| {
            let view_box = ["0 0 ", &plot.width.to_string(), " ", &HEIGHT.to_string()].concat();
            dom::set_attribute(&self.svg, "viewBox", Some(&view_box));
            self.svg.set_inner_html(&plot.drawing(&|value| unit.tick(value)));
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
