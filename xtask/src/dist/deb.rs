//! Packages of Debian, by `dpkg-deb`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Release, compile::Effort, identity::Identity, package::Package, platform::Platform, tree::Tree};
use crate::workspace::{Workspace, run};

/// The revision of the packaging. A version without one would claim to be made by Debian.
const REVISION: &str = "1";
/// The packaging's scripts, each of them in a folder of the package's name.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Makes a package and returns its file.
pub(super) fn make(release: &Release<'_>, package: &Package, platform: Platform) -> Result<PathBuf> {
    let (workspace, identity) = (release.workspace, &release.identity);
    let root = release.stage("deb");
    let mut tree = package.tree.clone();
    let version = format!("{}-{REVISION}", identity.package_version());
    let doc = format!("usr/share/doc/{}", package.name);
    let changelog = changelog(package.name, &version, identity);
    let packaging = workspace.path("deploy/packages");
    tree.text(format!("{doc}/copyright"), fs::read(packaging.join("copyright"))?);
    let overrides = packaging.join(package.name).join("lintian-overrides");
    tree.text(format!("usr/share/lintian/overrides/{}", package.name), fs::read(overrides)?);
    tree.moved("usr/share/zsh/site-functions", "usr/share/zsh/vendor-completions");
    tree.text(format!("{doc}/changelog.Debian.gz"), release.gzip(changelog.as_bytes())?);
    tree.graft("DEBIAN", &control(workspace, package, platform, &version)?);
    tree.write(&root)?;
    let file = release.folder.join(format!("{}_{version}_{}.deb", package.name, platform.debian));
    let mut build = workspace.command("dpkg-deb");
    let level = if release.effort == Effort::Quick { "-z1" } else { "-z6" };
    build.args(["--root-owner-group", "-Zxz", level, "--build"]);
    build.arg(&root).arg(&file).env("SOURCE_DATE_EPOCH", identity.epoch.to_string());
    run(&mut build)?;
    fs::remove_dir_all(root)?;
    Ok(file)
}

/// What dpkg reads.
fn control(workspace: &Workspace, package: &Package, platform: Platform, version: &str) -> Result<Tree> {
    let mut tree = Tree::default();
    let folder = workspace.path("deploy/packages").join(package.name);
    let template = fs::read_to_string(folder.join("control"))?;
    let kilobytes = package.tree.bytes()?.div_ceil(1024);
    let filled = template
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", platform.debian)
        .replace("@SIZE@", &kilobytes.to_string())
        .replace("@MAINTAINER@", super::MAINTAINER);
    tree.text("control", filled);
    let conffiles: String =
        configuration(&package.tree).map(|path| format!("/{}\n", path.display())).collect();
    tree.text("conffiles", conffiles);
    for script in SCRIPTS {
        tree.script(script, fs::read(folder.join(script))?);
    }
    Ok(tree)
}

/// Files that an administrator changes, and that stay as they are when the package is replaced.
pub(super) fn configuration(tree: &Tree) -> impl Iterator<Item = &Path> {
    tree.paths().filter(|path| path.starts_with("etc"))
}

fn changelog(name: &str, version: &str, identity: &Identity) -> String {
    format!(
        "{name} ({version}) unstable; urgency=medium\n\n  * Release {}: see changelog.gz.\n\n \
         -- {}  {}\n",
        identity.version,
        super::MAINTAINER,
        identity.rfc_2822,
    )
}
