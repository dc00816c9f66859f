//! Tells those who cannot see the page what has changed, seldom enough to be bearable, and names the page's tab.

use sycamore::prelude::*;

use crate::connection::Phase;
use crate::format;

use super::Page;
use super::board::Board;
use super::dom;

/// The least time between two announcements.
const PAUSE_MS: f64 = 30_000.0;

/// Keeps the tab's title saying whether anything is wrong.
pub(super) fn follow(board: Board) {
    let offline = create_selector(move || {
        board.reading.with(|reading| reading.as_ref().map_or(0, |reading| reading.stats.offline_nodes))
    });
    create_effect(move || {
        let title = match offline.get() {
            0 => "Tidemap".to_owned(),
            nodes => ["(", &format::count(nodes), " offline) Tidemap"].concat(),
        };
        document().set_title(&title);
    });
}

/// The one live region of the page, out of sight.
#[component]
pub(super) fn Announcer() -> View {
    let board = use_context::<Page>().board;
    let news = create_selector(move || news(board));
    let said = create_signal(String::new());
    let mut said_ms = f64::NEG_INFINITY;
    create_effect(move || {
        let text = news.get_clone();
        // What is left out now is said with the next change.
        let now_ms = dom::now_ms();
        if !text.is_empty() && now_ms - said_ms >= PAUSE_MS {
            said_ms = now_ms;
            said.set(text);
        }
    });
    view! {
        div(class="unseen", role="status") { (said) }
    }
}

fn news(board: Board) -> String {
    if let Phase::Disconnected { .. } = board.phase.get() {
        return "The connection to the server is lost.".to_owned();
    }
    board.reading.with(|reading| {
        reading.as_ref().map_or_else(String::new, |reading| {
            let stats = &reading.stats;
            let counts = [(stats.online_nodes, " online, "), (stats.warning_nodes, " late, ")];
            let mut text: String = counts.map(|(count, word)| format::count(count) + word).concat();
            text.push_str(&format::count(stats.offline_nodes));
            text.push_str(" offline");
            text
        })
    })
}
