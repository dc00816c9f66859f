//! Small signs, drawn with the colour of the text beside them.

use sycamore::prelude::*;

use super::board::Tab;

/// A sign of 16 by 16 units made of one stroked path.
fn icon(d: &'static str) -> View {
    view! {
        svg(class="icon", viewBox="0 0 16 16", "aria-hidden"="true") { path(d=d) }
    }
}

/// The page's own sign: a wave.
pub(super) fn brand() -> View {
    view! {
        svg(class="brand-sign", viewBox="0 0 24 24", "aria-hidden"="true") {
            path(class="brand-down", d="M2 9c3.3-5 6.7-5 10 0s6.7 5 10 0")
            path(class="brand-up", d="M2 16c3.3-5 6.7-5 10 0s6.7 5 10 0")
        }
    }
}

pub(super) fn pause() -> View {
    icon("M5.5 3.5v9M10.5 3.5v9")
}

pub(super) fn play() -> View {
    icon("M5 3l7.5 5L5 13z")
}

pub(super) fn close() -> View {
    icon("M3.5 3.5l9 9M12.5 3.5l-9 9")
}

pub(super) fn search() -> View {
    icon("M11.5 7a4.5 4.5 0 1 1-9 0a4.5 4.5 0 0 1 9 0zM10.3 10.3L14 14")
}

pub(super) fn settings() -> View {
    icon(
        "M2 4.5h5M11 4.5h3M2 11.5h3M9 11.5h5M11 4.5a2 2 0 1 1-4 0a2 2 0 0 1 4 0zM9 11.5a2 2 0 1 1-4 0a2 2 0 0 1 4 0z",
    )
}

pub(super) fn tab(tab: Tab) -> View {
    icon(match tab {
        Tab::Overview => "M2 13V8M6 13V3M10 13V6M14 13V9",
        Tab::Map => "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM2 8h12M8 2c-4.5 4-4.5 8 0 12M8 2c4.5 4 4.5 8 0 12",
        Tab::Nodes => "M2 3.5h12M2 8h12M2 12.5h12",
    })
}
