//! The node's interfaces: what each moves, and the reason why it counts or not.

use sycamore::prelude::*;
use tidemap_wire::http::InterfaceJson;

use crate::format::{self, Unit};
use crate::page::Page;
use crate::page::dom;

use super::known;

/// The table of interfaces; those that count come first.
#[component]
pub(super) fn Interfaces() -> View {
    let board = use_context::<Page>().board;
    let interfaces = create_selector(move || {
        let interfaces = known(board, |detail| detail.interfaces.clone()).unwrap_or_default();
        let (mut counted, others): (Vec<_>, Vec<_>) =
            interfaces.into_iter().partition(|interface| interface.counted);
        counted.extend(others);
        counted
    });
    let is_empty = dom::flag(move || interfaces.with(Vec::is_empty));
    let lines = dom::view(move || {
        let unit = board.unit.get();
        interfaces
            .get_clone()
            .into_iter()
            .map(|interface| line(interface, unit))
            .collect::<Vec<View>>()
            .into()
    });
    view! {
        section(class="drawer-section", hidden=is_empty) {
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
                tbody { (lines) }
            }
        }
    }
}

fn line(interface: InterfaceJson, unit: Unit) -> View {
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
