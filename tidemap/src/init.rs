//! `tidemap init`: a data folder for a broker that is started by hand or by a service manager.

use std::path::PathBuf;

use tidemap_broker::data_dir::DataDir;
use tidemap_service::cli::say;

use crate::data_folder::data_folder;

/// Which folder.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct InitArgs {
    /// Where keys, users and nats.conf are made; what is there already stays.
    #[arg(long, env = "TIDEMAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Makes what a broker and its stations need. No node is enrolled, not even this host.
pub(crate) fn run(args: InitArgs) -> anyhow::Result<()> {
    let dir = data_folder(args.data_dir)?;
    let locked = DataDir::lock(&dir)?;
    let keys = tidemap_broker::prepare(locked.path())?;
    let token = keys.api_token_path()?;
    say(format_args!("The broker starts with     {}", dir.join("nats.conf").display()));
    say(format_args!("Stations take --creds      {}", keys.service_seed_path().display()));
    say(format_args!("The API takes              --api-token-file {}", token.display()));
    say(format_args!("Other programs read with   {}", keys.app_seed_path().display()));
    say(format_args!(
        "Enroll a node with         tidemap enroll NODE --data-dir {} --nats-url URL",
        dir.display()
    ));
    Ok(())
}
