//! A type name is defined once within a crate and along its dependencies.

use std::collections::BTreeMap;

use super::{
    code::Token,
    crates::{Crate, closure, crates},
    sources::assert_none,
};

const KINDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];
/// Names that may be defined more than once, with the crate and the reason. An empty crate means any crate.
const EXCEPTIONS: [(&str, &str, &str); 7] = [
    ("", "Args", "each station's command line, by the convention `run`, `Args`, `Config`"),
    ("", "Config", "each station's checked configuration, by the same convention"),
    ("tidemap-agent", "HostMetrics", "one for Linux, one for other systems"),
    ("tidemap-agent", "Kernel", "one for Linux, one for other systems"),
    ("tidemap-service", "Signals", "one for Unix, one for other systems"),
    ("tidemap-parts", "Text", "one in the browser, one in tests"),
    ("tidemap-parts", "Value", "one in the browser, one in tests"),
];

/// A type's definition in a crate.
struct Definition {
    name: String,
    is_public: bool,
    file: String,
}

#[test]
fn a_type_name_is_defined_once_in_a_crate() {
    let mut violations = Vec::new();
    for member in crates() {
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for definition in definitions(&member) {
            files.entry(definition.name).or_default().push(definition.file);
        }
        for (name, files) in files.into_iter().filter(|(_, files)| files.len() > 1) {
            violations.push(format!("{}: {name} in {}", member.name, files.join(", ")));
        }
    }
    assert_none("one type of a name in a crate", &violations);
}

#[test]
fn a_public_type_name_is_defined_once_along_a_crates_dependencies() {
    let crates = crates();
    let closure = closure(&crates);
    let public: BTreeMap<&str, Vec<Definition>> = crates
        .iter()
        .map(|member| {
            let mut found = definitions(member);
            found.retain(|definition| definition.is_public);
            (member.name.as_str(), found)
        })
        .collect();
    let mut violations = Vec::new();
    for (name, below) in &closure {
        for definition in &public[name] {
            for other in below.iter().flat_map(|dependency| &public[dependency]) {
                if other.name == definition.name {
                    violations.push(format!("{}: {} and {}", definition.name, definition.file, other.file));
                }
            }
        }
    }
    assert_none("one public type of a name along a crate's dependencies", &violations);
}

fn definitions(member: &Crate) -> Vec<Definition> {
    let mut found = Vec::new();
    for module in &member.modules {
        for (name, is_public) in defined(&module.tokens) {
            let is_exception = |(of, exception, _): &(&str, &str, &str)| {
                *exception == name && (of.is_empty() || *of == member.name)
            };
            if !EXCEPTIONS.iter().any(is_exception) {
                found.push(Definition { name, is_public, file: module.file.clone() });
            }
        }
    }
    found
}

/// The types that a file defines at its top level, and whether other crates can name them.
fn defined(tokens: &[Token]) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            kind if depth == 0 && KINDS.contains(&kind) => {
                let is_public = at > 0 && tokens[at - 1] == "pub";
                found.extend(tokens.get(at + 1).map(|name| (name.clone(), is_public)));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn types_of_the_top_level_are_found() {
    let tokens = super::code::tokens(
        "pub struct A(u8); pub(crate) enum B {} impl C for A { type D = u8; } type E = A; fn f() { struct G; }",
    );
    let found: Vec<_> = defined(&tokens);
    let expected = [("A", true), ("B", false), ("E", false)].map(|(name, public)| (name.to_owned(), public));
    assert_eq!(found, expected);
}
