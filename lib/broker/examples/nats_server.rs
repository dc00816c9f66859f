//! Prints the path of this machine's nats-server; fetches one if there is none.

use std::process::ExitCode;

use tidemap_service::cli;

fn main() -> ExitCode {
    cli::exit(tidemap_broker::locate(&tidemap_broker::default_tools_dir()).map_err(Into::into).map(|path| {
        println!("{}", path.display());
    }))
}
