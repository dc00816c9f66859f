//! The figures: one table on the screen, one file for programs.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tidemap_testkit::machine;

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// A measured limit, without a goal.
    Ceiling,
    /// A figure that explains others.
    None,
}

#[derive(Debug, Serialize)]
struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    goal: Goal,
    held: bool,
    /// How long a fixed loop took when the figure was noted, in milliseconds: the machine's speed.
    loop_ms: f64,
}

/// All figures of a run, and how fast the machine was.
#[derive(Debug, Serialize)]
pub struct Table {
    rows: Vec<Row>,
    /// Sentences that figures alone do not express.
    words: Vec<String>,
}

impl Table {
    /// An empty table. Notes how fast the machine is before the bench loads it.
    pub fn begin() -> Self {
        let mut table = Self { rows: Vec::new(), words: Vec::new() };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        table.note("machine: cores", cores as f64, "", Goal::None);
        table.note_machine("before");
        table
    }

    /// Notes how fast the machine is after the bench, writes everything as JSON to `file` in the folder for
    /// figures, and prints it. Returns whether all goals were reached.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn end(mut self, file: &str) -> anyhow::Result<bool> {
        self.note_machine("after");
        self.write(&path_of(file)?)?;
        Ok(self.print())
    }

    fn note_machine(&mut self, when: &str) {
        self.note(format!("machine: a fixed loop, {when}"), loop_ms(), "ms", Goal::None);
    }

    /// Notes a figure with the machine's speed, and prints it at once: a long run must not be silent.
    pub fn note(&mut self, what: impl Into<String>, figure: f64, unit: &'static str, goal: Goal) {
        let held = match goal {
            Goal::AtLeast(least) => figure >= least,
            Goal::AtMost(most) => figure <= most,
            Goal::Ceiling | Goal::None => true,
        };
        let row = Row { what: what.into(), figure, unit, goal, held, loop_ms: loop_ms() };
        let (figure, speed) = (number(row.figure), number(row.loop_ms));
        eprintln!("  {}: {figure} {} (loop {speed} ms){}", row.what, row.unit, row.verdict());
        self.rows.push(row);
    }

    /// Notes a sentence, and prints it at once.
    pub fn say(&mut self, words: String) {
        eprintln!("  {words}");
        self.words.push(words);
    }

    fn print(&self) -> bool {
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        println!("{:width$}  {:>12} {:14} {:>12} {:>8}", "what", "figure", "", "goal", "loop ms");
        for row in &self.rows {
            let goal = match row.goal {
                Goal::AtLeast(least) => format!(">= {}", number(least)),
                Goal::AtMost(most) => format!("<= {}", number(most)),
                Goal::Ceiling => "ceiling".to_owned(),
                Goal::None => String::new(),
            };
            let (figure, speed, verdict) = (number(row.figure), number(row.loop_ms), row.verdict());
            println!("{:width$}  {figure:>12} {:14} {goal:>12} {speed:>8}{verdict}", row.what, row.unit);
        }
        for words in &self.words {
            println!("{words}");
        }
        let has_goal = |row: &&Row| matches!(row.goal, Goal::AtLeast(_) | Goal::AtMost(_));
        let (held, missed): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().filter(has_goal).partition(|row| row.held);
        println!("goals: {} reached, {} missed", held.len(), missed.len());
        for row in &missed {
            println!("missed: {}", row.what);
        }
        missed.is_empty()
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(path.parent().context("a file in a folder")?)?;
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Row {
    fn verdict(&self) -> &'static str {
        match self.goal {
            Goal::Ceiling | Goal::None => "",
            _ if self.held => "  reached",
            _ => "  MISSED",
        }
    }
}

/// The loop is compiled in the same way in every bench, so the times can be compared with another day's.
fn loop_ms() -> f64 {
    machine::loop_time().as_secs_f64() * 1_000.0
}

/// A file in the folder for figures below this program's target folder.
fn path_of(file: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).context("a bench lies in target/release/deps")?;
    Ok(target.join("bench").join(file))
}

fn number(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1_000.0 => format!("{figure:.0}"),
        middling if middling >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
