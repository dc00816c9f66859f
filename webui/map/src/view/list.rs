//! The nodes of one place as a list, where they are too many to be spread on the map.

use std::cell::RefCell;

use web_sys::HtmlElement;

use super::dom::{Shown, Text, button, create, set};
use super::popup::status_name;
use crate::Markers;
use crate::cluster::ClusterSummary;
use crate::rank;
use crate::scene::{Form, Opened, Scene};
use tidemap_format::{Unit, count};

/// The most rows: the table has them all, with search and order.
const MAX_ROWS: usize = 100;
const GAP_PX: f64 = 26.0;

/// The list's elements.
pub(super) struct List {
    panel: Shown,
    title: Text,
    /// What all of them move together.
    sums: Text,
    /// Holds one button per node, each with its row in `data-row`.
    pub(super) rows: HtmlElement,
    lines: RefCell<Vec<Line>>,
    rest: Text,
    pub(super) close: HtmlElement,
}

/// One node of the list.
struct Line {
    row: usize,
    button: HtmlElement,
    glyph: HtmlElement,
    name: Text,
    down: Text,
    up: Text,
}

impl List {
    pub(super) fn new(root: &HtmlElement) -> Self {
        let panel = create(root, "section", "map-popup map-list");
        let head = create(&panel, "div", "map-popup-head");
        let title = Text::new(&head, "strong", "map-popup-name");
        let close = button(&head, "map-close", "×", Some("Close"));
        let sums = Text::new(&panel, "p", "map-popup-place live");
        let rows = create(&panel, "ul", "map-list-rows");
        let rest = Text::new(&panel, "p", "map-popup-place");
        Self { panel: Shown::new(panel), title, sums, rows, lines: RefCell::default(), rest, close }
    }

    /// Shows the opened place, if it is opened as a list.
    pub(super) fn update(&self, scene: &Scene, markers: &Markers<'_>, unit: Unit) {
        let Some(opened) = scene.opened().filter(|opened| opened.form == Form::List) else {
            self.panel.set(false);
            return;
        };
        let place = opened.rows.first().and_then(|&row| markers.location.get(row)?.as_deref());
        let nodes = count(opened.rows.len() as u64);
        let title =
            place.map_or_else(|| format!("{nodes} nodes here"), |place| format!("{place}: {nodes} nodes"));
        if self.title.set_titled(&title) {
            set(&self.panel.element, "data-popup", &title);
            set(&self.panel.element, "aria-label", &title);
        }
        let summary = ClusterSummary::of(&mut opened.rows.iter().copied(), markers);
        let [rx, tx] = [summary.rx, summary.tx].map(|rate| unit.full(Some(rate)));
        self.sums.set(&["↓ ", &rx, "  ↑ ", &tx].concat());
        let appears = !self.panel.is_shown();
        self.write(opened, appears, markers, unit);
        self.panel.set(true);
        let viewport = scene.viewport();
        self.panel.stand_beside(viewport.to_point(opened.at), GAP_PX, viewport);
    }

    fn write(&self, opened: &Opened, appears: bool, markers: &Markers<'_>, unit: Unit) {
        let mut lines = self.lines.borrow_mut();
        let shown = opened.rows.len().min(MAX_ROWS);
        while lines.len() > shown {
            if let Some(line) = lines.pop() {
                line.remove();
            }
        }
        while lines.len() < shown {
            lines.push(Line::new(&self.rows));
        }
        // Those in trouble first, then by what they move; the order stays while the list is open, so that
        // nothing moves under the pointer.
        let keeps = !appears && lines.iter().all(|line| opened.rows.contains(&line.row));
        if !keeps {
            let weight = |&row: &usize| {
                let volume = f64::from(markers.volume(row).unwrap_or(0.0));
                f64::from(markers.status(row)) * 1e15 + volume
            };
            let order = rank::ascending(opened.rows.iter().map(|row| rank::descending(weight(row))));
            for (line, number) in lines.iter_mut().zip(order) {
                line.row = opened.rows[number as usize];
                set(&line.button, "data-row", &line.row.to_string());
            }
            self.rows.set_scroll_top(0);
        }
        for line in lines.iter() {
            line.write(markers, unit);
        }
        let rest = opened.rows.len() - shown;
        self.rest.set(&if rest > 0 {
            format!("and {} more in the table", count(rest as u64))
        } else {
            String::new()
        });
    }
}

impl Line {
    fn new(rows: &HtmlElement) -> Self {
        let button = button(&create(rows, "li", ""), "map-line", "", None);
        let glyph = create(&button, "span", "status-sign");
        Self {
            row: usize::MAX,
            glyph,
            name: Text::new(&button, "span", "map-line-name"),
            down: Text::new(&button, "span", "map-line-rate map-down"),
            up: Text::new(&button, "span", "map-line-rate map-up"),
            button,
        }
    }

    fn write(&self, markers: &Markers<'_>, unit: Unit) {
        let status = status_name(markers.status(self.row));
        self.name.set_titled(markers.name(self.row).unwrap_or_default());
        if self.button.get_attribute("data-status").as_deref() != Some(status) {
            set(&self.button, "data-status", status);
            set(&self.glyph, "data-status", status);
            set(&self.glyph, "role", "img");
            set(&self.glyph, "aria-label", status);
        }
        let rate = |rate: Option<f32>| unit.bare(rate.map(f64::from));
        self.down.set(&format!("↓ {}", rate(markers.rx(self.row))));
        self.up.set(&format!("↑ {}", rate(markers.tx(self.row))));
    }

    fn remove(&self) {
        if let Some(item) = self.button.parent_element() {
            item.remove();
        }
    }
}
