//! What the agent was told to do, checked.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use tidemap_service::cli::UsageError;
use tidemap_wire::{Location, NodeId};

use crate::{AgentArgs, args::MOST_LABELS, identity, uplinks::Choice};

/// What the agent was told to do: every value is usable.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// This node.
    pub node: NodeId,
    /// Time between samples.
    pub interval: Duration,
    /// The operator's word on where the node is.
    pub location: Option<Location>,
    /// The operator's word on who runs the host.
    pub provider: Option<String>,
    /// The operator's labels.
    pub labels: BTreeMap<String, String>,
    /// The operator's word on which interfaces count.
    pub choice: Choice,
    /// Where samples wait that the broker does not have yet; without it they wait in memory alone.
    pub spool: Option<PathBuf>,
    /// Where sysfs is mounted.
    pub sysfs_root: PathBuf,
    /// Where procfs is mounted.
    pub procfs_root: PathBuf,
}

impl AgentConfig {
    /// Takes what was typed; what was not is asked of the host.
    ///
    /// # Errors
    ///
    /// When no name was given and the host has none that can be used.
    pub fn new(args: AgentArgs) -> anyhow::Result<Self> {
        let node = match args.node {
            Some(node) => node,
            None => named_after_host()?,
        };
        if args.labels.len() > MOST_LABELS {
            return Err(UsageError(format!("--label: at most {MOST_LABELS}")).into());
        }
        Ok(Self {
            node,
            interval: args.interval,
            location: args.location,
            provider: args.provider,
            labels: args.labels.into_iter().collect(),
            choice: Choice { include: args.include, exclude: args.exclude },
            spool: args.spool,
            sysfs_root: args.sysfs_root,
            procfs_root: args.procfs_root,
        })
    }
}

fn named_after_host() -> anyhow::Result<NodeId> {
    let named = match identity::host_name() {
        Some(name) => NodeId::from_name(&name).map_err(|error| format!("the hostname {name:?}: {error}")),
        None => Err("this host does not tell its name".to_owned()),
    };
    named.map_err(UsageError).context("give this node a name with --node")
}
