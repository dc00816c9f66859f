//! Each node's interfaces for Prometheus.

use std::{collections::HashSet, sync::Arc};

use tidemap_client::Node;
use tidemap_service::exposition::{Exposition, FamilyOf, Kind::Gauge};
use tidemap_wire::{Bps, Status, http::InterfaceJson};

use super::selection::Selection;

/// Three families; only nodes that are online have rates.
pub(super) fn families(text: &mut Exposition, nodes: &[Arc<Node>], selection: &Selection) {
    let interfaces: Vec<(String, bool, InterfaceJson)> = nodes
        .iter()
        .map(|node| (node.name(), node))
        .filter(|(name, _)| selection.contains(name))
        .flat_map(|(name, node)| {
            let inventory = node.hello().map(|hello| hello.interfaces.as_slice()).unwrap_or_default();
            let is_online = node.status() == Status::Online;
            // A name that is listed twice would be one series with two values.
            let mut listed = HashSet::new();
            inventory.iter().filter(move |interface| listed.insert(&interface.name)).map(move |interface| {
                (name.clone(), is_online, InterfaceJson::new(interface, node.interfaces()))
            })
        })
        .collect();
    let families: [FamilyOf<(String, bool, InterfaceJson), Option<f64>>; 3] = [
        (
            Gauge,
            "tidemap_node_interface_counted",
            "1 for an interface whose bytes are in its node's sums.",
            |(_, _, interface)| Some(f64::from(u8::from(interface.counted))),
        ),
        (
            Gauge,
            "tidemap_node_interface_receive_bytes_per_second",
            "Traffic of an interface of an online node.",
            |(_, is_online, interface)| interface.rx_bytes_per_sec.filter(|_| *is_online).map(Bps::get),
        ),
        (
            Gauge,
            "tidemap_node_interface_transmit_bytes_per_second",
            "Traffic of an interface of an online node.",
            |(_, is_online, interface)| interface.tx_bytes_per_sec.filter(|_| *is_online).map(Bps::get),
        ),
    ];
    for (kind, name, help, value) in families {
        let mut family = text.family(kind, name, help);
        for interface in &interfaces {
            if let Some(value) = value(interface) {
                family.sample(&[("node", &interface.0), ("interface", &interface.2.name)], value);
            }
        }
    }
}
