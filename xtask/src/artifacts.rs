//! The files that a cargo build has produced, from cargo's own messages.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace::words;

/// The files that a build has produced, or found up to date.
pub(crate) struct Artifacts {
    targets: Vec<Target>,
}

/// One target of a package: a library, a program, or the tests of either.
struct Target {
    name: String,
    folder: PathBuf,
    files: Vec<PathBuf>,
    executable: Option<PathBuf>,
    is_test: bool,
}

/// A program that runs tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tests {
    /// The package's folder and the target, such as `e2e page`.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// Where cargo would run it: the package's folder.
    pub(crate) folder: PathBuf,
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
        let programs = self.targets.iter().filter(|target| target.name == name && !target.is_test);
        let found = programs.filter_map(|target| target.executable.as_deref()).next_back();
        found.with_context(|| format!("cargo built no program {name}"))
    }

    /// The programs that run tests.
    pub(crate) fn tests(&self) -> Vec<Tests> {
        let tests = self.targets.iter().filter(|target| target.is_test);
        tests
            .filter_map(|target| {
                let package = target.folder.file_name().unwrap_or_default().to_string_lossy();
                let name = format!("{package} {}", target.name);
                Some(Tests { name, program: target.executable.clone()?, folder: target.folder.clone() })
            })
            .collect()
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
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Target {
        name,
        folder: manifest.parent()?.to_owned(),
        files,
        executable: message["executable"].as_str().map(PathBuf::from),
        is_test: message["profile"]["test"] == true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_files_are_found_among_cargos_messages() {
        let messages = [
            r#"{"manifest_path":"w/webui/Cargo.toml","target":{"name":"tidemap_webui"},"profile":{"test":false},
                "filenames":["a.rlib","a.wasm"],"executable":null}"#,
            r#"{"manifest_path":"w/tidemap/Cargo.toml","target":{"name":"tidemap"},"profile":{"test":false},
                "filenames":["a/tidemap"],"executable":"a/tidemap"}"#,
            r#"{"manifest_path":"w/tidemap/Cargo.toml","target":{"name":"tidemap"},"profile":{"test":true},
                "filenames":["t/tidemap"],"executable":"t/tidemap"}"#,
            r#"{"manifest_path":"w/tidemap/Cargo.toml","target":{"name":"build-script-build"},"filenames":["b"],
                "executable":null}"#,
            r#"{"reason":"build-finished","success":true}"#,
            "not JSON",
        ];
        let artifacts = Artifacts { targets: messages.into_iter().filter_map(target).collect() };
        assert_eq!(artifacts.targets.len(), 4);
        assert_eq!(artifacts.program("tidemap").unwrap(), Path::new("a/tidemap"));
        assert_eq!(artifacts.file("tidemap_webui", "wasm").unwrap(), Path::new("a.wasm"));
        assert!(artifacts.program("tidemap_webui").is_err());
        let tests = Tests {
            name: "tidemap tidemap".to_owned(),
            program: PathBuf::from("t/tidemap"),
            folder: PathBuf::from("w/tidemap"),
        };
        assert_eq!(artifacts.tests(), [tests]);
    }
}
