//! The project's own tasks: `cargo xtask <task>`.

mod bench;
mod cluster;
mod dist;
mod soak;
mod test;
mod up;
mod web;

mod artifacts;
mod basemap;
mod tools;
mod workspace;

#[cfg(test)]
mod tidy;

use std::process::ExitCode;

use clap::Parser;

use workspace::Workspace;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build what is missing and start Tidemap on this machine.
    Up(up::UpArgs),
    /// Build what is missing and start a whole cluster on this machine.
    Cluster(cluster::ClusterArgs),
    /// Run everything that decides whether the project is sound.
    Test(test::TestArgs),
    /// Measure, with the goals beside the figures.
    Bench(bench::BenchArgs),
    /// Break one thing after the other for minutes; memory, the broker's counters and the oracle judge.
    Soak(soak::SoakArgs),
    /// Build the page into dist/web and hold it to its size budget.
    Web,
    /// Build the programs to hand out into dist/bin.
    Dist(dist::DistArgs),
}

fn main() -> ExitCode {
    let result = Workspace::here().and_then(|workspace| match Task::parse() {
        Task::Up(args) => up::run(&workspace, &args),
        Task::Cluster(args) => cluster::run(&workspace, &args),
        Task::Test(args) => test::run(workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Soak(args) => soak::run(&workspace, &args),
        Task::Web => web::build_within_budget(&workspace),
        Task::Dist(args) => dist::build(&workspace, &args),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
