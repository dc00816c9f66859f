//! The project's own tasks: `cargo xtask <task>`.

mod basemap;
mod tools;
mod web;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use workspace::Workspace;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Build the page into dist/web and hold it to its size budget.
    Web,
}

fn main() -> ExitCode {
    let result = Workspace::here().and_then(|workspace| match Task::parse() {
        Task::Web => web::build(&workspace),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
