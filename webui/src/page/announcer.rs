//! Tells those who cannot see the page what has changed, seldom enough to be bearable, and names the page's tab.

use sycamore::prelude::*;

use crate::address::encoded;
use crate::connection::Phase;
use crate::format::{self, Unit};
use crate::reading::Reading;

use super::Page;
use super::board::Board;
use super::dom;

/// Keeps the tab's title saying what moves and whether anything is wrong, and its icon how many are offline.
pub(super) fn follow(board: Board) {
    let title = dom::text(move || board.reading.with(|reading| title(reading.as_deref(), board.unit.get())));
    create_effect(move || title.with(|title| document().set_title(title)));
    let icon = document().query_selector("link[rel=icon]").ok().flatten();
    let Some(icon) = icon else { return };
    let plain = icon.get_attribute("href").unwrap_or_default();
    let offline = create_selector(move || {
        board.reading.with(|reading| reading.as_ref().map_or(0, |reading| reading.stats.offline_nodes))
    });
    create_effect(move || {
        let href = match offline.get() {
            0 => plain.clone(),
            nodes => badge(nodes),
        };
        dom::set_attribute(&icon, "href", Some(&href));
    });
}

fn title(reading: Option<&Reading>, unit: Unit) -> String {
    let Some(Reading { stats, .. }) = reading else { return "Tidemap".to_owned() };
    let offline = match stats.offline_nodes {
        0 => String::new(),
        nodes => ["(", &format::count(nodes), " offline) "].concat(),
    };
    let down = unit.exact(Some(stats.total_network_rx_bytes_per_sec));
    let up = unit.exact(Some(stats.total_network_tx_bytes_per_sec));
    [&offline, "↓ ", &down, " ↑ ", &up, " – Tidemap"].concat()
}

/// A red icon with a number; it has room for two digits, so 99 is also more.
fn badge(nodes: u64) -> String {
    let number = if nodes > 99 { "99".to_owned() } else { nodes.to_string() };
    let svg = [
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' fill='#a8201a'/>\
         <text x='16' y='23' text-anchor='middle' font-family='system-ui' font-size='20' fill='#fff'>",
        &number,
        "</text></svg>",
    ];
    "data:image/svg+xml,".to_owned() + &encoded(&svg.concat())
}

/// The one live region of the page, out of sight.
#[component]
pub(super) fn Announcer() -> View {
    let said = use_context::<Page>().board.said;
    view! {
        div(class="unseen", role="status") { (said) }
    }
}

/// What there is to be told now.
pub(super) fn news(board: Board) -> String {
    if let Phase::Disconnected { .. } = board.phase.get_untracked() {
        return "The connection to the server is lost.".to_owned();
    }
    board.reading.with_untracked(|reading| {
        reading.as_ref().map_or_else(String::new, |reading| {
            let stats = &reading.stats;
            let counts = [(stats.online_nodes, " online, "), (stats.warning_nodes, " warning, ")];
            let mut text: String = counts.map(|(count, word)| format::count(count) + word).concat();
            text.push_str(&format::count(stats.offline_nodes));
            text.push_str(" offline");
            text
        })
    })
}
