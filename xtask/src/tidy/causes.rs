//! An error's cause is said once: it is in the error's own message, or it is its source, and a whole error is
//! printed by `service::causes`.

use super::sources::{Source, assert_none, sources};

/// The crates whose programs print by `service::causes`.
const PROGRAMS: [&str; 6] = ["agent/src", "relay/src", "ingest/src", "api/src", "lib/", "tidemap/src"];

#[test]
fn no_error_says_its_source_in_its_message() {
    let all = sources(&["rs"]);
    let violations: Vec<String> = all
        .iter()
        .flat_map(|source| doubled(&source.text).into_iter().map(|line| format!("{}:{line}", source.path)))
        .collect();
    assert_none("messages with `{0}` whose field is a source too", &violations);
}

#[test]
fn errors_are_printed_by_causes() {
    let is_printed = |line: &str| line.contains("error:#}") && !line.trim_start().starts_with("//");
    let in_source = |source: &Source| -> Vec<String> {
        let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().enumerate().filter(|(_, line)| is_printed(line));
        lines.map(|(at, _)| format!("{}:{}", source.path, at + 1)).collect()
    };
    let of_programs = |source: &Source| PROGRAMS.iter().any(|folder| source.path.starts_with(folder));
    let all = sources(&["rs"]);
    let of_programs = all.iter().filter(|source| of_programs(source) && !source.path.contains("/tests"));
    let violations: Vec<String> = of_programs.flat_map(in_source).collect();
    assert_none("`{error:#}` says some causes twice: use `service::causes`", &violations);
}

/// The lines of thiserror's messages that show a field which is also the error's source.
fn doubled(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let messages = lines.iter().enumerate().filter(|(_, line)| line.starts_with("#[error(\""));
    let is_doubled = |(at, message): &(usize, &&str)| {
        let item: String = lines[at + 1..].iter().take_while(|line| !line.is_empty()).copied().collect();
        let own = item.split("#[error(").next().unwrap_or_default();
        let is_source = own.contains("#[from]") || own.contains("#[source]");
        (message.contains("{0") && is_source) || message.contains("{source")
    };
    messages.filter(is_doubled).map(|(at, _)| at + 1).collect()
}

#[test]
fn a_doubled_cause_is_seen_and_a_single_one_is_not() {
    let doubled_cause = "enum E {\n#[error(\"no: {0}\")]\nA(#[from] Io),\n}";
    assert_eq!(doubled(doubled_cause), [2]);
    for single in [
        "enum E {\n#[error(\"no: {0}\")]\nA(String),\n/// B.\n#[error(transparent)]\nB(#[from] Io),\n}",
        "#[error(\"no\")]\nstruct E(#[source] Io);",
        "#[error(\"no: {0}\")]\nstruct E(Io);\n\n#[error(\"none\")]\nstruct F(#[from] Io);",
    ] {
        assert_eq!(doubled(single), [0; 0], "{single}");
    }
}
