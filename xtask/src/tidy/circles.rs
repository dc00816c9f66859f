//! Modules of a crate must not depend on each other in a circle.
//!
//! The rule applies to the modules of each folder. Each counts together with the modules in its own folder,
//! so `a/x.rs` that uses `crate::b` and `b.rs` that uses `crate::a` form a circle of `a` and `b`. A module
//! and those in its own folder may depend on each other, because they are one thing in several files. A
//! re-exported name counts as the module that defines it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    code::Token,
    crates::{Crate, Module, crates},
    sources::assert_none,
};

/// A module's place in its crate.
type Path = Vec<String>;

#[test]
fn modules_do_not_know_each_other_in_a_circle() {
    let mut violations = Vec::new();
    for member in crates() {
        violations.extend(circles(&Names::of(&member)));
    }
    assert_none("modules without circles", &violations);
}

/// The paths in the modules of a crate.
struct Names<'a> {
    modules: BTreeMap<&'a [String], &'a Module>,
    /// What a module imports, by the name that it has there.
    imports: BTreeMap<(&'a [String], String), Path>,
}

impl<'a> Names<'a> {
    fn of(member: &'a Crate) -> Self {
        let modules: BTreeMap<&[String], &Module> =
            member.modules.iter().map(|module| (module.path.as_slice(), module)).collect();
        let mut names = Self { modules, imports: BTreeMap::new() };
        for module in &member.modules {
            for (path, alias) in names.named(module) {
                if let Some(alias) = alias {
                    names.imports.insert((&module.path, alias), path);
                }
            }
        }
        names
    }

    /// The paths that begin in this crate, from its root, and for an import the name that it gets.
    fn named(&self, module: &Module) -> Vec<(Path, Option<String>)> {
        let mut found = Vec::new();
        let mut in_use = false;
        for (at, token) in module.tokens.iter().enumerate() {
            match token.as_str() {
                "use" => in_use = true,
                ";" => in_use = false,
                _ => {}
            }
            let continues = at > 0 && ["::", "."].contains(&module.tokens[at - 1].as_str());
            let starts = !continues && module.tokens.get(at + 1).is_some_and(|next| next == "::");
            if let Some(start) = starts.then(|| self.start(module, token)).flatten() {
                let mut paths = Vec::new();
                read_path(&module.tokens[at + 2..], start, &mut paths);
                found.extend(paths.into_iter().map(|(path, alias)| (path, alias.filter(|_| in_use))));
            }
        }
        found
    }

    /// The module that a path with this first word starts from; `None` if it is outside this crate.
    fn start(&self, module: &Module, word: &str) -> Option<Path> {
        let mut child = module.path.clone();
        child.push(word.to_owned());
        match word {
            "crate" => Some(Vec::new()),
            "self" => Some(module.path.clone()),
            // Further `super`s are handled by `read_path`.
            "super" => module.path.split_last().map(|(_, parent)| parent.to_vec()),
            _ => self.modules.contains_key(child.as_slice()).then_some(child),
        }
    }

    /// The module that defines what a path names.
    fn definer(&self, path: &[String], depth: usize) -> Path {
        let known = |length: &usize| self.modules.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(known).unwrap_or(0);
        let module = &path[..length];
        let imported = path.get(length).and_then(|name| self.imports.get(&(module, name.clone())));
        match imported {
            // Chains of imports are short; a longer one results from a macro.
            Some(target) if depth < 8 && target != path => {
                let rest = &path[length + 1..];
                self.definer(&[target.as_slice(), rest].concat(), depth + 1)
            }
            _ => module.to_vec(),
        }
    }
}

/// Reads what follows `start::`, with braces and `as`.
fn read_path(tokens: &[Token], start: Path, found: &mut Vec<(Path, Option<String>)>) -> usize {
    let Some(first) = tokens.first() else { return 0 };
    match first.as_str() {
        "{" => {
            let mut at = 1;
            while at < tokens.len() && tokens[at] != "}" {
                at += read_path(&tokens[at..], start.clone(), found).max(1);
            }
            at + 1
        }
        "super" if tokens.get(1).is_some_and(|next| next == "::") => {
            let parent = start.split_last().map_or_else(Vec::new, |(_, parent)| parent.to_vec());
            2 + read_path(&tokens[2..], parent, found)
        }
        "self" | "*" => {
            let name = start.last().cloned();
            found.push((start, name.filter(|_| first == "self")));
            1
        }
        word if word.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') => {
            let mut path = start;
            path.push(word.to_owned());
            match tokens.get(1).map(String::as_str) {
                Some("::") => 2 + read_path(&tokens[2..], path, found),
                Some("as") => {
                    found.push((path, tokens.get(2).cloned()));
                    3
                }
                _ => {
                    found.push((path, Some(word.to_owned())));
                    1
                }
            }
        }
        // `::<T>` and the like: the path ends before it.
        _ => {
            found.push((start, None));
            0
        }
    }
}

/// An arrow from one module to another of the same folder, with a place where it is drawn.
type Arrows = BTreeMap<(Path, Path), String>;

fn circles(names: &Names<'_>) -> Vec<String> {
    let mut arrows: Arrows = BTreeMap::new();
    for module in names.modules.values() {
        for (path, _) in names.named(module) {
            let definer = names.definer(&path, 0);
            let common = module.path.iter().zip(&definer).take_while(|(a, b)| a == b).count();
            // One of the two may be above the other.
            if common < module.path.len() && common < definer.len() {
                let arrow = (module.path[..=common].to_vec(), definer[..=common].to_vec());
                arrows.entry(arrow).or_insert_with(|| format!("{} uses {}", module.file, path.join("::")));
            }
        }
    }
    let mut violations = Vec::new();
    for ((from, to), place) in &arrows {
        if reaches(&arrows, to, from) {
            violations.push(format!("{} -> {}: {place}", from.join("::"), to.join("::")));
        }
    }
    violations
}

fn reaches(arrows: &Arrows, from: &Path, to: &Path) -> bool {
    let mut reached = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for (_, target) in arrows.keys().filter(|(from, _)| from == module) {
            if reached.insert(target) {
                next.push(target);
            }
        }
    }
    reached.contains(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::code::tokens;

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let module = |(path, text): &(&str, &str)| Module {
            path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            file: format!("{path}.rs"),
            tokens: tokens(text),
        };
        let member = Crate {
            name: "crate".to_owned(),
            dependencies: BTreeSet::new(),
            dev_dependencies: BTreeSet::new(),
            modules: files.iter().map(module).collect(),
        };
        assert_eq!(circles(&Names::of(&member)), expected);
    }

    #[test]
    fn two_modules_that_use_each_other_are_a_circle() {
        check(
            &[("", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "fn f() { super::a::g(); }")],
            &["a -> b: a.rs uses b::B", "b -> a: b.rs uses a::g"],
        );
    }

    #[test]
    fn a_module_is_taken_together_with_those_in_its_folder() {
        let files = [
            ("a", "mod x;"),
            ("a/x", "use crate::{b::{B, C}, c};"),
            ("b", "use crate::a::A as Z;"),
            ("c", ""),
        ];
        check(&files, &["a -> b: a/x.rs uses b::B", "b -> a: b.rs uses a::A"]);
    }

    #[test]
    fn a_module_and_those_in_its_folder_may_know_each_other() {
        check(
            &[("a", "mod x; use x::X; fn f() { self::x::g(); }"), ("a/x", "use super::{A, super::b::B};")],
            &[],
        );
    }

    #[test]
    fn what_is_re_exported_counts_as_where_it_is_defined() {
        let files = [
            ("a", "mod x; mod y; pub use self::{x::X, y::Y as Z};"),
            ("a/x", "use crate::a::Z;"),
            ("a/y", "use super::X;"),
        ];
        check(&files, &["a::x -> a::y: a/x.rs uses a::Z", "a::y -> a::x: a/y.rs uses a::X"]);
    }
}
