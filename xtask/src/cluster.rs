//! `cargo xtask cluster`: a whole cluster on this machine.

use std::process::Command;

use anyhow::Result;

use crate::{artifacts::Artifacts, tools, up::replace_by, web, workspace::Workspace};

#[derive(clap::Args)]
pub(crate) struct ClusterArgs {
    /// Number of synthetic nodes, spread over the world, all at one edge site.
    #[arg(long, value_name = "N", default_value_t = 300)]
    simulate: u32,
}

/// Builds the page and the program, and replaces this process by `deploy/cluster/up`.
pub(crate) fn run(workspace: &Workspace, args: &ClusterArgs) -> Result<()> {
    tools::check_for_up(workspace)?;
    web::build(workspace)?;
    let mut build = workspace.cargo(["build", "--profile", "up", "--package", "tidemap", "--bin", "tidemap"]);
    let built =
        Artifacts::build(build.args(["--package", "tidemap-broker", "--example", tools::FIND_BROKER]))?;
    let nats_server = tools::find_broker(workspace, &built)?;
    let mut script = Command::new(workspace.path("deploy/cluster/up"));
    script.arg(args.simulate.to_string());
    script.env("TIDEMAP_BIN", built.program("tidemap")?).env("TIDEMAP_NATS_SERVER", nats_server);
    if std::env::var_os("TIDEMAP_CLUSTER_DIR").is_none_or(|folder| folder.is_empty()) {
        script.env("TIDEMAP_CLUSTER_DIR", workspace.path("target/cluster"));
    }
    replace_by(&mut script)
}
