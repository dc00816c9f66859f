//! Agent configuration.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use tidemap_service::cli::UsageError;
use tidemap_wire::{CAP_LABEL, Capacity, Location, NodeId, NodeName, bounds};

use crate::{args::AgentArgs, host_name::host_name, probes::Target, uplinks::Choice};

/// A checked agent configuration: every value can be used.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// This node, as long as the agent runs.
    pub node: NodeId,
    /// The id that version 0.1 gave a node of this name, if it was another one.
    pub earlier_node: Option<NodeId>,
    /// How the operator calls it; the host's own name unless given.
    pub display_name: Option<String>,
    /// Time between samples.
    pub interval: Duration,
    /// The location that the operator gave.
    pub location: Option<Location>,
    /// The provider that the operator gave.
    pub provider: Option<String>,
    /// The operator's labels.
    pub labels: BTreeMap<String, String>,
    /// What the operator says that the links carry.
    pub cap: Option<Capacity>,
    /// The interfaces that the operator includes and excludes.
    pub choice: Choice,
    /// What is probed.
    pub probes: Vec<Target>,
    /// Time between two probes of a target.
    pub probe_interval: Duration,
    /// The file in which samples wait for the broker; without one they wait in memory alone.
    pub spool: Option<PathBuf>,
    /// Where sysfs is mounted.
    pub sysfs_root: PathBuf,
    /// Where procfs is mounted.
    pub procfs_root: PathBuf,
}

impl AgentConfig {
    /// Checks the arguments, and asks the host for a name if none was given.
    ///
    /// # Errors
    ///
    /// When there are too many labels or probes, or no name was given and the host has none that can be used.
    pub fn new(args: AgentArgs) -> anyhow::Result<Self> {
        let name = match &args.node {
            Some(name) => name.clone(),
            None => named_after_host()?,
        };
        if args.labels.len() > bounds::LABELS {
            return Err(UsageError(format!("--label: at most {}", bounds::LABELS)).into());
        }
        if args.probes.len() > bounds::PROBES {
            return Err(UsageError(format!("--probe: at most {}", bounds::PROBES)).into());
        }
        let labels: BTreeMap<String, String> = args.labels.into_iter().collect();
        if let Some(cap) = labels.get(CAP_LABEL).filter(|cap| Capacity::parse(cap).is_none()) {
            tracing::warn!(%cap, "the label `cap` declares nothing: it is not of the form down/up in Mbit/s");
        }
        Ok(Self {
            node: name.id().clone(),
            earlier_node: name.earlier_id().cloned(),
            display_name: args.node.map(|given| given.display().to_owned()),
            interval: args.interval,
            location: args.location,
            provider: args.provider,
            labels,
            cap: args.cap,
            choice: Choice { count: args.count, include: args.include, exclude: args.exclude },
            probes: args.probes,
            probe_interval: args.probe_interval,
            spool: args.spool,
            sysfs_root: args.sysfs_root,
            procfs_root: args.procfs_root,
        })
    }
}

fn named_after_host() -> anyhow::Result<NodeName> {
    let named = match host_name() {
        Some(name) => NodeName::parse(&name).map_err(|error| format!("the hostname {name:?}: {error}")),
        None => Err("this host has no name".to_owned()),
    };
    named.map_err(UsageError).context("give this node a name with --node")
}
