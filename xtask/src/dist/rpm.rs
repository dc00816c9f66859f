//! Packages of Fedora, RHEL and SUSE, by `rpmbuild`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Release, compile::Effort, deb::configuration, package::Package, platform::Platform, tree::Tree};
use crate::workspace::output;

/// Makes a package and returns its file.
pub(super) fn make(release: &Release<'_>, package: &Package, platform: Platform) -> Result<PathBuf> {
    let (workspace, identity) = (release.workspace, &release.identity);
    let stage = release.stage("rpm");
    let files = stage.join("files");
    let mut tree = package.tree.clone();
    for text in ["LICENSE-MIT", "LICENSE-APACHE"] {
        tree.text(format!("usr/share/licenses/{}/{text}", package.name), fs::read(workspace.path(text))?);
    }
    tree.write(&files)?;
    let template = workspace.path("deploy/packages").join(package.name).join("spec");
    let template = fs::read_to_string(&template).with_context(|| template.display().to_string())?;
    let spec = template
        .replace("@VERSION@", &identity.package_version())
        .replace("@FILES@", &listed(&tree))
        .replace("@DAY@", &identity.day)
        .replace("@MAINTAINER@", super::MAINTAINER);
    let file = stage.join("package.spec");
    fs::write(&file, spec)?;
    let mut build = workspace.command("rpmbuild");
    build.args(["-bb", "--quiet", "--target", &format!("{}-linux", platform.arch)]);
    let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
    let top = stage.display().to_string();
    for (name, value) in [
        ("_topdir", top.as_str()),
        ("_rpmdir", &top),
        ("_rpmfilename", "made.rpm"),
        ("_tmppath", &top),
        ("staged", &files.display().to_string()),
        // The same bytes on each machine and at any time.
        ("_buildhost", "localhost"),
        ("use_source_date_epoch_as_buildtime", "1"),
        ("clamp_mtime_to_source_date_epoch", "1"),
        ("_binary_payload", if release.effort == Effort::Quick { "w3.zstdio" } else { "w19.zstdio" }),
        // The programs are as they shall be: nothing to strip, and nothing that they need to be found.
        ("__os_install_post", "%{nil}"),
        ("debug_package", "%{nil}"),
        ("_build_id_links", "none"),
        // Debian's rpm has no paths of systemd's.
        ("_unitdir", "/usr/lib/systemd/system"),
    ] {
        build.args(define(name, value));
    }
    build.arg(&file).env("SOURCE_DATE_EPOCH", identity.epoch.to_string());
    output(&mut build)?;
    let name = format!("{}-{}-1.{}.rpm", package.name, identity.package_version(), platform.arch);
    let to = release.folder.join(name);
    fs::copy(stage.join("made.rpm"), &to)?;
    fs::remove_dir_all(stage)?;
    Ok(to)
}

/// The files, as a spec file lists them.
fn listed(tree: &Tree) -> String {
    let configuration: Vec<&Path> = configuration(tree).collect();
    let mut lines: Vec<String> = tree.paths().map(|path| line(path, configuration.contains(&path))).collect();
    let own = |folder: &str| tree.paths().any(|path| path.starts_with(&folder[1..]));
    let folders = ["/etc/tidemap", "/usr/lib/tidemap", "/usr/lib/tidemap/agents"];
    lines.extend(folders.into_iter().filter(|folder| own(folder)).map(|folder| format!("%dir {folder}\n")));
    lines.concat()
}

fn line(path: &Path, is_configuration: bool) -> String {
    let kind = match () {
        () if is_configuration => "%config(noreplace) ",
        () if path.starts_with("usr/share/licenses") => "%license ",
        () if path.starts_with("usr/share/doc") => "%doc ",
        () => "",
    };
    format!("{kind}/{}\n", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_listed_by_their_kind() {
        let mut tree = Tree::default();
        for path in ["etc/tidemap/agent.env", "usr/bin/tidemap-agent", "usr/share/doc/tidemap-agent/README"] {
            tree.text(path, "");
        }
        assert_eq!(
            listed(&tree),
            "%config(noreplace) /etc/tidemap/agent.env\n/usr/bin/tidemap-agent\n\
             %doc /usr/share/doc/tidemap-agent/README\n%dir /etc/tidemap\n"
        );
    }
}
