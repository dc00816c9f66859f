//! The strip of numbers: what the fleet moves, and whether anything is wrong.

use sycamore::prelude::{View, component};
use sycamore::reactive::use_context;
use tidemap_format::{self as format, Headline, Headliner};
use tidemap_wire::Status;
use tidemap_wire::http::StatsJson;
use web_sys::Element;

use crate::fragments::{KpiCount, KpiCounts, KpiMeans, KpiMeter, KpiMeters, KpiRate, Kpis};
use crate::totals::Direction;
use crate::totals_view::{self, TotalsView};
use tidemap_parts::chart::Sparkline;

use super::dom;
use super::html;
use super::state::{DisplayState, ListState, LiveState};

/// The contexts that the strip shows.
#[derive(Clone, Copy)]
struct Shown {
    live: LiveState,
    display: DisplayState,
}

/// Each direction, all counts, the means and the meters. `index.html` holds the same until the page's program
/// is there.
#[component]
pub(super) fn Kpis() -> View {
    let shown = Shown { live: use_context(), display: use_context() };
    let strip = Kpis::create().root;
    for direction in [Direction::Download, Direction::Upload] {
        rate(&strip, shown, Figure::of(direction));
    }
    let counts = KpiCounts::append(&strip).root;
    count(&counts, shown, Status::Online, |stats| stats.online_nodes);
    count(&counts, shown, Status::Warning, |stats| stats.warning_nodes);
    count(&counts, shown, Status::Offline, |stats| stats.offline_nodes);
    count(&counts, shown, Status::Unknown, |stats| stats.unknown_nodes);
    let means = KpiMeans::append(&strip);
    mean(&means.download, shown, TotalsView::mean_rx_bps);
    mean(&means.upload, shown, TotalsView::mean_tx_bps);
    let meters = KpiMeters::append(&strip).root;
    meter(&meters, shown, ["cpu", "CPU"], |stats| stats.avg_cpu_percent);
    meter(&meters, shown, ["memory", "Memory"], |stats| stats.avg_memory_percent);
    meter(&meters, shown, ["disk", "Disk"], |stats| stats.avg_disk_percent);
    html::view(&strip)
}

impl Shown {
    /// Something of the newest totals.
    fn known<T>(self, of: impl FnOnce(&TotalsView) -> Option<T>) -> Option<T> {
        of(self.live.totals.get_clone().as_deref()?)
    }
}

fn rate(strip: &Element, shown: Shown, figure: Figure) {
    let part = KpiRate::append(strip);
    dom::set_attribute(&part.root, "data-direction", Some(figure.name));
    dom::set_attribute(&part.value, "data-kpi", Some(figure.name));
    part.arrow.set_text_content(Some(figure.arrow));
    part.label.set_text_content(Some(figure.label));
    let headline = move || {
        let mut headliner = Headliner::default();
        move || {
            let total = shown.known(|totals| Some((figure.total)(&totals.stats)));
            headliner.write(total, shown.display.unit.get())
        }
    };
    let (mut value, mut unit) = (headline(), headline());
    html::text(&part.value, move || value().value);
    html::text(&part.unit, move || unit().unit.to_owned());
    let mut of_minute = Headliner::default();
    html::text(&part.note, move || note(shown, figure, &mut of_minute));
    path(&part.line, shown, figure, |sparkline| &sparkline.line);
    path(&part.area, shown, figure, |sparkline| &sparkline.area);
}

fn path(part: &Element, shown: Shown, figure: Figure, of: fn(&Sparkline) -> &String) {
    let path = move || shown.known(|totals| Some(of((figure.line)(totals)).clone()));
    html::attribute(part, "d", move || path().unwrap_or_default());
}

fn mean(part: &Element, shown: Shown, of: fn(&TotalsView) -> Option<f64>) {
    html::text(part, move || shown.display.unit.get().full(shown.known(of)));
}

fn count(counts: &Element, shown: Shown, status: Status, of: fn(&StatsJson) -> u64) {
    let list: ListState = use_context();
    let button = KpiCount::append(counts);
    let name = status.as_str();
    dom::set_attribute(&button.root, "data-status", Some(name));
    dom::set_attribute(&button.sign, "data-status", Some(name));
    dom::set_attribute(&button.value, "data-kpi", Some(name));
    button.label.set_text_content(Some(status.label()));
    let number = move || shown.known(|totals| Some(of(&totals.stats)));
    html::truth(&button.root, "data-none", move || number().unwrap_or(0) == 0);
    html::truth(&button.root, "aria-pressed", move || {
        list.filter.with(|filter| filter.status == Some(status))
    });
    html::text(&button.value, move || number().map_or_else(|| format::UNKNOWN.to_owned(), format::count));
    dom::on_click(&button.root, move || list.toggle_status(status));
}

fn meter(meters: &Element, shown: Shown, [id, label]: [&str; 2], of: fn(&StatsJson) -> f64) {
    let part = KpiMeter::append(meters);
    part.root.set_id(id);
    part.label.set_text_content(Some(label));
    let share = move || shown.known(|totals| (totals.stats.online_nodes > 0).then(|| of(&totals.stats)));
    html::text(&part.value, move || format::percent(share()));
    html::attribute(&part.bar, "width", move || format::fixed(share().unwrap_or(0.0), 1));
}

/// One direction, as the strip shows it.
#[derive(Clone, Copy)]
struct Figure {
    name: &'static str,
    label: &'static str,
    arrow: &'static str,
    total: fn(&StatsJson) -> f64,
    minute: fn(&StatsJson) -> Option<f64>,
    line: fn(&TotalsView) -> &Sparkline,
    change: fn(&TotalsView) -> Option<f64>,
}

impl Figure {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::Download => Self {
                name: "download",
                label: "Download",
                arrow: "↓",
                total: |stats| stats.total_network_rx_bytes_per_sec,
                minute: |stats| stats.total_network_rx_bytes_per_sec_avg.m1.map(|rate| rate.get()),
                line: |totals| &totals.download,
                change: |totals| totals.download_change,
            },
            Direction::Upload => Self {
                name: "upload",
                label: "Upload",
                arrow: "↑",
                total: |stats| stats.total_network_tx_bytes_per_sec,
                minute: |stats| stats.total_network_tx_bytes_per_sec_avg.m1.map(|rate| rate.get()),
                line: |totals| &totals.upload,
                change: |totals| totals.upload_change,
            },
        }
    }
}

/// What is written below the number: the minute's mean, and the change once there is something to compare
/// with.
fn note(shown: Shown, figure: Figure, headliner: &mut Headliner) -> String {
    let unit = shown.display.unit.get();
    let Some(totals) = shown.live.totals.get_clone() else { return format::UNKNOWN.to_owned() };
    let Headline { value, unit } = headliner.write((figure.minute)(&totals.stats), unit);
    let mean = ["1 min ", &value, " ", unit].concat();
    match (figure.change)(&totals) {
        Some(change) => mean + " · " + &totals_view::change(change) + " in 5 min",
        None => mean,
    }
}
