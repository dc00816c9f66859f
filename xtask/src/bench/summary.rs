//! The figures of several benches as one table.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// Prints the results in `target/bench`, and writes them together as `all.json`: figures as one table,
/// figures of several fleet sizes again side by side, and the output of benches without a table.
pub(crate) fn print(workspace: &Workspace, files: &[&str]) -> Result<()> {
    let folder = workspace.path("target/bench");
    let mut all = serde_json::Map::new();
    for file in files {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (bench, form) = file.split_once('.').context("a file with a form")?;
        let found = match form {
            "json" => serde_json::from_str(&text)?,
            _ => json!({ "printed": text.lines().collect::<Vec<_>>() }),
        };
        all.insert(bench.to_owned(), found);
    }
    let rows: Vec<[String; 5]> = all.iter().flat_map(|(bench, table)| rows(bench, table)).collect();
    let width = rows.iter().map(|row| row[1].chars().count()).max().unwrap_or(0);
    println!("\n{:9} {:width$} {:>12} {:14} {:>12}", "bench", "what", "figure", "", "goal");
    for [bench, what, figure, unit, goal] in &rows {
        println!("{bench:9} {what:width$} {figure:>12} {unit:14} {goal:>12}");
    }
    for line in growth(&rows) {
        println!("{line}");
    }
    for (bench, found) in &all {
        for line in ["words", "printed"].iter().filter_map(|kind| found[kind].as_array()).flatten() {
            println!("{bench:9} {}", line.as_str().unwrap_or_default());
        }
    }
    let path = folder.join("all.json");
    fs::write(&path, serde_json::to_vec_pretty(&all)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The figures that were measured for several fleets, with a column for each fleet.
fn growth(rows: &[[String; 5]]) -> Vec<String> {
    let mut fleets: Vec<&str> = Vec::new();
    let mut figures: Vec<(String, Vec<(&str, &str)>)> = Vec::new();
    for [_, what, figure, unit, _] in rows {
        // "10000 nodes, in a relay's packs: lag, p50"
        let Some((fleet, of)) = what.split_once(": ").filter(|(fleet, _)| fleet.contains(" nodes, ")) else {
            continue;
        };
        if !fleets.contains(&fleet) {
            fleets.push(fleet);
        }
        let of = format!("{of} {unit}").trim_end().to_owned();
        match figures.iter_mut().find(|(name, _)| *name == of) {
            Some((_, cells)) => cells.push((fleet, figure)),
            None => figures.push((of, vec![(fleet, figure)])),
        }
    }
    if fleets.is_empty() {
        return Vec::new();
    }
    let width = figures.iter().map(|(of, _)| of.chars().count()).max().unwrap_or(0);
    let heading: String = fleets.iter().map(|fleet| format!("  {fleet:>22}")).collect();
    let mut lines = vec![format!("\n{:width$}{heading}", "growth with the fleet")];
    for (of, cells) in &figures {
        let cell = |fleet: &&str| cells.iter().find(|(of, _)| of == fleet).map_or("", |(_, figure)| figure);
        let line: String =
            fleets.iter().map(|fleet| format!("  {:>1$}", cell(fleet), fleet.len().max(22))).collect();
        lines.push(format!("{of:width$}{line}"));
    }
    lines
}

fn rows(bench: &str, table: &Value) -> Vec<[String; 5]> {
    let rows = table["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let figure = row["figure"].as_f64().unwrap_or(f64::NAN);
        let verdict = if row["held"] == Value::Bool(false) { "  MISSED" } else { "" };
        let goal = goal(&row["goal"]).unwrap_or_default() + verdict;
        [bench.to_owned(), text("what"), format!("{figure:.2}"), text("unit"), goal]
    };
    rows.iter().map(row).collect()
}

fn goal(goal: &Value) -> Option<String> {
    let (sign, value) = match goal {
        Value::Object(goal) => [(">=", "at_least"), ("<=", "at_most")]
            .into_iter()
            .find_map(|(sign, key)| Some((sign, goal.get(key)?.as_f64()?)))?,
        Value::String(word) if word == "ceiling" => return Some(word.clone()),
        _ => return None,
    };
    Some(format!("{sign} {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_rows_with_goals_and_verdicts() {
        let table = json!({"rows": [
            {"what": "lag", "figure": 3.0, "unit": "ms", "goal": {"at_most": 2.0}, "held": false},
            {"what": "cores", "figure": 0.5, "unit": "", "goal": "none", "held": true},
            {"what": "lost", "figure": 7.0, "unit": "", "goal": "ceiling", "held": true},
        ]});
        let rows = rows("pipeline", &table);
        assert_eq!(rows[0], ["pipeline", "lag", "3.00", "ms", "<= 2  MISSED"]);
        assert_eq!(rows[1], ["pipeline", "cores", "0.50", "", ""]);
        assert_eq!(rows[2], ["pipeline", "lost", "7.00", "", "ceiling"]);
    }

    #[test]
    fn figures_of_several_fleets_are_printed_side_by_side() {
        let row = |what: &str, figure: &str| ["pipeline", what, figure, "ms", ""].map(str::to_owned);
        let rows = [
            row("bare broker: pull drain", "9.00"),
            row("1000 nodes, each acknowledged: lag, p50", "1.00"),
            row("10000 nodes, each acknowledged: lag, p50", "2.00"),
        ];
        let words: Vec<Vec<String>> =
            growth(&rows).iter().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(words[1], ["lag,", "p50", "ms", "1.00", "2.00"]);
        assert_eq!(words.len(), 2);
        assert_eq!(growth(&rows[..1]), Vec::<String>::new());
    }
}
