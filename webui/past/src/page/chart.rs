//! A chart of a range with its crosshair: a drag chooses a shorter range, a click asks who it was.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_format::Unit;
use tidemap_parts::chart::{HEIGHT, step_by_key};
use web_sys::{Element, Event, HtmlElement, KeyboardEvent, PointerEvent};

use crate::band::Band;
use crate::events;
use crate::marks::{AlertMarks, AlertSpan};
use crate::past::{Column, Curve, Past};
use crate::{calendar, words};

use super::dom;

/// A pointer that moved less than this has clicked.
const CLICK_PX: f64 = 4.0;

/// Gets whether it was in the part of download, and the time's begin and end, Unix milliseconds.
pub(super) type OnMoment = Box<dyn Fn(bool, i64, i64)>;

/// What is called when somebody points at a time.
pub(super) struct ChartEvents {
    /// A range was chosen: its begin and end, Unix milliseconds.
    pub(super) on_range: Box<dyn Fn(i64, i64)>,
    /// A moment was chosen.
    pub(super) on_moment: Option<OnMoment>,
}

pub(super) struct Chart {
    parts: Parts,
    events: ChartEvents,
    shown: RefCell<Option<Shown>>,
    alerts: RefCell<Vec<AlertSpan>>,
    /// The column under the crosshair.
    cross: Cell<Option<usize>>,
    /// The column where choosing began.
    anchor: Cell<Option<usize>>,
    /// Where the pointer went down.
    pressed_at: Cell<Option<f64>>,
    is_table: Cell<bool>,
}

struct Parts {
    title: HtmlElement,
    switch: HtmlElement,
    frame: HtmlElement,
    drawing: Element,
    base: Element,
    overlay: Element,
    reading: HtmlElement,
    status: HtmlElement,
    table: HtmlElement,
    rows: HtmlElement,
}

struct Shown {
    past: Rc<Past>,
    unit: Unit,
    curve: Curve,
    /// The same in the unit of the axis.
    scaled: Curve,
    marks: Vec<(f64, String)>,
    peaks: [String; 2],
    alerts: AlertMarks,
    width: i64,
}

impl Chart {
    /// Fills a section.
    pub(super) fn new(section: &HtmlElement, title: &str, events: ChartEvents) -> Rc<Self> {
        section.set_inner_html(include_str!("../html/chart.html").trim());
        let part = |selector: &str| dom::find(section, selector);
        let parts = Parts {
            title: part("h3"),
            switch: part(".link"),
            frame: part(".chart-box"),
            drawing: part("svg").into(),
            base: part("g").into(),
            overlay: part("g + g").into(),
            reading: part(".past-reading"),
            status: part("output"),
            table: part(".values"),
            rows: part("tbody"),
        };
        dom::write(&parts.title, title);
        let keys = ": download above zero, upload below. Arrow keys read values, with Shift they choose a range, \
                    Enter shows it.";
        dom::set_attribute(&parts.frame, "aria-label", &[title, keys].concat());
        let chart = Rc::new(Self {
            parts,
            events,
            shown: RefCell::default(),
            alerts: RefCell::default(),
            cross: Cell::default(),
            anchor: Cell::default(),
            pressed_at: Cell::default(),
            is_table: Cell::default(),
        });
        chart.listen();
        chart
    }

    pub(super) fn show(&self, past: &Rc<Past>, unit: Unit) {
        let shown = self.laid_out(Rc::clone(past), unit);
        let columns = shown.curve.columns();
        let before = self.shown.replace(Some(shown)).map(|before| before.curve.columns());
        // A refresh leaves the crosshair where it is.
        if before != Some(columns) {
            self.cross.set(None);
            self.anchor.set(None);
        }
        self.draw();
    }

    /// Alerts that are marked from the next drawing on.
    pub(super) fn mark(&self, alerts: &[AlertSpan]) {
        self.alerts.replace(alerts.to_vec());
    }

    /// What the marks mean, if there are any.
    pub(super) fn marked(&self, past: &Past) -> Option<String> {
        events::marked(&AlertMarks::within(&self.alerts.borrow(), past.from_ms, past.to_ms, |limit| limit))
    }

    /// Round moments of the time that is shown: how far to the right, 0 to 1, and what stands there.
    pub(super) fn marks(&self) -> Vec<(f64, String)> {
        self.shown.borrow().as_ref().map_or_else(Vec::new, |shown| shown.marks.clone())
    }

    fn laid_out(&self, past: Rc<Past>, unit: Unit) -> Shown {
        let width = i64::from(self.parts.frame.client_width().max(240));
        let columns = (width - 70) as usize;
        let curve = Curve::new(&past, columns);
        let length = (past.to_ms - past.from_ms).max(1) as f64;
        let marks = calendar::marks(past.from_ms, past.to_ms, columns / 64, &dom::zone);
        Shown {
            unit,
            scaled: scaled(&curve, unit),
            curve,
            marks: marks
                .into_iter()
                .map(|mark| ((mark.at_ms - past.from_ms) as f64 / length, mark.label))
                .collect(),
            peaks: past.sides.each_ref().map(|side| words::peak(side, unit)),
            alerts: AlertMarks::within(&self.alerts.borrow(), past.from_ms, past.to_ms, |limit| {
                unit.counted(limit)
            }),
            width,
            past,
        }
    }

    fn listen(self: &Rc<Self>) {
        let Parts { frame, switch, .. } = &self.parts;
        let chart = Rc::clone(self);
        dom::on_click(switch, move || {
            chart.is_table.set(!chart.is_table.get());
            chart.draw();
        });
        let chart = Rc::clone(self);
        dom::listen(frame, "keydown", move |event: KeyboardEvent| chart.key(&event));
        let chart = Rc::clone(self);
        dom::listen(frame, "pointerdown", move |event: PointerEvent| {
            if event.button() == 0 {
                // Without it, a drag that leaves the chart would not end here.
                let _captured = chart.parts.frame.set_pointer_capture(event.pointer_id());
                chart.pressed_at.set(Some(f64::from(event.client_x())));
                chart.anchor.set(chart.column_at(&event));
            }
        });
        let chart = Rc::clone(self);
        dom::listen(frame, "pointermove", move |event: PointerEvent| {
            chart.cross.set(chart.column_at(&event));
            chart.draw_overlay();
        });
        let chart = Rc::clone(self);
        dom::listen(frame, "pointerup", move |event: PointerEvent| chart.release(&event));
        for name in ["pointerleave", "pointercancel", "blur"] {
            let chart = Rc::clone(self);
            dom::listen(frame, name, move |_: Event| {
                chart.forget();
            });
        }
        let chart = Rc::clone(self);
        dom::on_resize(frame, move || chart.resize());
    }

    fn resize(&self) {
        let shown =
            self.shown.borrow().as_ref().map(|shown| (Rc::clone(&shown.past), shown.unit, shown.width));
        let width = i64::from(self.parts.frame.client_width());
        if let Some((past, unit, _)) = shown.filter(|(.., before)| width > 0 && width != *before) {
            self.show(&past, unit);
        }
    }

    fn release(&self, event: &PointerEvent) {
        let Some(pressed_at) = self.pressed_at.take() else { return };
        let (from, to) = (self.anchor.take(), self.column_at(event));
        let is_click = (f64::from(event.client_x()) - pressed_at).abs() < CLICK_PX;
        self.draw_overlay();
        match from.zip(to) {
            Some((_, column)) if is_click => {
                let y = f64::from(event.client_y()) - self.parts.frame.get_bounding_client_rect().top();
                self.ask_about(column, self.banded(|band| band.is_download_at(y)).unwrap_or(true));
            }
            Some((from, to)) => self.choose(from, to),
            None => {}
        }
    }

    fn key(&self, event: &KeyboardEvent) {
        let columns = self.shown.borrow().as_ref().map_or(0, |shown| shown.curve.columns());
        let key = event.key();
        let cross = self.cross.get();
        if key == "Escape" && cross.is_some() {
            // The first one takes the crosshair away, the next one closes the details.
            event.prevent_default();
            self.forget();
        } else if let (true, Some(column)) = (key == "Enter", cross) {
            event.prevent_default();
            match self.anchor.take() {
                Some(from) => self.choose(from, column),
                None => self.ask_about(column, self.is_more_download(column)),
            }
        } else if let Some(column) = step_by_key(&key, cross, columns) {
            event.prevent_default();
            self.anchor.set(if event.shift_key() { self.anchor.get().or(cross) } else { None });
            self.cross.set(Some(column));
            self.draw_overlay();
            dom::write(&self.parts.status, &self.parts.reading.text_content().unwrap_or_default());
        }
    }

    fn forget(&self) {
        self.cross.set(None);
        self.anchor.set(None);
        self.pressed_at.set(None);
        self.draw_overlay();
    }

    fn choose(&self, from: usize, to: usize) {
        if let Some((from_ms, to_ms)) = self.time(from.min(to), from.max(to)) {
            (self.events.on_range)(from_ms, to_ms);
        }
    }

    fn ask_about(&self, column: usize, is_download: bool) {
        if let (Some(on_moment), Some((from_ms, to_ms))) = (&self.events.on_moment, self.time(column, column))
        {
            on_moment(is_download, from_ms, to_ms);
        }
    }

    fn time(&self, first: usize, last: usize) -> Option<(i64, i64)> {
        let shown = self.shown.borrow();
        let shown = shown.as_ref()?;
        Some(shown.curve.time(&shown.past, first, last))
    }

    fn is_more_download(&self, column: usize) -> bool {
        let shown = self.shown.borrow();
        let Some(shown) = shown.as_ref() else { return true };
        let most = |side: usize| {
            shown.curve.sides[side].get(column).copied().flatten().map_or(0.0, |column| column.most)
        };
        most(0) >= most(1)
    }

    fn column_at(&self, event: &PointerEvent) -> Option<usize> {
        let x = f64::from(event.client_x()) - self.parts.frame.get_bounding_client_rect().left();
        self.banded(|band| band.column_at(x))
    }

    fn banded<T>(&self, of: impl FnOnce(&Band<'_>) -> T) -> Option<T> {
        let shown = self.shown.borrow();
        let shown = shown.as_ref().filter(|shown| shown.curve.columns() > 0)?;
        let cross = self.cross.get();
        let chosen = self.anchor.get().zip(cross).filter(|(from, to)| from != to);
        Some(of(&Band {
            curve: &shown.scaled,
            marks: &shown.marks,
            peaks: [&shown.peaks[0], &shown.peaks[1]],
            alerts: &shown.alerts,
            cross,
            chosen: chosen.map(|(from, to)| (from.min(to), from.max(to))),
            width: shown.width,
        }))
    }

    fn draw(&self) {
        let is_table = self.is_table.get();
        self.parts.frame.set_hidden(is_table);
        self.parts.reading.set_hidden(is_table);
        self.parts.table.set_hidden(!is_table);
        dom::write(&self.parts.switch, if is_table { "Show as chart" } else { "Show as table" });
        let unit = self.shown.borrow().as_ref().map(|shown| shown.unit).unwrap_or_default();
        if is_table {
            return self.write_table();
        }
        let drawn = self.banded(|band| (band.width, band.drawing(&|value| unit.tick(value))));
        if let Some((width, drawn)) = drawn {
            let view_box = ["0 0 ", &width.to_string(), " ", &HEIGHT.to_string()].concat();
            dom::set_attribute(&self.parts.drawing, "viewBox", &view_box);
            self.parts.base.set_inner_html(&drawn);
        }
        self.draw_overlay();
    }

    fn draw_overlay(&self) {
        self.parts.overlay.set_inner_html(&self.banded(|band| band.overlay()).unwrap_or_default());
        dom::write(&self.parts.reading, &self.reading());
    }

    fn reading(&self) -> String {
        let shown = self.shown.borrow();
        let Some((shown, column)) = shown.as_ref().zip(self.cross.get()) else {
            let who = if self.events.on_moment.is_some() { "; click to see which nodes it was" } else { "" };
            return ["Drag to look closer", who, "."].concat();
        };
        words::reading(&words::line(&shown.past, &shown.curve, column, shown.unit, &dom::zone))
    }

    fn write_table(&self) {
        self.parts.rows.set_text_content(None);
        let shown = self.shown.borrow();
        let Some(shown) = shown.as_ref() else { return };
        for column in (0..shown.curve.columns()).rev() {
            dom::append_row(
                &self.parts.rows,
                &words::line(&shown.past, &shown.curve, column, shown.unit, &dom::zone),
            );
        }
    }
}

/// The curve in bytes or in bits, so that the axis has round values.
fn scaled(curve: &Curve, unit: Unit) -> Curve {
    let side = |side: &[Option<Column>]| {
        let column = |column: &Column| Column {
            mean: unit.counted(column.mean),
            most: unit.counted(column.most),
            least: unit.counted(column.least),
        };
        side.iter().map(|known| known.as_ref().map(column)).collect()
    };
    Curve { sides: [side(&curve.sides[0]), side(&curve.sides[1])], steps: curve.steps }
}
