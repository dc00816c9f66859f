//! The strip below the header, there only when something keeps the page from being true.

use std::rc::Rc;

use sycamore::prelude::*;

use crate::connection::Phase;

use super::Page;
use super::board::Board;
use super::dom;
use super::engine::Engine;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Disconnected,
    Silent { partitions: u16, of: u16 },
}

/// The strip.
#[component]
pub(super) fn Notice() -> View {
    let Page { board, engine } = use_context();
    let trouble = create_selector(move || trouble(board));
    dom::view(move || match trouble.get() {
        Trouble::None => View::new(),
        Trouble::Disconnected => lost(board, Rc::clone(&engine)),
        Trouble::Silent { partitions, of } => {
            let text = silent_text(partitions, of);
            view! { div(class="notice", id="notice") { span { (text) } } }
        }
    })
}

fn lost(board: Board, engine: Rc<Engine>) -> View {
    let countdown = countdown(board);
    view! {
        div(class="notice notice-bad", id="notice") {
            span { "Connection lost. " (countdown) }
            button(class="button", r#type="button", on:click=move |_| engine.retry_now()) { "Retry now" }
        }
    }
}

fn trouble(board: Board) -> Trouble {
    if let Phase::Disconnected { .. } = board.phase.get() {
        return Trouble::Disconnected;
    }
    let partitions = board.reading.with(|reading| {
        reading.as_ref().map_or((0, 0), |reading| (reading.stats.partitions_fresh, reading.stats.partitions))
    });
    match partitions {
        (fresh, all) if fresh < all => Trouble::Silent { partitions: all - fresh, of: all },
        _ => Trouble::None,
    }
}

fn countdown(board: Board) -> ReadSignal<String> {
    dom::text(move || match board.phase.get() {
        Phase::Disconnected { retry_in_ms } if retry_in_ms > 0.0 => [
            "Next try in ",
            &((retry_in_ms / 1000.0).ceil() as u32).to_string(),
            " s. What you see may be old.",
        ]
        .concat(),
        _ => "Connecting… What you see may be old.".to_owned(),
    })
}

fn silent_text(partitions: u16, of: u16) -> String {
    let (partitions, of) = (partitions.to_string(), of.to_string());
    [&*partitions, " of ", &of, " partitions are not being read at the moment: their nodes stand still."]
        .concat()
}
