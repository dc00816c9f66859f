//! What a build of cargo has made, as cargo itself says it.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::words;

/// The files that a build has made, or found to be up to date.
pub(crate) struct Artifacts {
    targets: Vec<Target>,
}

/// One target of a package: a library or a program.
struct Target {
    name: String,
    files: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

impl Artifacts {
    /// Runs a `cargo build`; its progress stays visible.
    pub(crate) fn build(command: &mut Command) -> Result<Self> {
        let said = words(command);
        command.args(["--message-format", "json-render-diagnostics"]);
        let mut build = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let messages = BufReader::new(build.stdout.take().context("cargo's output is piped")?);
        let mut targets = Vec::new();
        for message in messages.lines() {
            targets.extend(target(&message?));
        }
        if !build.wait()?.success() {
            bail!("{said} failed");
        }
        Ok(Self { targets })
    }

    /// The program of this name.
    pub(crate) fn program(&self, name: &str) -> Result<&Path> {
        let programs = self.targets.iter().filter(|target| target.name == name);
        let found = programs.filter_map(|target| target.executable.as_deref()).next_back();
        found.with_context(|| format!("cargo built no program {name}"))
    }

    /// The file with this extension that the crate was compiled to.
    pub(crate) fn file(&self, crate_name: &str, extension: &str) -> Result<&Path> {
        // A library's target is named like its crate, a program's like its package.
        let files = self.targets.iter().filter(|target| target.name.replace('-', "_") == crate_name);
        let found = files
            .flat_map(|target| &target.files)
            .find(|file| file.extension().is_some_and(|e| e == extension));
        found
            .map(PathBuf::as_path)
            .with_context(|| format!("cargo built no .{extension} file of {crate_name}"))
    }
}

fn target(message: &str) -> Option<Target> {
    let message: Value = serde_json::from_str(message).ok()?;
    let files =
        message["filenames"].as_array()?.iter().filter_map(Value::as_str).map(PathBuf::from).collect();
    let name = message["target"]["name"].as_str()?.to_owned();
    Some(Target { name, files, executable: message["executable"].as_str().map(PathBuf::from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_files_are_found_among_cargos_messages() {
        let messages = [
            r#"{"target":{"name":"tidemap_webui"},"filenames":["a.rlib","a.wasm"],"executable":null}"#,
            r#"{"target":{"name":"tidemap"},"filenames":["a/tidemap"],"executable":"a/tidemap"}"#,
            r#"{"target":{"name":"build-script-build"},"filenames":["b"],"executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "not JSON",
        ];
        let artifacts = Artifacts { targets: messages.into_iter().filter_map(target).collect() };
        assert_eq!(artifacts.targets.len(), 3);
        assert_eq!(artifacts.program("tidemap").unwrap(), Path::new("a/tidemap"));
        assert_eq!(artifacts.file("tidemap_webui", "wasm").unwrap(), Path::new("a.wasm"));
        assert!(artifacts.program("tidemap_webui").is_err());
    }
}
