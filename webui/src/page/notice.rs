//! The strip below the header, there only when something keeps the page from being true, or when nodes have just gone.

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;

use crate::connection::Phase;
use crate::format;
use crate::order::Filter;

use super::Page;
use super::board::Board;
use super::dom;
use super::html::{self, html};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Lost { retry_in_s: u64 },
    Silent { partitions: u16, of: u16 },
    Offline { nodes: usize },
}

/// The strip.
#[component]
pub(super) fn Notice() -> View {
    let Page { board, engine } = use_context();
    let (strip, view) = html("section", "notice", "<span></span><button class=button type=button></button>");
    for (name, value) in [("id", "notice"), ("aria-label", "Notice")] {
        dom::set_attribute(&strip, name, Some(value));
    }
    let trouble = create_selector(move || trouble(board));
    html::attribute(&strip, "", "data-trouble", move || trouble.get().name().to_owned());
    html::text(&strip, "span", move || trouble.get().text());
    html::text(&strip, "button", move || trouble.get().remedy().to_owned());
    let engine = Rc::clone(&engine);
    html::on_click(&strip, "button", move || {
        if let Trouble::Lost { .. } = trouble.get_untracked() {
            return engine.retry_now();
        }
        board.filter.set(Filter { status: Some(Status::Offline), ..Filter::default() });
        board.show_table();
        engine.request_frame();
    });
    view
}

fn trouble(board: Board) -> Trouble {
    if let Phase::Disconnected { retry_in_ms } = board.phase.get() {
        return Trouble::Lost { retry_in_s: (retry_in_ms / 1000.0).ceil() as u64 };
    }
    let partitions = board.reading.with(|reading| {
        reading.as_ref().map_or((0, 0), |reading| (reading.stats.partitions_fresh, reading.stats.partitions))
    });
    match (partitions, board.summary.with(|summary| summary.lately_offline)) {
        ((fresh, all), _) if fresh < all => Trouble::Silent { partitions: all - fresh, of: all },
        (_, 0) => Trouble::None,
        (_, nodes) => Trouble::Offline { nodes },
    }
}

impl Trouble {
    /// Its name for the style sheet.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lost { .. } => "lost",
            Self::Silent { .. } => "silent",
            Self::Offline { .. } => "offline",
        }
    }

    fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Lost { retry_in_s: 0 } => {
                "Connection lost. Connecting… What you see may be old.".to_owned()
            }
            Self::Lost { retry_in_s } => {
                let seconds = retry_in_s.to_string();
                ["Connection lost. Next try in ", &seconds, " s. What you see may be old."].concat()
            }
            Self::Silent { partitions, of } => {
                let (partitions, of) = (partitions.to_string(), of.to_string());
                let what = " partitions are not being read at the moment: their nodes stand still.";
                [&*partitions, " of ", &of, what].concat()
            }
            // Those of yesterday are counted below, and no news.
            Self::Offline { nodes: 1 } => "1 node has gone offline in the last 5 minutes.".to_owned(),
            Self::Offline { nodes } => {
                format::count(nodes as u64) + " nodes have gone offline in the last 5 minutes."
            }
        }
    }

    /// What the button does about it; silent partitions have none.
    fn remedy(self) -> &'static str {
        if let Self::Lost { .. } = self { "Retry now" } else { "Show" }
    }
}
