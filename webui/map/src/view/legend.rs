//! What the shapes mean and how many there are, the buttons, and announcements for screen readers.

use std::cell::Cell;

use web_sys::HtmlElement;

use super::dom::{Text, button, create, set};
use super::popup::status_name;
use crate::scene::Scene;
use crate::{Markers, STATUSES};
use tidemap_format::{Unit, count};

/// More frequent announcements would disturb users of screen readers.
const LABEL_EVERY_MS: f64 = 5000.0;

/// Help on the keys, for users of screen readers.
const KEYS: &str = "Arrow keys move the map, plus and minus zoom, 0 shows the whole fleet, \
    left and right square brackets step through the nodes in view, Enter opens the selected one, Escape closes.";

/// The elements.
pub(super) struct Legend {
    stage: HtmlElement,
    counts: [(HtmlElement, Text); STATUSES],
    unplaced: HtmlElement,
    /// How many nodes are not on the map; leads to them.
    pub(super) nowhere: Text,
    announcement: Text,
    announces: Cell<bool>,
    labelled_ms: Cell<Option<f64>>,
    /// The fleet's change that was counted last.
    counted: Cell<Option<u64>>,
    by_status: Cell<[u64; STATUSES]>,
    pub(super) closer: HtmlElement,
    pub(super) farther: HtmlElement,
    pub(super) fit: HtmlElement,
}

impl Legend {
    pub(super) fn new(root: &HtmlElement, stage: &HtmlElement) -> Self {
        set(stage, "role", "application");
        set(stage, "tabindex", "0");
        set(stage, "aria-label", "World map");
        set(stage, "aria-describedby", "map-keys");
        let controls = create(root, "div", "map-controls");
        set(&controls, "role", "group");
        set(&controls, "aria-label", "Map view");
        let closer = button(&controls, "map-control", "+", Some("Zoom in"));
        let farther = button(&controls, "map-control", "−", Some("Zoom out"));
        let fit = button(&controls, "map-control", "⤢", Some("Show the whole fleet"));
        let list = create(root, "ul", "map-legend");
        let counts = [0, 1, 2, 3].map(|status| {
            let item = create(&list, "li", "map-legend-item");
            let glyph = create(&item, "span", "status-sign");
            set(&glyph, "data-status", status_name(status));
            set(&glyph, "aria-hidden", "true");
            let number = Text::new(&item, "span", "map-legend-count");
            create(&item, "span", "").set_text_content(Some(status_name(status)));
            (item, number)
        });
        let unplaced = create(&list, "li", "map-legend-item");
        let nowhere = Text::new(&unplaced, "button", "link map-nowhere");
        set(&nowhere.element, "type", "button");
        let keys = create(root, "p", "unseen");
        keys.set_id("map-keys");
        keys.set_text_content(Some(KEYS));
        let announcement = Text::new(root, "p", "unseen");
        set(&announcement.element, "aria-live", "polite");
        Self {
            stage: stage.clone(),
            counts,
            unplaced,
            nowhere,
            announcement,
            announces: Cell::default(),
            labelled_ms: Cell::default(),
            counted: Cell::default(),
            by_status: Cell::default(),
            closer,
            farther,
            fit,
        }
    }

    /// The next node was selected by key, possibly by somebody who cannot see it: announce its name.
    pub(super) fn announce_next(&self) {
        self.announces.set(true);
    }

    pub(super) fn update(&self, now_ms: f64, scene: &Scene, markers: &Markers<'_>, unit: Unit) {
        if self.counted.replace(Some(markers.changes)) != Some(markers.changes) {
            self.by_status.set(counts(markers));
        }
        let by_status = self.by_status.get();
        for (status, ((item, text), nodes)) in self.counts.iter().zip(by_status).enumerate() {
            text.set(&count(nodes));
            item.set_hidden(status_name(status as u8) == "unknown" && nodes == 0);
        }
        let unplaced = scene.places().unplaced as u64;
        self.nowhere.set(&(count(unplaced) + " without a place"));
        self.unplaced.set_hidden(unplaced == 0);
        if self.labelled_ms.get().is_none_or(|then| now_ms - then >= LABEL_EVERY_MS) {
            self.labelled_ms.set(Some(now_ms));
            set(&self.stage, "aria-label", &label(by_status));
        }
        if let Some(row) = markers.selected
            && self.announces.take()
        {
            self.announcement.set(&spoken(row, markers, unit));
        }
    }
}

/// How many nodes have each status.
fn counts(markers: &Markers<'_>) -> [u64; STATUSES] {
    let mut by_status = [0; STATUSES];
    for (row, _) in markers.name.iter().enumerate().filter(|(_, name)| name.is_some()) {
        by_status[usize::from(markers.status(row))] += 1;
    }
    by_status
}

/// "World map: 9,812 online, 188 offline"
fn label(by_status: [u64; STATUSES]) -> String {
    let parts = (0..STATUSES).filter(|&status| status == 0 || by_status[status] > 0);
    let parts: Vec<String> =
        parts.map(|status| format!("{} {}", count(by_status[status]), status_name(status as u8))).collect();
    format!("World map: {}", parts.join(", "))
}

fn spoken(row: usize, markers: &Markers<'_>, unit: Unit) -> String {
    let rate =
        |rate: Option<f32>| rate.map_or_else(|| "unknown".to_owned(), |it| unit.full(Some(f64::from(it))));
    format!(
        "{}, {}, download {}, upload {}",
        markers.name(row).unwrap_or_default(),
        status_name(markers.status(row)),
        rate(markers.rx(row)),
        rate(markers.tx(row)),
    )
}
