//! The table's headings, which are also its sort buttons.

use sycamore::reactive::use_context;
use web_sys::Element;

use crate::fragments::{Heading, TrendHeading};
use crate::order::{Key, Sort};
use crate::page::dom;
use crate::page::html;
use crate::page::state::{DisplayState, ListState};

/// Key, class, name, and what of it is seen.
const HEADINGS: [(Key, &str, &str, &str); 5] = [
    (Key::Status, "cell cell-status", "Status", ""),
    (Key::Name, "cell cell-name", "Name", "Name"),
    (Key::Place, "cell cell-place", "Place", "Place"),
    (Key::Download, "cell cell-rate", "Download", "↓"),
    (Key::Upload, "cell cell-rate", "Upload", "↑"),
];

pub(super) fn add(headings: &Element, list: ListState) {
    let display: DisplayState = use_context();
    for (key, class, name, label) in HEADINGS {
        let cell = Heading::append(headings);
        cell.root.set_class_name(class);
        dom::set_attribute(&cell.button, "title", Some(name));
        cell.name.set_text_content(Some(&[name, " "].concat()));
        cell.label.set_text_content(Some(label));
        html::attribute(&cell.root, "aria-sort", move || order(list.sort.get(), key).to_owned());
        if matches!(key, Key::Download | Key::Upload) {
            html::text(&cell.unit, move || display.unit.get().heading().to_owned());
        }
        dom::on_click(&cell.button, move || list.sort.set(list.sort.get_untracked().clicked(key)));
    }
    TrendHeading::append(headings);
}

fn order(sort: Sort, key: Key) -> &'static str {
    match sort {
        Sort { key: sorted, .. } if sorted != key => "none",
        Sort { descending: true, .. } => "descending",
        Sort { descending: false, .. } => "ascending",
    }
}
