//! The node's recent past: download above zero, upload below, and the same as a table.

use sycamore::prelude::*;
use tidemap_wire::{Bps, Series};

use crate::chart::{Frame, Mirror};
use crate::detail::Detail;
use crate::format::{self, Unit};
use crate::page::Page;
use crate::page::board::Board;

use super::known;

const WIDTH: i64 = 440;
const HEIGHT: i64 = 132;
const FRAME: Frame = Frame { left: 56, right: WIDTH - 2, top: 8, bottom: HEIGHT - 24 };

/// A titled chart of one series.
#[component(inline_props)]
pub(super) fn History(
    title: &'static str,
    id: &'static str,
    of: fn(&Detail) -> Option<&Series>,
    span: &'static str,
) -> View {
    let board = use_context::<Page>().board;
    let is_table = create_signal(false);
    let series = create_selector(move || known(board, |detail| of(detail).cloned()).flatten());
    let is_known = create_selector(move || series.with(Option::is_some));
    let label = [title, ": download above zero, upload below"].concat();
    view! {
        section(class="drawer-section", id=id) {
            div(class="drawer-section-head") {
                h3 { (title) }
                button(
                    class="link",
                    r#type="button",
                    aria-pressed=move || if is_table.get() { "true" } else { "false" },
                    on:click=move |_| is_table.set(!is_table.get()),
                ) { (if is_table.get() { "Show as chart" } else { "Show as table" }) }
            }
            (match (is_known.get(), is_table.get()) {
                (false, _) => view! { p(class="drawer-word") { "Not known at the moment." } },
                (true, true) => view! { Values(board=board, series=series) },
                (true, false) => {
                    let label = label.clone();
                    view! {
                        svg(class="chart", viewBox="0 0 440 132", "role"="img", aria-label=label) {
                            (shapes(&series.get_clone(), board.unit.get(), span))
                        }
                    }
                }
            })
        }
    }
}

fn shapes(series: &Option<Series>, unit: Unit, span: &'static str) -> View {
    let Some(series) = series else { return View::new() };
    let mirror = Mirror::new(&rates(&series.rx_bps), &rates(&series.tx_bps), FRAME);
    let gaps = mirror.gaps.iter().map(|(from, to)| {
        let (x, width) = (from.to_string(), (to - from).to_string());
        let (y, height) = (FRAME.top.to_string(), (FRAME.bottom - FRAME.top).to_string());
        view! { rect(class="chart-gap", x=x, width=width, y=y, height=height) }
    });
    let gaps: Vec<View> = gaps.collect();
    let ticks = mirror.ticks.iter().map(|tick| {
        let line = ["M", &FRAME.left.to_string(), " ", &tick.at.to_string(), "H", &FRAME.right.to_string()].concat();
        let (x, y) = ((FRAME.left - 6).to_string(), (tick.at + 4).to_string());
        let text = unit.bare(Some(tick.value));
        view! {
            path(class="chart-grid", d=line)
            text(class="chart-label chart-label-y", x=x, y=y) { (text) }
        }
    });
    let ticks: Vec<View> = ticks.collect();
    let (left, right, below) = (FRAME.left.to_string(), FRAME.right.to_string(), (HEIGHT - 6).to_string());
    let (ago, below_too) = (span.to_owned() + " ago", below.clone());
    let Mirror { download_area, download_line, upload_area, upload_line, .. } = mirror;
    view! {
        (gaps)
        (ticks)
        path(class="chart-area", "data-direction"="download", d=download_area)
        path(class="chart-line", "data-direction"="download", d=download_line)
        path(class="chart-area", "data-direction"="upload", d=upload_area)
        path(class="chart-line", "data-direction"="upload", d=upload_line)
        text(class="chart-label", x=left, y=below) { (ago) }
        text(class="chart-label chart-label-end", x=right, y=below_too) { "now" }
    }
}

/// The same as a table, newest first.
#[component(inline_props)]
fn Values(board: Board, series: ReadSignal<Option<Series>>) -> View {
    let lines = create_selector(move || {
        let unit = board.unit.get();
        series.with(|series| series.as_ref().map_or_else(Vec::new, |series| lines(series, unit)))
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
                tbody { Indexed(list=lines, view=|[ago, download, upload]: [String; 3]| view! {
                    tr {
                        th(scope="row") { (ago) }
                        td(class="cell-rate") { (download) }
                        td(class="cell-rate") { (upload) }
                    }
                }) }
            }
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

fn rates(series: &[Option<Bps>]) -> Vec<Option<f64>> {
    series.iter().map(|rate| rate.map(Bps::get)).collect()
}
