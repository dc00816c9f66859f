//! `cargo xtask bench`: measures whole processes.

mod summary;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    artifacts::Artifacts,
    web,
    workspace::{Workspace, status},
};

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    /// What to measure. Default: everything but the headline.
    #[arg(value_enum)]
    subject: Option<Subject>,
    /// Measure for seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// How long the headline lasts.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Only these parts of the history: minutes, present, pause, top, live.
    #[arg(long, value_name = "PART,...", value_delimiter = ',')]
    parts: Vec<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq)]
enum Subject {
    /// The bare broker's limits, the whole pipeline at several sizes, and its ceiling.
    Pipeline,
    /// Bodies compared with nginx, thousands of event streams, the time from sample to event.
    Api,
    /// The history beside two other stores: disk, memory, the time of answers.
    History,
    /// What judging alert rules costs, and how soon a webhook has what was found.
    Alerts,
    /// The page's size, and its speed in a real browser.
    Page,
    /// One worker that drains a filled stream, compared with a bare client.
    Drain,
    /// What an agent costs.
    Agent,
    /// A hundred thousand nodes, every second, for minutes.
    Headline,
}

impl Subject {
    const ALL: [Self; 7] =
        [Self::Pipeline, Self::Drain, Self::Api, Self::History, Self::Alerts, Self::Agent, Self::Page];

    /// The package that measures it, and the bench's name there.
    fn bench(self) -> (&'static str, &'static str) {
        match self {
            Self::Pipeline | Self::Headline => ("tidemap-bench", "pipeline"),
            Self::Api => ("tidemap-bench", "api"),
            Self::History => ("tidemap-bench", "history"),
            Self::Alerts => ("tidemap-bench", "alerts"),
            Self::Page => ("tidemap-bench", "page"),
            Self::Drain => ("tidemap-ingest", "drain"),
            Self::Agent => ("tidemap-agent", "sample"),
        }
    }

    /// The file in `target/bench` with the results: a table of figures, or the output of a bench of one
    /// package.
    fn figures(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline.json",
            Self::Api => "api.json",
            Self::History => "history.json",
            Self::Alerts => "alerts.json",
            Self::Page => "page.json",
            Self::Headline => "headline.json",
            Self::Drain => "drain.txt",
            Self::Agent => "agent.txt",
        }
    }
}

/// Builds with the release profile and measures. A missed goal is a failure.
pub(crate) fn run(workspace: &Workspace, args: &BenchArgs) -> Result<()> {
    let subjects = args.subject.map_or(Subject::ALL.to_vec(), |subject| vec![subject]);
    if subjects.contains(&Subject::Page) {
        // The services embed the page.
        web::build(workspace)?;
    }
    let program = release(workspace)?;
    let (mut missed, mut figures) = (Vec::new(), Vec::new());
    for subject in &subjects {
        let mut more = Vec::new();
        match subject {
            Subject::Headline => {
                more.extend(["headline".to_owned(), "--minutes".to_owned(), args.minutes.to_string()]);
            }
            Subject::Pipeline | Subject::Api | Subject::History | Subject::Alerts | Subject::Page => {
                more.extend(args.quick.then(|| "--quick".to_owned()));
                if *subject == Subject::History {
                    more.extend(args.parts.iter().cloned());
                }
            }
            // They have no quick form, and take minutes.
            Subject::Drain | Subject::Agent if args.quick => continue,
            Subject::Drain | Subject::Agent => {}
        }
        let (package, name) = subject.bench();
        let bench = &mut bench(workspace, &program, (package, name), &more);
        let held = match subject.figures() {
            file if file.ends_with(".txt") => record(bench, &workspace.path("target/bench").join(file))?,
            _ => status(bench)?.success(),
        };
        if !held {
            missed.push(name);
        }
        figures.push(subject.figures());
    }
    if figures.len() > 1 {
        summary::print(workspace, &figures)?;
    }
    if missed.is_empty() { Ok(()) } else { bail!("missed a goal, or failed: {}", missed.join(", ")) }
}

/// The program, built with the release profile.
pub(crate) fn release(workspace: &Workspace) -> Result<PathBuf> {
    let built = Artifacts::build(&mut workspace.cargo(["build", "--release", "--package", "tidemap"]))?;
    Ok(built.program("tidemap")?.to_owned())
}

/// Runs one bench; returns whether it reached its goals.
pub(crate) fn measure(
    workspace: &Workspace,
    program: &Path,
    (package, name): (&str, &str),
    more: &[String],
) -> Result<bool> {
    Ok(status(&mut bench(workspace, program, (package, name), more))?.success())
}

fn bench(workspace: &Workspace, program: &Path, (package, name): (&str, &str), more: &[String]) -> Command {
    let mut bench = workspace.cargo(["bench", "--package", package, "--bench", name]);
    if !more.is_empty() {
        bench.arg("--").args(more);
    }
    bench.env("TIDEMAP_BIN", program);
    bench
}

/// Runs a bench, prints its output and writes it to a file; returns whether it reached its goals.
fn record(bench: &mut Command, file: &Path) -> Result<bool> {
    let mut running = bench.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut printed = String::new();
    for line in BufReader::new(running.stdout.take().context("the bench's output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        printed += &line;
        printed.push('\n');
    }
    fs::create_dir_all(file.parent().context("a file in a folder")?)?;
    fs::write(file, printed).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(running.wait()?.success())
}
