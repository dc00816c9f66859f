//! What each node's probes found, for Prometheus.

use std::{collections::HashSet, sync::Arc};

use tidemap_client::Node;
use tidemap_service::exposition::{Exposition, FamilyOf, Kind::Gauge};
use tidemap_wire::{Probe, Status};

use super::selection::Selection;

/// Six families, of nodes that are online and probe.
pub(super) fn families(text: &mut Exposition, nodes: &[Arc<Node>], selection: &Selection) {
    let is_live = |node: &&Arc<Node>| node.status() == Status::Online && !node.probes().is_empty();
    let probes: Vec<(String, &Probe)> = nodes
        .iter()
        .filter(is_live)
        .map(|node| (node.name(), node))
        .filter(|(name, _)| selection.contains(name))
        .flat_map(|(name, node)| {
            // A target that is listed twice would be one series with two values.
            let mut listed = HashSet::new();
            let probes = node.probes().iter().filter(move |probe| listed.insert(&probe.target));
            probes.map(move |probe| (name.clone(), probe))
        })
        .collect();
    if probes.is_empty() {
        return;
    }
    let seconds = |ms: Option<f64>| ms.map(|ms| ms / 1_000.0);
    let families: [FamilyOf<Probe, Option<f64>>; 6] = [
        (
            Gauge,
            "tidemap_probe_possible",
            "0 when the node could not send probes to the target lately.",
            |probe| Some(f64::from(u8::from(probe.failure.is_none()))),
        ),
        (Gauge, "tidemap_probe_loss_ratio", "Share of the last minute's probes that were lost.", |probe| {
            probe.loss_percent().map(|percent| percent / 100.0)
        }),
        (Gauge, "tidemap_probe_min_seconds", "Shortest round trip of the last minute.", |probe| probe.min_ms),
        (Gauge, "tidemap_probe_median_seconds", "Median round trip of the last minute.", |probe| {
            probe.median_ms
        }),
        (Gauge, "tidemap_probe_max_seconds", "Longest round trip of the last minute.", |probe| probe.max_ms),
        (
            Gauge,
            "tidemap_probe_jitter_seconds",
            "Mean difference between one round trip of the last minute and the next.",
            |probe| probe.jitter_ms,
        ),
    ];
    for (kind, name, help, value) in families {
        let in_base_unit = |value| if name.ends_with("_seconds") { seconds(value) } else { value };
        let mut family = text.family(kind, name, help);
        for (node, probe) in &probes {
            if let Some(value) = in_base_unit(value(probe)) {
                family.sample(&[("node", node), ("target", &probe.target)], value);
            }
        }
    }
}
