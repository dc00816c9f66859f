//! The title and the icon of the browser's tab: what moves, and how many nodes are offline.

use sycamore::reactive::{create_effect, create_selector};
use tidemap_format::{self as format, Unit};

use crate::totals_view::TotalsView;
use tidemap_parts::encoding::encoded;

use super::dom::{self, document};
use super::state::AppState;

/// Keeps both.
pub(super) fn follow(AppState { live, display, .. }: AppState) {
    create_effect(move || {
        // That of the past is written by who shows it.
        if !display.time.with(String::is_empty) {
            return;
        }
        document().set_title(&live.totals.with(|totals| title(totals.as_deref(), display.unit.get())));
    });
    let icon = document().query_selector("link[rel=icon]").ok().flatten();
    let Some(icon) = icon else { return };
    let plain = icon.get_attribute("href").unwrap_or_default();
    let offline = create_selector(move || {
        live.totals.with(|totals| totals.as_ref().map_or(0, |totals| totals.stats.offline_nodes))
    });
    create_effect(move || {
        let href = match offline.get() {
            0 => plain.clone(),
            nodes => badge(nodes),
        };
        dom::set_attribute(&icon, "href", Some(&href));
    });
}

fn title(totals: Option<&TotalsView>, unit: Unit) -> String {
    let Some(TotalsView { stats, .. }) = totals else { return "Tidemap".to_owned() };
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
    let svg = [
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' fill='#a8201a'/>\
         <text x='16' y='23' text-anchor='middle' font-family='system-ui' font-size='20' fill='#fff'>",
        &nodes.min(99).to_string(),
        "</text></svg>",
    ];
    "data:image/svg+xml,".to_owned() + &encoded(&svg.concat())
}
