//! Runs programs of tests, some of them at a time: nearly all of their time is spent in waiting, for brokers
//! that elect leaders, leases that run out and pages that are drawn.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::{Command, ExitStatus},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::tally::Tally;
use crate::{
    artifacts::Tests,
    workspace::{Workspace, status},
};

/// How many run at a time. One after the other they leave two processors idle for five sixths of the time.
const AT_ONCE: usize = 3;
/// Those that take longest, which begin first, so that none of them is left alone at the end.
const LONGEST: [&str; 5] = ["e2e services", "e2e oracle", "e2e page", "e2e cluster", "ingest broker"];

/// Where each program's output is while it runs.
const OUTPUT: &str = "target/tests";

/// Runs all, shows what each has printed once it has ended, and counts its tests.
pub(super) fn run(
    workspace: &Workspace,
    mut programs: Vec<Tests>,
    environment: &[(&str, &OsStr)],
    tally: &mut Tally,
) -> Result<()> {
    let output = workspace.path(OUTPUT);
    fs::create_dir_all(&output)?;
    programs
        .sort_by_key(|tests| LONGEST.iter().position(|name| *name == tests.name).unwrap_or(LONGEST.len()));
    let waiting = Mutex::new(VecDeque::from(programs));
    let (ended, outcomes) = mpsc::sync_channel(AT_ONCE);
    let mut failed = Vec::new();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let (waiting, ended, output) = (&waiting, ended.clone(), &output);
            scope.spawn(move || {
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(tests) = next() {
                    let mut command = workspace.command(&tests.program);
                    command.current_dir(&tests.folder).envs(environment.iter().copied());
                    let start = Instant::now();
                    let outcome = run_one(&mut command, &output.join(format!("{}.txt", tests.name)));
                    // The other end is there until all have ended.
                    drop(ended.send((tests.name, outcome, start.elapsed())));
                }
            });
        }
        drop(ended);
        for (name, outcome, took) in outcomes {
            println!("\n--> {name}, {:.1} s", took.as_secs_f64());
            if let Err(error) = outcome.and_then(|outcome| show(outcome, tally)) {
                println!("--> {name}: FAILED: {error:#}");
                failed.push(name);
            }
        }
    });
    if !failed.is_empty() {
        bail!("{}", failed.join(", "));
    }
    Ok(())
}

/// What a program prints, and how it ends. By way of a file: a pipe would stay open as long as a process
/// lives that the program has left behind.
fn run_one(command: &mut Command, output: &Path) -> Result<(Vec<u8>, ExitStatus)> {
    let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    let status = status(command)?;
    Ok((fs::read(output)?, status))
}

fn show((text, status): (Vec<u8>, ExitStatus), tally: &mut Tally) -> Result<()> {
    // A test may print anything, so this need not be text.
    let text = String::from_utf8_lossy(&text);
    println!("{text}");
    text.lines().for_each(|line| tally.count(line));
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}
