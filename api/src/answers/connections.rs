//! Connections between nodes: a node that another one's probe is aimed at.

use std::{borrow::Borrow, collections::HashMap};

use tidemap_client::Node;
use tidemap_wire::{Location, NodeId, Probe, Status, http::ConnectionJson};

/// The most connections that are listed; homelab-map lists 500. The page draws each as an arc.
const MOST: usize = 500;

/// Nodes that answer for a host that is probed.
type Targets<'a> = HashMap<String, Option<&'a Node>>;

/// The connections that were measured in the last minute, at most [`MOST`], in the order of the nodes. A host
/// is a node's when it is its name, how it is called, its host's own name or one of its addresses. What is
/// two nodes' is none's. A node is connected to another by its first probe that was answered; one that is
/// lost altogether has no round trip to show.
pub(crate) fn connections<N: Borrow<Node>>(nodes: &[N]) -> Vec<ConnectionJson> {
    connections_between(nodes, |_, _| true)
}

/// Those of the first of these nodes that there is, as [`connections`] lists them.
pub(crate) fn connections_of<N: Borrow<Node>>(nodes: &[N], ids: &[NodeId]) -> Vec<ConnectionJson> {
    let is_known = |id: &&NodeId| nodes.iter().any(|node| node.borrow().id() == *id);
    let Some(id) = ids.iter().find(is_known) else { return Vec::new() };
    connections_between(nodes, |source, target| source.id() == id || target.id() == id)
}

fn connections_between<N: Borrow<Node>>(
    nodes: &[N],
    is_asked: impl Fn(&Node, &Node) -> bool,
) -> Vec<ConnectionJson> {
    let nodes = nodes.iter().map(|node| -> &Node { node.borrow() });
    let is_live = |node: &&Node| node.status() == Status::Online && !node.probes().is_empty();
    let mut targets: Targets<'_> = HashMap::new();
    for node in nodes.clone().filter(is_live) {
        targets.extend(node.probes().iter().filter_map(Probe::host).map(|host| (host.to_lowercase(), None)));
    }
    // Most fleets probe nothing.
    if targets.is_empty() {
        return Vec::new();
    }
    resolve(&mut targets, nodes.clone());
    let mut found = Vec::new();
    for source in nodes.filter(is_live) {
        let mut known: Vec<&str> = Vec::new();
        for probe in source.probes() {
            let target = probe.host().and_then(|host| *targets.get(&host.to_lowercase())?);
            let Some(target) = target.filter(|target| target.id() != source.id() && is_asked(source, target))
            else {
                continue;
            };
            let Some(connection) = measured(source, target, probe) else { continue };
            if known.contains(&target.id().as_str()) {
                continue;
            }
            known.push(target.id().as_str());
            found.push(connection);
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

fn resolve<'a>(targets: &mut Targets<'a>, nodes: impl Iterator<Item = &'a Node>) {
    let mut is_shared = Vec::new();
    // One text for all names of all nodes.
    let mut lower = String::new();
    for node in nodes {
        let mut answers = |host: &str| {
            lower.clear();
            lower.extend(host.chars().flat_map(char::to_lowercase));
            match targets.get_mut(&lower) {
                Some(Some(other)) if other.id() != node.id() => is_shared.push(lower.clone()),
                Some(answering) => *answering = Some(node),
                None => {}
            }
        };
        answers(&node.name());
        let Some(hello) = node.hello() else { continue };
        let texts = [&hello.display_name, &hello.internal_ip, &hello.external_ip].into_iter().flatten();
        for host in texts.chain([&hello.hostname]).chain(&hello.addresses) {
            answers(host);
        }
    }
    for host in is_shared {
        targets.remove(&host);
    }
}

fn measured(source: &Node, target: &Node, probe: &Probe) -> Option<ConnectionJson> {
    let place = |node: &Node| node.hello()?.location.as_ref().map(|Location { lat, lon, .. }| (*lat, *lon));
    let ((source_lat, source_lon), (target_lat, target_lon)) = (place(source)?, place(target)?);
    Some(ConnectionJson {
        source_node: source.name(),
        source_lat,
        source_lon,
        target_node: target.name(),
        target_lat,
        target_lon,
        latency_ms: probe.median_ms?,
        min_ms: probe.min_ms?,
        max_ms: probe.max_ms?,
        jitter_ms: probe.jitter_ms,
        loss_percent: probe.loss_percent()?,
    })
}
