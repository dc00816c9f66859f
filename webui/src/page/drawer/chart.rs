//! The node's recent past: download above zero, upload below, and the same as a table.

use sycamore::prelude::*;
use tidemap_wire::{Bps, Series};
use wasm_bindgen::JsCast;

use crate::chart::{BOX, drawing};
use crate::format::{self, Unit};
use crate::json::NodeAnswer;
use crate::page::Page;
use crate::page::board::Board;
use crate::page::dom;

use super::known;

/// A titled chart of one series.
#[component(inline_props)]
pub(super) fn History(
    title: &'static str,
    id: &'static str,
    of: fn(&NodeAnswer) -> Option<&Series>,
    span: &'static str,
) -> View {
    let board = use_context::<Page>().board;
    let is_table = create_signal(false);
    let series = create_selector(move || known(board, |detail| of(detail).cloned()).flatten());
    let is_known = dom::flag(move || series.with(Option::is_some));
    let button = dom::text(move || if is_table.get() { "Show as chart" } else { "Show as table" }.to_owned());
    let content = dom::view(move || match (is_known.get(), is_table.get()) {
        (false, _) => view! { p(class="drawer-word") { "Not known at the moment." } },
        (true, true) => values(board, series),
        (true, false) => chart(board, series, title, span),
    });
    view! {
        section(class="drawer-section", id=id) {
            div(class="drawer-section-head") {
                h3 { (title) }
                button(class="link", r#type="button", on:click=move |_| is_table.set(!is_table.get())) {
                    (button)
                }
            }
            (content)
        }
    }
}

fn chart(board: Board, series: ReadSignal<Option<Series>>, title: &'static str, span: &'static str) -> View {
    let element = create_node_ref();
    create_effect(move || {
        let unit = board.unit.get();
        let label = |value| unit.bare(Some(value));
        let svg = series.with(|series| {
            let rates = |rates: fn(&Series) -> &Vec<Option<Bps>>| {
                series.as_ref().map_or_else(Vec::new, |s| plain(rates(s)))
            };
            drawing(&rates(|series| &series.rx_bps), &rates(|series| &series.tx_bps), span, &label)
        });
        if let Some(element) = untrack(|| element.try_get()) {
            element.unchecked_into::<web_sys::Element>().set_inner_html(&svg);
        }
    });
    let view_box = ["0 0 ", &BOX.0.to_string(), " ", &BOX.1.to_string()].concat();
    let label = [title, ": download above zero, upload below"].concat();
    view! { svg(class="chart", viewBox=view_box, "role"="img", aria-label=label, r#ref=element) }
}

/// The same as a table, newest first.
fn values(board: Board, series: ReadSignal<Option<Series>>) -> View {
    let lines = dom::view(move || {
        let unit = board.unit.get();
        let lines = series.with(|series| series.as_ref().map_or_else(Vec::new, |series| lines(series, unit)));
        lines.into_iter().map(line).collect::<Vec<View>>().into()
    });
    view! {
        div(class="values", tabindex="0", role="region", aria-label="Values") {
            table(class="figures") {
                thead {
                    tr {
                        th(scope="col") { "Ago" }
                        th(scope="col", class="cell-rate") { "↓" }
                        th(scope="col", class="cell-rate") { "↑" }
                    }
                }
                tbody { (lines) }
            }
        }
    }
}

fn line([ago, download, upload]: [String; 3]) -> View {
    view! {
        tr {
            th(scope="row") { (ago) }
            td(class="cell-rate") { (download) }
            td(class="cell-rate") { (upload) }
        }
    }
}

fn lines(series: &Series, unit: Unit) -> Vec<[String; 3]> {
    let steps = series.rx_bps.len().max(series.tx_bps.len());
    let line = |at: usize| {
        let ago_ms = (steps - 1 - at) as u64 * u64::from(series.step_ms);
        let rate = |rates: &[Option<Bps>]| unit.bare(rates.get(at).copied().flatten().map(Bps::get));
        [format::duration(ago_ms / 1000), rate(&series.rx_bps), rate(&series.tx_bps)]
    };
    (0..steps).rev().map(line).collect()
}

fn plain(series: &[Option<Bps>]) -> Vec<Option<f64>> {
    series.iter().map(|rate| rate.map(Bps::get)).collect()
}
