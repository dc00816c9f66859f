//! What is in each package: an installation's files, below the root of a host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Programs, platform::Platform, tree::Tree};
use crate::workspace::Workspace;

/// A package of Debian and of others.
pub(super) struct Package {
    pub(super) name: &'static str,
    /// Its files below `/`.
    pub(super) tree: Tree,
}

/// What an installation of all of Tidemap is made of.
pub(super) struct Parts<'a> {
    pub(super) platform: Platform,
    pub(super) programs: &'a Programs,
    pub(super) broker: &'a Path,
    /// Manual pages, completions, documents: what is below `share`.
    pub(super) share: &'a Tree,
}

impl Parts<'_> {
    /// What is below the prefix in packages as well as in archives: a program finds the other files by its
    /// own place.
    fn below(&self, prefix: &str) -> Tree {
        let mut tree = Tree::default();
        tree.program("bin/tidemap", &self.programs.tidemap[self.platform.arch]);
        tree.program("lib/tidemap/nats-server", self.broker);
        for (arch, agent) in &self.programs.agents {
            tree.program(format!("lib/tidemap/agents/tidemap-agent-{arch}"), agent);
        }
        tree.graft("share", self.share);
        let mut below = Tree::default();
        below.graft(prefix, &tree);
        below
    }
}

/// The one command with everything that it needs.
pub(super) fn tidemap(workspace: &Workspace, parts: &Parts<'_>) -> Result<Tree> {
    let mut tree = parts.below("usr");
    for unit in units(workspace)?.into_iter().filter(|unit| !is_agents(unit)) {
        add_unit(&mut tree, &unit)?;
    }
    add_text(workspace, &mut tree, "tidemap/sysusers.conf", "usr/lib/sysusers.d/tidemap.conf")?;
    add_text(workspace, &mut tree, "tidemap/tidemap.env", "etc/tidemap/tidemap.env")?;
    Ok(tree)
}

/// One static file and its unit.
pub(super) fn agent(workspace: &Workspace, agent: &Path, share: &Tree) -> Result<Tree> {
    let mut tree = Tree::default();
    tree.program("usr/bin/tidemap-agent", agent);
    for unit in units(workspace)?.into_iter().filter(|unit| is_agents(unit)) {
        add_unit(&mut tree, &unit)?;
    }
    add_text(workspace, &mut tree, "tidemap-agent/agent.env", "etc/tidemap/agent.env")?;
    tree.graft("usr/share", share);
    Ok(tree)
}

/// All of it below any folder, for a host without packages. The units are as they are in the sources: for
/// programs in `/usr/local/bin`.
pub(super) fn archive(workspace: &Workspace, parts: &Parts<'_>) -> Result<Tree> {
    let mut tree = parts.below("");
    tree.program("bin/tidemap-agent", &parts.programs.agents[parts.platform.arch]);
    for unit in units(workspace)? {
        tree.text(Path::new("lib/systemd/system").join(name(&unit)?), read(&unit)?);
    }
    add_text(workspace, &mut tree, "tidemap/sysusers.conf", "lib/sysusers.d/tidemap.conf")?;
    for text in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        tree.text(text, read(&workspace.path(text))?);
    }
    // The script that the API serves, too.
    tree.script("install.sh", read(&workspace.path("deploy/install.sh"))?);
    Ok(tree)
}

/// What is below the root of an image: programs, and the public authorities' certificates, which nobody else
/// brings there.
pub(super) fn image(parts: &Parts<'_>, certificates: &Path) -> Tree {
    let mut tree = parts.below("usr");
    tree.program("usr/bin/tidemap-agent", &parts.programs.agents[parts.platform.arch]);
    tree.copy("etc/ssl/certs/ca-certificates.crt", certificates);
    tree
}

fn units(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.path("deploy/systemd");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut units = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    units.retain(|unit| unit.extension().is_some_and(|extension| extension == "service"));
    units.sort();
    Ok(units)
}

fn is_agents(unit: &Path) -> bool {
    unit.ends_with("tidemap-agent.service")
}

fn add_unit(tree: &mut Tree, unit: &Path) -> Result<()> {
    tree.text(Path::new("usr/lib/systemd/system").join(name(unit)?), packaged(&read(unit)?));
    Ok(())
}

/// A unit for programs where packages have them.
fn packaged(unit: &str) -> String {
    unit.replace("/usr/local/bin/nats-server", "/usr/lib/tidemap/nats-server")
        .replace("/usr/local/bin/", "/usr/bin/")
}

fn add_text(workspace: &Workspace, tree: &mut Tree, from: &str, to: &str) -> Result<()> {
    tree.text(to, read(&workspace.path("deploy/packages").join(from))?);
    Ok(())
}

fn name(file: &Path) -> Result<&Path> {
    Ok(Path::new(file.file_name().context("a unit has a name")?))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_packages_start_what_packages_have() {
        let unit = "ExecStart=/usr/local/bin/nats-server -c x\nExecStart=/usr/local/bin/tidemap up\n";
        let packaged = packaged(unit);
        assert_eq!(packaged, "ExecStart=/usr/lib/tidemap/nats-server -c x\nExecStart=/usr/bin/tidemap up\n");
    }

    #[test]
    fn scripts_of_packages_restart_and_stop_every_unit() {
        let workspace = Workspace::here().unwrap();
        for unit in units(&workspace).unwrap() {
            let package = if is_agents(&unit) { "tidemap-agent" } else { "tidemap" };
            let unit = name(&unit).unwrap().to_str().unwrap().replace("@.", "@*.");
            for script in ["postinst", "prerm", "spec"] {
                let file = workspace.path("deploy/packages").join(package).join(script);
                let script = read(&file).unwrap().replace("\\\n", " ");
                let times = script.lines().filter(|line| line.contains(&unit)).count();
                assert!(times >= if file.ends_with("spec") { 2 } else { 1 }, "{unit} in {}", file.display());
                // systemd takes patterns of what runs, and not of files.
                let disables = script.lines().find(|line| line.contains(" disable ") && line.contains('*'));
                assert_eq!(disables, None, "{}", file.display());
            }
        }
    }
}
