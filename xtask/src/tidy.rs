//! Rules of the house that no lint knows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::workspace::Workspace;

/// The most lines a source file may have; 400 is where one should be parted.
const MOST_LINES: usize = 500;

/// The project's own files with one of these extensions.
fn sources(extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Workspace::here().unwrap().path("");
    let mut found = Vec::new();
    collect(&root, extensions, &mut found);
    assert!(found.len() > 10, "the walk has lost its way: {}", found.len());
    found
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "dist"].contains(&name.as_ref()) {
                collect(&path, extensions, found);
            }
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_source_file_outgrows_its_reader() {
    let long = |(path, text): (PathBuf, String)| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{}: {lines} lines", path.display()))
    };
    let found: Vec<String> = sources(&["rs"]).into_iter().filter_map(long).collect();
    assert!(found.is_empty(), "more than {MOST_LINES} lines: {found:#?}");
}

#[test]
fn modules_are_named_by_their_file() {
    let found: Vec<PathBuf> =
        sources(&["rs"]).into_iter().map(|(path, _)| path).filter(|path| path.ends_with("mod.rs")).collect();
    assert!(found.is_empty(), "write foo.rs beside foo/: {found:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Parted, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let found: Vec<String> = sources(&["rs", "js", "css", "html", "conf", "toml", "yaml"])
        .into_iter()
        .flat_map(|(path, text)| {
            let marked = |line: &&str| marks.iter().any(|mark| line.contains(mark));
            text.lines().filter(marked).map(|line| format!("{}: {line}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "finish it, or write an issue: {found:#?}");
}
