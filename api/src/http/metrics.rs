//! The fleet, the pipeline and the history for Prometheus.

mod alerts;
mod info;
mod interfaces;
mod nodes;
mod plans;
mod probes;
mod selection;

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use tidemap_service::exposition::{
    Exposition, ExpositionFormat,
    Kind::{Counter, Gauge},
};
use tidemap_wire::{
    Averages, Bps, Status,
    history_query::HistoryStatus,
    http::{NodeJson, TrafficJson},
};
use tokio::time::timeout;
use warp::{http::header, reply::Response};

use self::selection::Selection;
use crate::{
    alerts::ShownAlerts,
    answers::{Encoded, Nodes, NotBuilt, Stats},
    config::NodeSeries,
    http::{Asked, Site, bodies, errors::ApiError},
};

/// How long a scrape waits for a history station.
const HISTORY_TIMEOUT: Duration = Duration::from_secs(1);

/// About what a node's series take.
const USUAL_BYTES: usize = 2_048;

/// `GET /metrics`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let (nodes, stats) = site.fleet.both().await?;
    let accept = asked.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = ExpositionFormat::preferred(&accept.collect::<Vec<_>>().join(","));
    let build = async || {
        let history = timeout(HISTORY_TIMEOUT, site.history.status()).await.ok().and_then(Result::ok);
        // The names of interfaces are what hosts keep to themselves.
        let interfaces = site.node_series.interfaces && !site.redacted;
        let series = NodeSeries { interfaces, ..site.node_series };
        let plans = site.standings.borrow().clone();
        let alerts = site.alerts.borrow().clone();
        build(&nodes, Known { stats, history, plans, alerts }, format, series).await
    };
    let body = nodes.metrics(format).get_or_try_init(build).await?;
    bodies::metrics(&asked.headers, nodes.version, format, body).await
}

/// What is known of the fleet as a whole.
struct Known {
    stats: Arc<Stats>,
    history: Option<HistoryStatus>,
    plans: Arc<[TrafficJson]>,
    alerts: ShownAlerts,
}

/// All series; those of the fleet alone when slow clients hold the memory for the rest.
async fn build(
    nodes: &Arc<Nodes>,
    known: Known,
    format: ExpositionFormat,
    series: NodeSeries,
) -> Result<Encoded, NotBuilt> {
    let write = {
        let nodes = Arc::clone(nodes);
        Arc::new(move |list: &[NodeJson], limit: Option<usize>| {
            let mut text = Exposition::new(format);
            of_fleet(&mut text, &known);
            let omitted = of_nodes(&mut text, &nodes, list, NodeSeries { limit, ..series });
            // While memory is short, the metric alone says so.
            if omitted > 0 && limit == series.limit {
                warn_of_omitted(omitted);
            }
            text.finish().into_bytes()
        })
    };
    let all = Arc::clone(&write);
    match nodes.body(move |list| all(list, series.limit)).await {
        Err(NotBuilt::OverBudget(_)) => {
            let of_fleet = nodes.make(move |list| write(list, Some(0))).await?;
            Ok(Encoded::short(of_fleet.into()))
        }
        built => built,
    }
}

fn of_fleet(text: &mut Exposition, Known { stats, history, plans, alerts }: &Known) {
    text.process("tidemap-api");
    fleet(text, stats);
    partitions(text, stats);
    service(text, stats);
    text.history(history.as_ref());
    plans::families(text, plans);
    alerts::families(text, alerts.as_deref());
}

/// The scrape would seem whole otherwise.
fn warn_of_omitted(omitted: usize) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "/metrics has no series of {omitted} nodes, which are beyond --metrics-nodes: raise it, or read \
             tidemap_nodes_omitted"
        );
    });
}

/// Returns how many nodes have no series of their own.
fn of_nodes(text: &mut Exposition, nodes: &Nodes, list: &[NodeJson], series: NodeSeries) -> usize {
    let selection = Selection::new(list.iter().map(|node| node.name.as_str()), series.limit);
    let listed: Vec<&NodeJson> = list.iter().filter(|node| selection.contains(&node.name)).collect();
    let help = "Nodes that have no series of their own: beyond --metrics-nodes, or all of them while slow \
                clients hold the memory of long answers.";
    let omitted = list.len() - listed.len();
    text.family(Gauge, "tidemap_nodes_omitted", help).sample(&[], omitted as f64);
    text.reserve(listed.len() * USUAL_BYTES);
    info::families(text, &listed);
    nodes::families(text, &listed);
    if series.interfaces {
        interfaces::families(text, nodes.nodes(), &selection);
    }
    // What is probed is what hosts keep to themselves.
    if !nodes.is_redacted() {
        probes::families(text, nodes.nodes(), &selection);
    }
    omitted
}

fn fleet(text: &mut Exposition, stats: &Stats) {
    let values = &stats.values;
    let mut nodes = text.family(Gauge, "tidemap_nodes", "Nodes by status.");
    for (status, count) in [
        (Status::Online, values.online_nodes),
        (Status::Warning, values.warning_nodes),
        (Status::Offline, values.offline_nodes),
        (Status::Unknown, values.unknown_nodes),
    ] {
        nodes.sample(&[("status", status.as_str())], count as f64);
    }
    let directions = [
        ("receive", values.total_network_rx_bytes_per_sec, &values.total_network_rx_bytes_per_sec_avg),
        ("transmit", values.total_network_tx_bytes_per_sec, &values.total_network_tx_bytes_per_sec_avg),
    ];
    for (direction, now, averages) in directions {
        let name = format!("tidemap_network_{direction}_bytes_per_second");
        text.family(Gauge, &name, "Traffic of all online nodes.").sample(&[], now);
        let mut family = text.family(Gauge, &format!("{name}_average"), "The same, averaged over a window.");
        for (window, rate) in windows(averages) {
            family.sample(&[("window", window)], rate.get());
        }
    }
    for (name, help, percent) in [
        ("tidemap_cpu_usage_ratio", "Mean processor use of online nodes.", values.avg_cpu_percent),
        ("tidemap_memory_usage_ratio", "Mean memory use of online nodes.", values.avg_memory_percent),
        ("tidemap_disk_usage_ratio", "Mean disk use of online nodes.", values.avg_disk_percent),
    ] {
        text.family(Gauge, name, help).sample(&[], percent / 100.0);
    }
}

fn windows(averages: &Averages) -> impl Iterator<Item = (&'static str, Bps)> {
    [("10s", averages.s10), ("1m", averages.m1), ("5m", averages.m5), ("15m", averages.m15)]
        .into_iter()
        .filter_map(|(window, rate)| Some((window, rate?)))
}

fn partitions(text: &mut Exposition, stats: &Stats) {
    let partitions = &stats.health.partitions;
    let mut family =
        text.family(Gauge, "tidemap_partition_fresh", "1 while the API follows the partition's owner.");
    for partition in partitions {
        family.sample(&[("partition", &partition.number.to_string())], f64::from(u8::from(partition.fresh)));
    }
    // The last totals of an owner that is not heard say nothing of now.
    let heard = partitions.iter().filter(|partition| partition.fresh);
    text.owners(heard.filter_map(|partition| partition.owner.as_ref()));
}

fn service(text: &mut Exposition, stats: &Stats) {
    let counters = &stats.health.counters;
    text.family(Gauge, "tidemap_api_stream_clients", "Event streams that are open.")
        .sample(&[], stats.health.listeners as f64);
    for (name, help, count) in [
        ("tidemap_api_ticks_total", "Ticks of the view.", counters.ticks),
        ("tidemap_api_deltas_applied_total", "Deltas applied to the view.", counters.fleet.deltas_applied),
        ("tidemap_api_deltas_stale_total", "Deltas older than the view.", counters.fleet.deltas_stale),
        (
            "tidemap_api_deltas_ahead_total",
            "Deltas that had to wait for a snapshot.",
            counters.fleet.deltas_ahead,
        ),
        ("tidemap_api_snapshots_total", "Snapshots taken from owners.", counters.fleet.snapshots_applied),
        (
            "tidemap_api_snapshot_failures_total",
            "Requests for snapshots without an answer.",
            counters.fleet.snapshots_failed,
        ),
        (
            "tidemap_api_streams_opened_total",
            "Event streams opened with a snapshot.",
            counters.streams_opened,
        ),
        (
            "tidemap_api_streams_resumed_total",
            "Event streams resumed where they were left.",
            counters.streams_resumed,
        ),
    ] {
        text.family(Counter, name, help).sample(&[], count as f64);
    }
    let mut refused = text.family(Counter, "tidemap_api_refused_total", "Messages refused, by reason.");
    for (reason, count) in &counters.fleet.refused {
        refused.sample(&[("reason", reason)], *count as f64);
    }
}
