//! What is known of the selected node, beside its marker. A real element: it can be read, selected and tabbed
//! to.

use web_sys::HtmlElement;

use super::dom::{Shown, Text, button, create, set};
use crate::raster::{Shape, marker_radius_px};
use crate::scene::{Form, Scene};
use crate::{Markers, WINDOWS};
use tidemap_format::{UNKNOWN, Unit, age};

/// From the marker's edge to the popup.
const GAP_PX: f64 = 12.0;

/// The popup's elements.
pub(super) struct Popup {
    panel: Shown,
    glyph: HtmlElement,
    name: Text,
    place: Text,
    status: Text,
    seen: Text,
    unit: Text,
    newest: Text,
    /// Download and upload, now and over each window.
    rates: Vec<[Text; 2]>,
    /// "Open": everything about the node.
    pub(super) open: HtmlElement,
    /// How many nodes share its place; opens the list of them.
    pub(super) others: HtmlElement,
    others_text: Text,
    pub(super) close: HtmlElement,
}

impl Popup {
    pub(super) fn new(root: &HtmlElement) -> Self {
        let panel = create(root, "section", "map-popup");
        let head = create(&panel, "div", "map-popup-head");
        let glyph = create(&head, "span", "status-sign");
        set(&glyph, "aria-hidden", "true");
        let name = Text::new(&head, "strong", "map-popup-name");
        let close = button(&head, "map-close", "×", Some("Close"));
        let place = Text::new(&panel, "p", "map-popup-place");
        let facts = create(&panel, "dl", "map-facts");
        let fact = |label: &str, class: &str| {
            let row = create(&facts, "div", "map-fact");
            create(&row, "dt", "").set_text_content(Some(label));
            Text::new(&row, "dd", class)
        };
        let (status, seen) = (fact("Status", ""), fact("Last seen", ""));
        let figures = create(&panel, "table", "map-figures");
        let row = |label: &str, tag: &str| {
            let row = create(&figures, "tr", "");
            let head = Text::new(&row, "th", "");
            head.set(label);
            (head, [Text::new(&row, tag, "map-down live"), Text::new(&row, tag, "map-up live")])
        };
        let (unit, [down, up]) = row("", "th");
        down.set("↓ Down");
        up.set("↑ Up");
        let (newest, now) = row(WINDOWS[0], "td");
        let mut rates = vec![now];
        rates.extend(WINDOWS[1..].iter().map(|window| row(window, "td").1));
        let foot = create(&panel, "div", "map-popup-foot");
        let open = button(&foot, "map-button map-open", "Open", None);
        let others = button(&foot, "map-button map-others", "", None);
        let others_text = Text::new(&others, "span", "");
        Self {
            panel: Shown::new(panel),
            glyph,
            name,
            place,
            status,
            seen,
            unit,
            newest,
            rates,
            open,
            others,
            others_text,
            close,
        }
    }

    /// Shows the selected node as it is now, where its marker is now.
    pub(super) fn update(&self, scene: &Scene, markers: &Markers<'_>, unit: Unit) {
        let node = markers.selected.and_then(|row| {
            let shape = Shape::of_status(markers.status(row));
            let radius_px = f64::from(shape.radius_px(marker_radius_px(markers.volume(row))));
            Some((row, markers.name(row)?, scene.anchor(row, radius_px)?))
        });
        let (width, height) = (scene.viewport().width(), scene.viewport().height());
        let Some((row, name, (at, radius_px))) = node.filter(|(.., (at, _))| {
            // An open list replaces the popup, and a marker out of view has none.
            !scene.opened().is_some_and(|it| it.form == Form::List)
                && (0.0..=width).contains(&at.x)
                && (0.0..=height).contains(&at.y)
        }) else {
            self.panel.set(false);
            return;
        };
        self.write(row, name, scene, markers, unit);
        self.panel.set(true);
        self.panel.stand_beside(at, radius_px + GAP_PX, scene.viewport());
    }

    fn write(&self, row: usize, name: &str, scene: &Scene, markers: &Markers<'_>, unit: Unit) {
        if self.name.set_titled(name) {
            set(&self.panel.element, "data-popup", name);
            set(&self.panel.element, "aria-label", name);
            set(&self.open, "aria-label", &format!("Open {name}"));
        }
        let status = markers.status(row);
        if self.status.set(status_name(status)) {
            set(&self.glyph, "data-status", status_name(status));
            set(&self.panel.element, "data-status", status_name(status));
        }
        let place = markers.location.get(row).and_then(Option::as_deref).unwrap_or("Unnamed place");
        self.place.set_titled(place);
        self.unit.set(unit.heading());
        if let Some(glance) = markers.glance {
            self.newest.set(if glance.is_past { "Mean" } else { WINDOWS[0] });
            self.seen.set(&glance.age_ms.map_or_else(|| UNKNOWN.to_owned(), |age_ms| age(age_ms) + " ago"));
            let shown = glance.download.iter().zip(&glance.upload);
            for ([down, up], (now_down, now_up)) in self.rates.iter().zip(shown) {
                down.set(now_down);
                up.set(now_up);
            }
        }
        let others = scene.count_at(row);
        self.others.set_hidden(others < 2);
        self.others_text.set(&format!("{others} nodes here"));
    }
}

/// The status in words, as the page writes it everywhere.
pub(super) fn status_name(status: u8) -> &'static str {
    match status {
        0 => "online",
        1 => "warning",
        2 => "offline",
        _ => "unknown",
    }
}
