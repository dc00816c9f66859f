//! The node's hello: what rarely changes about it.

mod address;
mod vendor;

use sysinfo::System;
use tidemap_wire::{Hello, Interface, NodeName, bounds};

pub use address::Addresses;

use crate::{
    config::AgentConfig,
    host_name::host_name,
    location::{self, TimeZoneFiles},
    uplinks::{Link, Topology, Verdict},
};

/// Addresses of all interfaces in a hello. With the most labels and interfaces, more would not fit into a
/// message.
const LISTED_ADDRESSES: usize = 128;

/// What the node is called, and what does not change while the agent runs.
#[derive(Clone, Debug)]
pub struct Identity {
    fixed: Hello,
    /// Whether the operator named the node, so that its host's name does not.
    is_named: bool,
}

impl Identity {
    /// The identity of this host.
    pub fn of_host(config: &AgentConfig) -> Self {
        let time_zone = TimeZoneFiles::of_host().name();
        let mut fixed = Hello {
            hostname: String::new(),
            display_name: config.display_name.clone(),
            os: os(),
            kernel: System::kernel_version().ok(),
            arch: Some(System::cpu_arch()).filter(|arch| !arch.is_empty()),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            interval_ms: u32::try_from(config.interval.as_millis()).unwrap_or(u32::MAX),
            location: location::find(config.location.as_ref(), &config.labels, time_zone.as_deref()),
            provider: config.provider.clone().or_else(|| vendor::provider(&config.sysfs_root)),
            labels: config.labels.clone(),
            cap: config.cap,
            ..Hello::default()
        };
        if fixed.bound() {
            tracing::warn!(
                "labels or texts are longer than is reported, or have control characters; they are cut"
            );
        }
        let mut identity = Self { fixed, is_named: config.display_name.is_some() };
        identity.call(&host_name().unwrap_or_else(|| config.node.text()));
        identity
    }

    /// Notes the host's name, which may change while the agent runs; the node's id stays. Returns whether it
    /// has changed.
    pub fn call(&mut self, host: &str) -> bool {
        let before = std::mem::replace(&mut self.fixed.hostname, host.to_owned());
        if !self.is_named {
            self.fixed.display_name = NodeName::parse(host).ok().map(|name| name.display().to_owned());
        }
        self.fixed.bound();
        before != self.fixed.hostname
    }

    /// The hello with the interfaces and addresses as they are now.
    pub fn hello(&self, topology: &Topology, verdicts: &[Verdict], addresses: &Addresses) -> Hello {
        let counted = || topology.links.iter().zip(verdicts).filter(|(_, verdict)| verdict.counted);
        let of_counted = || counted().flat_map(|(link, _)| addresses.of(&link.name));
        let way_out = topology.routes.defaults.first().map(String::as_str);
        let way_out = way_out.or_else(|| counted().next().map(|(link, _)| link.name.as_str()));
        Hello {
            internal_ip: way_out.and_then(|name| address::preferred(addresses.of(name))),
            external_ip: address::global(of_counted()),
            addresses: of_counted().take(bounds::ADDRESSES).map(ToString::to_string).collect(),
            interfaces: inventory(topology, verdicts, addresses),
            link_speed_mbps: topology.speed_mbps(verdicts),
            unlisted_interfaces: u32::try_from(topology.links.len().saturating_sub(bounds::INTERFACES))
                .unwrap_or(u32::MAX),
            ..self.fixed.clone()
        }
    }
}

fn os() -> Option<String> {
    let name = System::name().ok()?;
    Some(System::os_version().map_or(name.clone(), |version| format!("{name} {version}")))
}

/// The interfaces, up to the limit, those that count first.
fn inventory(topology: &Topology, verdicts: &[Verdict], addresses: &Addresses) -> Vec<Interface> {
    let mut judged: Vec<_> = topology.links.iter().zip(verdicts).collect();
    judged.sort_by_key(|(_, verdict)| !verdict.counted);
    let mut left = LISTED_ADDRESSES;
    let interface = |(link, verdict): (&Link, &Verdict)| {
        let listed = addresses.of(&link.name).iter().take(bounds::INTERFACE_ADDRESSES.min(left));
        let addresses: Vec<_> = listed.map(ToString::to_string).collect();
        left -= addresses.len();
        Interface {
            name: link.name.clone(),
            counted: verdict.counted,
            reason: verdict.reason.clone(),
            speed_mbps: link.speed_mbps,
            addresses,
        }
    };
    judged.into_iter().take(bounds::INTERFACES).map(interface).collect()
}

#[cfg(test)]
mod tests;
