//! The strip below the header, there only when something keeps the page from being true, or when nodes have
//! just gone.

use std::cell::Cell;
use std::rc::Rc;

use sycamore::prelude::{View, component};
use sycamore::reactive::{Signal, create_selector, create_signal, use_context};
use tidemap_format as format;
use tidemap_wire::Status;

use crate::connection::Phase;
use crate::fragments;
use crate::outages::recently_offline;

use super::controller::Controller;
use super::dom;
use super::html;
use super::link::Link;
use super::panel::{Frame, Panel};
use super::state::{ListState, LiveState, set_changed};

struct Notice {
    offline: Signal<usize>,
    /// The fleet's change that was counted last.
    counted: Cell<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Lost { retry_in_s: u64 },
    Silent { partitions: u16, of: u16 },
    Withheld,
    Offline { nodes: usize },
}

#[component]
pub(super) fn Notice() -> View {
    let (live, list, link): (LiveState, ListState, Rc<Link>) = (use_context(), use_context(), use_context());
    let strip = fragments::Notice::create();
    let offline = create_signal(0);
    let trouble = create_selector(move || trouble(live, offline));
    html::attribute(&strip.root, "data-trouble", move || trouble.get().name().to_owned());
    html::text(&strip.text, move || trouble.get().text());
    html::text(&strip.button, move || trouble.get().remedy().to_owned());
    dom::on_click(&strip.button, move || match trouble.get_untracked() {
        Trouble::Lost { .. } => link.retry_now(),
        _ => list.list_status(Status::Offline),
    });
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(Notice { offline, counted: Cell::new(0) }));
    html::view(&strip.root)
}

impl Panel for Notice {
    fn name(&self) -> &'static str {
        "notice"
    }

    fn draw(&self, frame: &Frame<'_>) {
        if self.counted.replace(frame.fleet.changes()) != frame.fleet.changes() {
            set_changed(self.offline, recently_offline(frame.fleet));
        }
    }
}

fn trouble(live: LiveState, offline: Signal<usize>) -> Trouble {
    let phase = live.phase.get();
    if let Phase::Disconnected { retry_in_ms } = phase {
        return Trouble::Lost { retry_in_s: (retry_in_ms / 1000.0).ceil() as u64 };
    }
    let (fresh, all) = live.totals.with(|totals| {
        totals.as_ref().map_or((0, 0), |totals| (totals.stats.partitions_fresh, totals.stats.partitions))
    });
    match offline.get() {
        _ if fresh < all => Trouble::Silent { partitions: all - fresh, of: all },
        0 if phase == Phase::Polled => Trouble::Withheld,
        0 => Trouble::None,
        nodes => Trouble::Offline { nodes },
    }
}

impl Trouble {
    /// Its name for the style sheet.
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lost { .. } => "lost",
            Self::Silent { .. } => "silent",
            Self::Withheld => "withheld",
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
                let what = " partitions are not heard at the moment: the status of their nodes is unknown.";
                [&*partitions, " of ", &of, what].concat()
            }
            Self::Withheld => {
                "A proxy holds back the live stream: the page asks for what is new every 2 s instead. \
                Let the proxy pass on api/stream, at once and without a time limit."
                    .to_owned()
            }
            Self::Offline { nodes: 1 } => "1 node has gone offline in the last 5 minutes.".to_owned(),
            Self::Offline { nodes } => {
                format::count(nodes as u64) + " nodes have gone offline in the last 5 minutes."
            }
        }
    }

    /// What the button does about it; silent partitions and a withheld stream have none.
    fn remedy(self) -> &'static str {
        if let Self::Lost { .. } = self { "Retry now" } else { "Show" }
    }
}
