//! What a release contains of others: crates, by cargo's own account, and the modules of the broker, which
//! its program lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{TIDEMAP, broker, platform::Platform};
use crate::{
    tools::WASM_TARGET,
    workspace::{Workspace, output},
};

/// The programs of the page, which the API's program contains.
const PAGE: [&str; 2] = ["tidemap-webui", "tidemap-past"];

/// A package of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// `cargo` or `golang`, as package URLs call it.
    pub(super) ecosystem: &'static str,
    /// As an SPDX expression, where its manifest has one.
    pub(super) licence: Option<String>,
    /// SHA-256 of the archive that the registry has of it.
    pub(super) checksum: Option<String>,
    /// Its sources on this machine.
    pub(super) folder: Option<PathBuf>,
}

impl Component {
    /// Its name for other programs: `pkg:cargo/serde@1.0.228`.
    pub(super) fn url(&self) -> String {
        format!("pkg:{}/{}@{}", self.ecosystem, self.name, self.version)
    }
}

/// All crates that a program, or the page within it, is linked from.
pub(super) fn crates(workspace: &Workspace, platform: Platform, program: &str) -> Result<Vec<Component>> {
    let mut linked = BTreeSet::new();
    let page: &[&str] = if program == TIDEMAP { &PAGE } else { &[] };
    let targets = [(platform.target(), vec![program]), (WASM_TARGET.to_owned(), page.to_vec())];
    for (target, packages) in targets.into_iter().filter(|(_, packages)| !packages.is_empty()) {
        let mut tree = workspace.cargo(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
        tree.args(["--format", "{p}", "--target", &target]);
        tree.args(packages.iter().flat_map(|package| ["--package", package]));
        linked.extend(output(&mut tree)?.lines().filter_map(name_and_version));
    }
    let metadata = output(&mut workspace.cargo(["metadata", "--locked", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let checksums = checksums(&fs::read_to_string(workspace.path("Cargo.lock"))?);
    let packages = metadata["packages"].as_array().context("cargo lists packages")?;
    let foreign = packages.iter().filter(|package| !package["source"].is_null());
    let mut components: Vec<Component> = foreign
        .filter_map(|package| component(package, &checksums))
        .filter(|component| linked.contains(&(component.name.clone(), component.version.clone())))
        .collect();
    components.sort();
    Ok(components)
}

/// From a line of `cargo tree`: `serde v1.0.228 (*)`.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Option<Component> {
    let text = |field: &str| package[field].as_str().map(str::to_owned);
    let (name, version) = (text("name")?, text("version")?);
    Some(Component {
        checksum: checksums.get(&(name.clone(), version.clone())).cloned(),
        name,
        version,
        ecosystem: "cargo",
        // Old manifests divide alternatives by a slash.
        licence: text("license").map(|licence| licence.replace('/', " OR ")),
        folder: Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned),
    })
}

/// Each package's checksum in Cargo.lock.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let packages = lock.split("[[package]]").skip(1);
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|text| text.trim_matches('"').to_owned())
    };
    packages
        .filter_map(|package| {
            Some(((value(package, "name")?, value(package, "version")?), value(package, "checksum")?))
        })
        .collect()
}

/// The broker and the modules that it is linked from.
pub(super) fn of_broker(program: &Path) -> Result<Vec<Component>> {
    let module = |name: &str, version: &str, licence: Option<&str>| Component {
        name: name.to_owned(),
        version: version.to_owned(),
        ecosystem: "golang",
        licence: licence.map(str::to_owned),
        checksum: None,
        folder: None,
    };
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let mut components =
        modules(&bytes).into_iter().map(|(name, version)| module(&name, &version, None)).collect::<Vec<_>>();
    let itself = format!("v{}", broker::version());
    components.push(module("github.com/nats-io/nats-server/v2", &itself, Some("Apache-2.0")));
    components.sort();
    Ok(components)
}

/// The lines `dep NAME VERSION HASH` of the build information that Go leaves in a program.
fn modules(program: &[u8]) -> BTreeSet<(String, String)> {
    let lines = program.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"dep\t"));
    let module = |line: &[u8]| {
        let mut words = std::str::from_utf8(line).ok()?.split('\t');
        let (name, version) = (words.next()?.to_owned(), words.next()?.to_owned());
        words.next()?.starts_with("h1:").then_some((name, version))
    };
    lines.filter_map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_what_cargo_prints() {
        let read = |line: &str| name_and_version(line).map(|(name, version)| format!("{name}@{version}"));
        assert_eq!(read("serde v1.0.228 (*)"), Some("serde@1.0.228".to_owned()));
        assert_eq!(read("clap_derive v4.6.1 (proc-macro)"), Some("clap_derive@4.6.1".to_owned()));
        assert_eq!(read(""), None);
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\
                    checksum = \"ab12\"\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        let of_a = (("a".to_owned(), "1.0.0".to_owned()), "ab12".to_owned());
        assert_eq!(checksums(lock).into_iter().collect::<Vec<_>>(), [of_a]);
    }

    #[test]
    fn modules_are_read_from_a_program_of_go() {
        let program =
            b"\x00\xffpath\tx\nmod\tx\t(devel)\t\ndep\tgithub.com/a/b\tv1.2.3\th1:abc=\ndep\tno\nbuild\tx=1\n\xfe";
        let found: Vec<_> = modules(program).into_iter().collect();
        assert_eq!(found, [("github.com/a/b".to_owned(), "v1.2.3".to_owned())]);
    }
}
