//! The project's own tasks: `cargo xtask <task>`.

#![expect(clippy::disallowed_types, reason = "without tokio there is no other clock, and no test pauses it")]

/// As the standard library's, but a task goes on when nobody reads what it prints.
macro_rules! println {
    ($($words:tt)*) => {
        {
            use std::io::Write;
            writeln!(std::io::stdout(), $($words)*).ok();
        }
    };
}

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
    /// Run all checks and tests.
    Test(test::TestArgs),
    /// Measure, and compare with the goals.
    Bench(bench::BenchArgs),
    /// Inject random faults for minutes, and check memory, the broker's counters and the oracle.
    Soak(soak::SoakArgs),
    /// Build the page into dist/web and check its size budget.
    Web,
    /// Make a release: programs, archives and packages, in dist.
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
        Task::Dist(args) => dist::build(&workspace, &args).map(drop),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n")).ok();
            ExitCode::FAILURE
        }
    }
}
