//! The node's interfaces: what each moves, and the reason why it counts or not.

use sycamore::prelude::*;
use tidemap_wire::http::InterfaceJson;

use crate::format::{self, Unit};
use crate::page::Page;

use super::known;

/// The table of interfaces; those that count come first.
#[component]
pub(super) fn Interfaces() -> View {
    let board = use_context::<Page>().board;
    let interfaces = create_selector(move || {
        let interfaces = known(board, |detail| detail.interfaces.clone()).unwrap_or_default();
        let (counted, others): (Vec<_>, Vec<_>) = interfaces.into_iter().partition(|interface| interface.counted);
        let unit = board.unit.get();
        counted.into_iter().chain(others).map(|interface| (interface, unit)).collect::<Vec<_>>()
    });
    let is_empty = create_selector(move || interfaces.with(Vec::is_empty));
    view! {
        section(class="drawer-section", hidden=move || is_empty.get()) {
            h3 { "Interfaces" }
            table(class="figures interfaces", id="detail-interfaces") {
                thead {
                    tr {
                        th(scope="col") { "Name" }
                        th(scope="col") { "Counts" }
                        th(scope="col", class="cell-rate") { "↓" }
                        th(scope="col", class="cell-rate") { "↑" }
                    }
                }
                tbody { Indexed(list=interfaces, view=line) }
            }
        }
    }
}

fn line((interface, unit): (InterfaceJson, Unit)) -> View {
    let about = about(&interface);
    let rate = |rate: Option<tidemap_wire::Bps>| unit.bare(rate.map(tidemap_wire::Bps::get));
    let (rx, tx) = (rate(interface.rx_bytes_per_sec), rate(interface.tx_bytes_per_sec));
    let (name, reason, is_counted) = (interface.name, interface.reason, interface.counted.to_string());
    let answer = if interface.counted { "yes" } else { "no" };
    view! {
        tr("data-counted"=is_counted) {
            th(scope="row", title=about) { (name) }
            td(class="interface-reason") { span(class="interface-counts") { (answer) } " – " (reason) }
            td(class="cell-rate live") { (rx) }
            td(class="cell-rate live") { (tx) }
        }
    }
}

/// Its link speed and addresses.
fn about(interface: &InterfaceJson) -> String {
    let speed = interface.speed_mbps.map(|speed| format::count(speed.into()) + " Mbit/s");
    let parts: Vec<String> = speed.into_iter().chain(interface.addresses.iter().cloned()).collect();
    parts.join(", ")
}
