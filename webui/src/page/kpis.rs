//! The strip of numbers: what the fleet moves, and whether anything is wrong.

use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;
use tidemap_wire::http::StatsJson;
use web_sys::Element;

use crate::chart::Sparkline;
use crate::format::{self, Headline, Headliner};
use crate::reading::{self, Reading};
use crate::totals::Direction;

use super::Page;
use super::board::Board;
use super::engine::Engine;
use super::html::{self, html};

/// Each direction, all counts, the means and the meters. `index.html` holds the same until the page's program is there.
const STRIP: &str = "\
    <div class='kpi kpi-rate' data-direction=download><h2 class=kpi-label><span class=arrow aria-hidden=true>↓</span>Download</h2>\
    <p class=kpi-figure><span class='kpi-value live' data-kpi=download></span> <span class=kpi-unit></span></p><p class=kpi-note></p>\
    <svg class=spark viewBox='0 0 600 100' preserveAspectRatio=none aria-hidden=true><path class=spark-area /><path class=spark-line /></svg></div>\
    <div class='kpi kpi-rate' data-direction=upload><h2 class=kpi-label><span class=arrow aria-hidden=true>↑</span>Upload</h2>\
    <p class=kpi-figure><span class='kpi-value live' data-kpi=upload></span> <span class=kpi-unit></span></p><p class=kpi-note></p>\
    <svg class=spark viewBox='0 0 600 100' preserveAspectRatio=none aria-hidden=true><path class=spark-area /><path class=spark-line /></svg></div>\
    <div class='kpi kpi-counts' role=group aria-label='Nodes by status; press to list only those'>\
    <button class=count type=button data-status=online><span class=status-sign data-status=online aria-hidden=true></span>\
    <span class=count-label>Online</span><span class='count-value live' data-kpi=online></span></button>\
    <button class=count type=button data-status=warning><span class=status-sign data-status=warning aria-hidden=true></span>\
    <span class=count-label>Warning</span><span class='count-value live' data-kpi=warning></span></button>\
    <button class=count type=button data-status=offline><span class=status-sign data-status=offline aria-hidden=true></span>\
    <span class=count-label>Offline</span><span class='count-value live' data-kpi=offline></span></button></div>\
    <div class='kpi kpi-means'><h2 class=kpi-label>Average per node</h2>\
    <p class=mean data-direction=download><span class=arrow aria-hidden=true>↓</span><span class=unseen>Download </span>\
    <span class=live data-kpi=mean-download></span></p>\
    <p class=mean data-direction=upload><span class=arrow aria-hidden=true>↑</span><span class=unseen>Upload </span>\
    <span class=live data-kpi=mean-upload></span></p></div>\
    <div class='kpi kpi-hosts'>\
    <div class=meter id=cpu><span class=meter-label>CPU</span><svg class=meter-bar viewBox='0 0 100 4' preserveAspectRatio=none aria-hidden=true>\
    <rect class=meter-track width=100 height=4 /><rect class=meter-fill height=4 /></svg><span class='meter-value live'></span></div>\
    <div class=meter id=memory><span class=meter-label>Memory</span><svg class=meter-bar viewBox='0 0 100 4' preserveAspectRatio=none aria-hidden=true>\
    <rect class=meter-track width=100 height=4 /><rect class=meter-fill height=4 /></svg><span class='meter-value live'></span></div>\
    <div class=meter id=disk><span class=meter-label>Disk</span><svg class=meter-bar viewBox='0 0 100 4' preserveAspectRatio=none aria-hidden=true>\
    <rect class=meter-track width=100 height=4 /><rect class=meter-fill height=4 /></svg><span class='meter-value live'></span></div></div>";

/// The strip.
#[component]
pub(super) fn Kpis() -> View {
    let Page { board, engine } = use_context();
    let (strip, view) = html("section", "kpis panel", STRIP);
    html::attribute(&strip, "", "aria-label", || "Fleet".to_owned());
    for direction in [Direction::Download, Direction::Upload] {
        rate(&strip, board, Face::of(direction));
    }
    count(&strip, board, &engine, Status::Online, |stats| stats.online_nodes);
    count(&strip, board, &engine, Status::Warning, |stats| stats.warning_nodes);
    count(&strip, board, &engine, Status::Offline, |stats| stats.offline_nodes);
    mean(&strip, board, "[data-kpi=mean-download]", Reading::mean_rx_bps);
    mean(&strip, board, "[data-kpi=mean-upload]", Reading::mean_tx_bps);
    meter(&strip, board, "#cpu", |stats| stats.avg_cpu_percent);
    meter(&strip, board, "#memory", |stats| stats.avg_memory_percent);
    meter(&strip, board, "#disk", |stats| stats.avg_disk_percent);
    view
}

/// Something of the newest totals.
fn known<T>(board: Board, of: impl FnOnce(&Reading) -> Option<T>) -> Option<T> {
    of(board.reading.get_clone().as_deref()?)
}

fn rate(strip: &Element, board: Board, face: Face) {
    let Some(part) = html::find(strip, &["[data-direction=", face.name, "]"].concat()) else { return };
    let headline = move || {
        let mut headliner = Headliner::default();
        move || headliner.write(known(board, |reading| Some((face.total)(&reading.stats))), board.unit.get())
    };
    let (mut value, mut unit) = (headline(), headline());
    html::text(&part, ".kpi-value", move || value().value);
    html::text(&part, ".kpi-unit", move || unit().unit.to_owned());
    let mut of_minute = Headliner::default();
    html::text(&part, ".kpi-note", move || note(board, face, &mut of_minute));
    path(&part, board, ".spark-line", face, |sparkline| &sparkline.line);
    path(&part, board, ".spark-area", face, |sparkline| &sparkline.area);
}

fn path(part: &Element, board: Board, selector: &str, face: Face, of: fn(&Sparkline) -> &String) {
    let path = move || known(board, |reading| Some(of((face.line)(reading)).clone()));
    html::attribute(part, selector, "d", move || path().unwrap_or_default());
}

fn mean(strip: &Element, board: Board, selector: &str, of: fn(&Reading) -> Option<f64>) {
    html::text(strip, selector, move || board.unit.get().full(known(board, of)));
}

fn count(strip: &Element, board: Board, engine: &Rc<Engine>, status: Status, of: fn(&StatsJson) -> u64) {
    let button = [".count[data-status=", status.as_str(), "]"].concat();
    let number = move || known(board, |reading| Some(of(&reading.stats)));
    html::truth(strip, &button, "data-none", move || number().unwrap_or(0) == 0);
    html::truth(strip, &button, "aria-pressed", move || {
        board.filter.with(|filter| filter.status == Some(status))
    });
    let text = move || number().map_or_else(|| format::UNKNOWN.to_owned(), format::count);
    html::text(strip, &(button.clone() + " .live"), text);
    let engine = Rc::clone(engine);
    html::on_click(strip, &button, move || {
        board.toggle_status(status);
        engine.request_frame();
    });
}

fn meter(strip: &Element, board: Board, selector: &str, of: fn(&StatsJson) -> f64) {
    let Some(part) = html::find(strip, selector) else { return };
    let share = move || known(board, |all| (all.stats.online_nodes > 0).then(|| of(&all.stats)));
    html::text(&part, ".live", move || format::percent(share()));
    html::attribute(&part, ".meter-fill", "width", move || format::fixed(share().unwrap_or(0.0), 1));
}

/// One direction, as the strip shows it.
#[derive(Clone, Copy)]
struct Face {
    name: &'static str,
    total: fn(&StatsJson) -> f64,
    minute: fn(&StatsJson) -> Option<f64>,
    line: fn(&Reading) -> &Sparkline,
    change: fn(&Reading) -> Option<f64>,
}

impl Face {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::Download => Self {
                name: "download",
                total: |stats| stats.total_network_rx_bytes_per_sec,
                minute: |stats| stats.total_network_rx_bytes_per_sec_avg.m1.map(|rate| rate.get()),
                line: |reading| &reading.download,
                change: |reading| reading.download_change,
            },
            Direction::Upload => Self {
                name: "upload",
                total: |stats| stats.total_network_tx_bytes_per_sec,
                minute: |stats| stats.total_network_tx_bytes_per_sec_avg.m1.map(|rate| rate.get()),
                line: |reading| &reading.upload,
                change: |reading| reading.upload_change,
            },
        }
    }
}

/// What is written below the number: the minute's mean, and the change once there is something to compare with.
fn note(board: Board, face: Face, headliner: &mut Headliner) -> String {
    let unit = board.unit.get();
    board.reading.with(|reading| {
        let Some(reading) = reading else { return format::UNKNOWN.to_owned() };
        let Headline { value, unit } = headliner.write((face.minute)(&reading.stats), unit);
        let mean = ["1 min ", &value, " ", unit].concat();
        match (face.change)(reading) {
            Some(change) => mean + " · " + &reading::change(change) + " in 5 min",
            None => mean,
        }
    })
}
