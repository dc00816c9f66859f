//! The files with rules.

use std::{fmt::Write, path::Path, time::Duration};

use anyhow::Context;

/// Rules of the file; one of them is about the nodes that the bench adds.
pub(crate) const COUNT: u32 = 200;
/// Of those, rules about each node.
const OF_NODES: u32 = COUNT - 11;
/// The label of the nodes that the bench adds.
pub(crate) const LABEL: (&str, &str) = ("bench", "cause");
/// How long their rule's condition must hold.
pub(crate) const FOR: Duration = Duration::from_secs(5);

/// A file without rules.
pub(crate) fn none(folder: &Path) -> anyhow::Result<String> {
    save(folder, "none.toml", "")
}

/// A file with rules of many metrics, directions and windows. None fires by itself.
pub(crate) fn write(folder: &Path, sink: &str) -> anyhow::Result<String> {
    let mut text = format!("[[channel]]\nname = \"ops\"\ntype = \"webhook\"\nurl = \"{sink}/hook\"\n");
    for number in 0..OF_NODES {
        let direction = ["in", "out", "both", "larger"][number as usize % 4];
        let window = ["now", "10s", "1m", "5m", "15m"][number as usize / 4 % 5];
        let lines = match number % 10 {
            0..=4 => {
                let above = format!("{} Gbit/s", 5_000 + number);
                format!(
                    "metric = \"rate\"\ndirection = \"{direction}\"\nwindow = \"{window}\"\nabove = \"{above}\""
                )
            }
            5 | 6 => format!("metric = \"utilisation\"\ndirection = \"{direction}\"\nabove = \"500 %\""),
            7 => "metric = \"cpu_percent\"\nabove = \"500 %\"".to_owned(),
            8 => "metric = \"errors\"\nabove = 1000000000".to_owned(),
            _ => format!("metric = \"offline\"\nlabel = \"site=s{number}\""),
        };
        rule(&mut text, number, "1m", &lines)?;
    }
    for number in OF_NODES..COUNT - 1 {
        let per = ["all", "location", "label:site"][number as usize % 3];
        let lines =
            format!("metric = \"rate\"\nper = \"{per}\"\nabove = \"5000 Gbit/s\"\ndirection = \"in\"");
        rule(&mut text, number, "1m", &lines)?;
    }
    let (name, value) = LABEL;
    let lines = format!(
        "metric = \"rate\"\ndirection = \"in\"\nlabel = \"{name}={value}\"\nwindow = \"now\"\nabove = \"500 Mbit/s\""
    );
    rule(&mut text, COUNT - 1, &format!("{}s", FOR.as_secs()), &lines)?;
    save(folder, "alerts.toml", &text)
}

fn rule(text: &mut String, number: u32, hold: &str, lines: &str) -> anyhow::Result<()> {
    Ok(write!(text, "\n[[rule]]\nname = \"rule {number}\"\nfor = \"{hold}\"\n{lines}\n")?)
}

fn save(folder: &Path, name: &str, text: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_str().context("a readable path")?.to_owned())
}
