//! The workspace's crates: what they depend on, and their modules.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::code::{Token, test_modules, tokens};
use crate::workspace::{Workspace, output};

/// One crate of the workspace.
pub(super) struct Crate {
    pub(super) name: String,
    /// The workspace's crates that this one depends on.
    pub(super) dependencies: BTreeSet<String>,
    /// Those that only its tests and benches depend on.
    pub(super) dev_dependencies: BTreeSet<String>,
    pub(super) modules: Vec<Module>,
}

/// A file of a crate that is not for tests only.
pub(super) struct Module {
    /// Where it is in the crate: empty for `lib.rs` and `main.rs`.
    pub(super) path: Vec<String>,
    /// Its file in the repository.
    pub(super) file: String,
    pub(super) tokens: Vec<Token>,
}

/// All crates of the workspace, as `cargo metadata` and their folders `src` describe them.
pub(super) fn crates() -> Vec<Crate> {
    let workspace = Workspace::here().unwrap();
    let metadata = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let metadata: Value = serde_json::from_str(&output(&mut workspace.cargo(metadata)).unwrap()).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| read(package, &workspace.path(""))).collect()
}

/// By name, what each crate depends on, directly or not.
pub(super) fn closure(crates: &[Crate]) -> BTreeMap<&str, BTreeSet<&str>> {
    let by_name: BTreeMap<&str, &Crate> =
        crates.iter().map(|member| (member.name.as_str(), member)).collect();
    let mut closure = BTreeMap::new();
    for member in crates {
        let mut reached = BTreeSet::new();
        let mut next = vec![member];
        while let Some(member) = next.pop() {
            for dependency in &member.dependencies {
                if reached.insert(dependency.as_str()) {
                    next.push(by_name[dependency.as_str()]);
                }
            }
        }
        closure.insert(member.name.as_str(), reached);
    }
    closure
}

fn read(package: &Value, root: &Path) -> Crate {
    let mut dependencies = BTreeSet::new();
    let mut dev_dependencies = BTreeSet::new();
    // Crates of the workspace are those that have a path.
    let ours = package["dependencies"].as_array().unwrap().iter().filter(|found| found["path"].is_string());
    for dependency in ours {
        let name = dependency["name"].as_str().unwrap().to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => dev_dependencies.insert(name),
            _ => dependencies.insert(name),
        };
    }
    let source = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    let modules = modules(&source, root, &files);
    Crate { name: package["name"].as_str().unwrap().to_owned(), dependencies, dev_dependencies, modules }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

fn modules(source: &Path, root: &Path, files: &[PathBuf]) -> Vec<Module> {
    let texts: Vec<(Vec<String>, String)> =
        files.iter().map(|file| (module_path(source, file), fs::read_to_string(file).unwrap())).collect();
    let mut for_tests = Vec::new();
    for (path, text) in &texts {
        for name in test_modules(text) {
            let mut path = path.clone();
            path.push(name);
            for_tests.push(path);
        }
    }
    let mut modules = Vec::new();
    for ((path, text), file) in texts.into_iter().zip(files) {
        if !for_tests.iter().any(|test| path.starts_with(test)) {
            let file = file.strip_prefix(root).unwrap().display().to_string();
            modules.push(Module { path, file, tokens: tokens(&text) });
        }
    }
    modules
}

fn module_path(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).unwrap().with_extension("");
    let mut path: Vec<String> =
        relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.len() == 1 && ["lib", "main"].contains(&path[0].as_str()) {
        path.clear();
    }
    path
}
