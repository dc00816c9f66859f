//! `docs/configuration.md`, made from the command line's definition. `TIDEMAP_BLESS=1` writes it there.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
const HEAD: &str = "# Configuration

Every command with its options, as `tidemap COMMAND --help` prints them. An option that names a variable may
be given as that variable instead; the command line wins. A variable that is empty counts as not given.
Stations have no configuration file: what is more than a value (alert rules, plans, keys) is in files that
options name, and `nats.conf` is the broker's. `tidemap-agent`, `tidemap-ingest`, `tidemap-history`,
`tidemap-alerts` and `tidemap-api` are the same stations as programs of their own, with the same options.

This file is written by a test from the definition of the command line
(`TIDEMAP_BLESS=1 cargo test -p tidemap --bin tidemap reference`).
";
/// An option that this many commands share, and describe alike, is listed once.
const SHARED_BY: usize = 4;

/// A command with its words, and the rows of its options.
struct Described {
    words: String,
    about: String,
    usage: String,
    rows: Vec<String>,
}

fn describe(words: &str, command: &Command, all: &mut Vec<Described>) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    // Without the program's name, colours and what clap adds itself.
    let usage = command.clone().bin_name(words).render_usage().to_string();
    let usage: Vec<&str> = usage.trim_start_matches("Usage:").trim().lines().map(str::trim).collect();
    let usage = usage.join("\n");
    let is_ours = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let rows = command.get_arguments().filter(is_ours).map(row).collect();
    all.push(Described { words: words.to_owned(), about, usage, rows });
    for nested in
        command.get_subcommands().filter(|nested| nested.get_name() != "help" && !nested.is_hide_set())
    {
        describe(&format!("{words} {}", nested.get_name()), nested, all);
    }
}

fn row(arg: &Arg) -> String {
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let values = if takes_value { values.join(" ") } else { String::new() };
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long} {values}"),
        (None, Some(short)) => format!("-{short} {values}"),
        (None, None) => values,
    };
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    let defaults: Vec<_> = defaults.filter(|_| takes_value).map(|value| format!("`{value}`")).collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let allowed: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let allowed = if takes_value && !allowed.is_empty() {
        format!("; one of `{}`", allowed.join("`, `"))
    } else {
        String::new()
    };
    let text = format!("{}{allowed}", help.trim_end_matches('.')).replace('|', "\\|").replace('\n', " ");
    format!("| `{}` | {variable} | {} | {text} |", name.trim(), defaults.join(" "))
}

fn document() -> String {
    let mut all = Vec::new();
    describe("tidemap", &super::Cli::command(), &mut all);
    let mut counts = BTreeMap::<String, usize>::new();
    for row in all.iter().flat_map(|command| &command.rows) {
        *counts.entry(row.clone()).or_default() += 1;
    }
    let is_shared = |row: &str| counts[row] >= SHARED_BY || row.contains("`TIDEMAP_LOG");
    let mut text = HEAD.to_owned();
    let mut table = |heading: &str, words: &str, rows: &[&String]| {
        text.push_str(&format!("\n## {heading}\n\n{words}\n"));
        if !rows.is_empty() {
            text.push_str("\n| option | variable | default | meaning |\n|---|---|---|---|\n");
            rows.iter().for_each(|row| text.push_str(&format!("{row}\n")));
        }
    };
    let shared: Vec<&String> = counts.keys().filter(|row| is_shared(row)).collect();
    table(
        "Options of many commands",
        "Where a command's usage says `[OPTIONS]`, these may be among them.",
        &shared,
    );
    for command in &all[1..] {
        let own: Vec<&String> = command.rows.iter().filter(|row| !is_shared(row)).collect();
        let about = command.about.trim_end_matches('.');
        table(&format!("`{}`", command.words), &format!("{about}.\n\n```text\n{}\n```", command.usage), &own);
    }
    text
}

#[test]
fn every_option_is_documented_as_it_is() {
    let document = document();
    if std::env::var_os("TIDEMAP_BLESS").is_some() {
        std::fs::write(DOCUMENT, &document).unwrap();
    }
    let known = std::fs::read_to_string(DOCUMENT).unwrap();
    let other = known.lines().zip(document.lines()).find(|(known, meant)| known != meant);
    let bless = "TIDEMAP_BLESS=1 cargo test -p tidemap --bin tidemap reference";
    assert!(known == document, "docs/configuration.md is not as the program: {other:?}; {bless}");
}
