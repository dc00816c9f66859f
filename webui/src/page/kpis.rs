//! The strip of numbers: what the fleet moves, and whether anything is wrong.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;
use tidemap_wire::Status;
use tidemap_wire::http::StatsJson;

use crate::chart::Sparkline;
use crate::format::{self, Headline, Headliner, Unit};
use crate::reading::{self, Reading};
use crate::totals::Direction;

use super::Page;
use super::board::Board;
use super::dom;

/// The strip.
#[component]
pub(super) fn Kpis() -> View {
    view! {
        section(class="kpis panel", aria-label="Fleet") {
            Rate(direction=Direction::Download)
            Rate(direction=Direction::Upload)
            Counts()
            Means()
            Hosts()
        }
    }
}

#[component(inline_props)]
fn Rate(direction: Direction) -> View {
    let board = use_context::<Page>().board;
    let face = Face::of(direction);
    let headliner = RefCell::new(Headliner::default());
    let headline = create_selector(move || {
        let rate = board.reading.with(|reading| reading.as_ref().map(|reading| (face.total)(&reading.stats)));
        let unit = board.unit.get();
        headliner.borrow_mut().write(rate, unit)
    });
    let value = dom::text(move || headline.with(|headline: &Headline| headline.value.clone()));
    let unit = dom::text(move || headline.with(|headline| headline.unit.to_owned()));
    let mut of_minute = Headliner::default();
    let note = dom::text(move || note(board, face, &mut of_minute));
    let path = move |part: fn(&Sparkline) -> &String| {
        dom::text(move || {
            let reading = board.reading.get_clone();
            reading.map_or_else(String::new, |reading| part((face.line)(&reading)).clone())
        })
    };
    let (line, area) = (path(|sparkline| &sparkline.line), path(|sparkline| &sparkline.area));
    view! {
        div(class="kpi kpi-rate", "data-direction"=face.name) {
            h2(class="kpi-label") { span(class="arrow", "aria-hidden"="true") { (face.arrow) } (face.label) }
            p(class="kpi-figure") {
                span(class="kpi-value live", "data-kpi"=face.name) { (value) }
                " "
                span(class="kpi-unit") { (unit) }
            }
            p(class="kpi-note") { (note) }
            svg(class="spark", viewBox="0 0 600 100", "preserveAspectRatio"="none", "aria-hidden"="true") {
                path(class="spark-area", d=area)
                path(class="spark-line", d=line)
            }
        }
    }
}

/// One direction, as the strip shows it.
#[derive(Clone, Copy)]
struct Face {
    name: &'static str,
    label: &'static str,
    arrow: &'static str,
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
                label: "Download",
                arrow: "↓",
                total: |stats| stats.total_network_rx_bytes_per_sec,
                minute: |stats| stats.total_network_rx_bytes_per_sec_avg.m1.map(|rate| rate.get()),
                line: |reading| &reading.download,
                change: |reading| reading.download_change,
            },
            Direction::Upload => Self {
                name: "upload",
                label: "Upload",
                arrow: "↑",
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

#[component]
fn Counts() -> View {
    view! {
        div(class="kpi kpi-counts", role="group", aria-label="Nodes by status; press to list only those") {
            Count(status=Status::Online, label="Online", count=|stats| stats.online_nodes)
            Count(status=Status::Warning, label="Warning", count=|stats| stats.warning_nodes)
            Count(status=Status::Offline, label="Offline", count=|stats| stats.offline_nodes)
        }
    }
}

#[component(inline_props)]
fn Count(status: Status, label: &'static str, count: fn(&StatsJson) -> u64) -> View {
    let Page { board, engine } = use_context();
    let number = create_selector(move || {
        board.reading.with(|reading| reading.as_ref().map(|reading| count(&reading.stats)))
    });
    let text = dom::text(move || number.get().map_or_else(|| format::UNKNOWN.to_owned(), format::count));
    let is_none = dom::truth(move || number.get().unwrap_or(0) == 0);
    let is_pressed = dom::truth(move || board.filter.with(|filter| filter.status == Some(status)));
    let name = status.as_str();
    let engine = Rc::clone(&engine);
    view! {
        button(
            class="count",
            r#type="button",
            "data-status"=name,
            "data-none"=is_none,
            aria-pressed=is_pressed,
            on:click=move |_| {
                board.toggle_status(status);
                engine.request_frame();
            },
        ) {
            span(class="status-sign", "data-status"=name, "aria-hidden"="true")
            span(class="count-label") { (label) }
            span(class="count-value live", "data-kpi"=name) { (text) }
        }
    }
}

#[component]
fn Means() -> View {
    let board = use_context::<Page>().board;
    let mean = move |of: fn(&Reading) -> Option<f64>| {
        dom::text(move || {
            let unit: Unit = board.unit.get();
            unit.full(board.reading.with(|reading| reading.as_ref().and_then(|reading| of(reading))))
        })
    };
    let (download, upload) = (mean(Reading::mean_rx_bps), mean(Reading::mean_tx_bps));
    view! {
        div(class="kpi kpi-means") {
            h2(class="kpi-label") { "Average per node" }
            p(class="mean", "data-direction"="download") {
                span(class="arrow", "aria-hidden"="true") { "↓" }
                span(class="unseen") { "Download " }
                span(class="live", "data-kpi"="mean-download") { (download) }
            }
            p(class="mean", "data-direction"="upload") {
                span(class="arrow", "aria-hidden"="true") { "↑" }
                span(class="unseen") { "Upload " }
                span(class="live", "data-kpi"="mean-upload") { (upload) }
            }
        }
    }
}

#[component]
fn Hosts() -> View {
    view! {
        div(class="kpi kpi-hosts") {
            Meter(label="CPU", of=|stats| stats.avg_cpu_percent)
            Meter(label="Memory", of=|stats| stats.avg_memory_percent)
            Meter(label="Disk", of=|stats| stats.avg_disk_percent)
        }
    }
}

#[component(inline_props)]
fn Meter(label: &'static str, of: fn(&StatsJson) -> f64) -> View {
    let board = use_context::<Page>().board;
    let share = create_selector(move || {
        board.reading.with(|reading| {
            let stats = &reading.as_ref()?.stats;
            (stats.online_nodes > 0).then(|| of(stats))
        })
    });
    let text = dom::text(move || format::percent(share.get()));
    let width = dom::text(move || format::fixed(share.get().unwrap_or(0.0), 1));
    view! {
        div(class="meter") {
            span(class="meter-label") { (label) }
            svg(class="meter-bar", viewBox="0 0 100 4", "preserveAspectRatio"="none", "aria-hidden"="true") {
                rect(class="meter-track", width="100", height="4")
                rect(class="meter-fill", width=width, height="4")
            }
            span(class="meter-value live") { (text) }
        }
    }
}
