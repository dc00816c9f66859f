//! The project's own files, and rules about single files.

use std::{fs, path::Path};

use crate::workspace::Workspace;

/// The most lines that a source file may have. A file should be split at 400.
const MAX_LINES: usize = 500;
/// Folders without files of the project's own.
const SKIPPED: [&str; 2] = ["target", "dist"];

/// A file: its path in the repository, and its text.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// The project's own files with one of these extensions, in the order of their paths.
pub(super) fn sources(extensions: &[&str]) -> Vec<Source> {
    let root = Workspace::here().unwrap().path("");
    let mut found = Vec::new();
    collect(&root, &root, extensions, &mut found);
    assert!(!found.is_empty(), "no files with the extensions {extensions:?} below {}", root.display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, extensions: &[&str], found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&name.as_ref()) {
                collect(root, &path, extensions, found);
            }
        } else if extensions.iter().any(|extension| path.extension().is_some_and(|e| e == *extension)) {
            let relative = path.strip_prefix(root).unwrap().display().to_string();
            found.push(Source { path: relative, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Fails with all violations, one a line.
#[track_caller]
pub(super) fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule} ({}):\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn source_files_are_short() {
    let mut violations = Vec::new();
    for source in sources(&["rs"]) {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            violations.push(format!("{}: {lines} lines", source.path));
        }
    }
    assert_none(&format!("files of at most {MAX_LINES} lines"), &violations);
}

#[test]
fn modules_are_named_by_their_file() {
    let mut paths: Vec<String> = sources(&["rs"]).into_iter().map(|source| source.path).collect();
    paths.retain(|path| path.ends_with("/mod.rs"));
    assert_none("foo.rs beside foo/, no mod.rs", &paths);
}

#[test]
fn nothing_is_left_unfinished() {
    // In two parts, so that this file does not match.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut violations = Vec::new();
    for source in sources(&["rs", "js", "css", "html", "conf", "toml", "yaml"]) {
        for (number, line) in (1..).zip(source.text.lines()) {
            if marks.iter().any(|mark| line.contains(mark)) {
                violations.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("finish it, or file an issue", &violations);
}
